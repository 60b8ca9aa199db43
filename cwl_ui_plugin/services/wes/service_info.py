"""What this WES service is and can do: its ServiceInfo."""

from __future__ import annotations

from urllib.parse import urlsplit

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.fetching.site import storage_rules
from cwl_ui_plugin.services.discovery import organization
from cwl_ui_plugin.services.wes import requests
from cwl_ui_plugin.version import __version__

WES_VERSION = "1.1.0"
AUTH_INSTRUCTIONS_BELOW = "/auth-instructions"


def service_info(base: str, state_counts: dict[str, int]) -> dict[str, object]:
    """Return the ServiceInfo; ``base`` is the address of the service, ``state_counts`` of runs that the caller sees."""
    parts = urlsplit(base)
    contact = config.text("contact_url").strip()
    return {
        "id": ".".join([*reversed((parts.hostname or "localhost").split(".")), "cwl-ui-plugin", "wes"]),
        "name": "CWL on Apache Airflow",
        "type": {"group": "org.ga4gh", "artifact": "wes", "version": WES_VERSION},
        "description": "Runs workflows in the Common Workflow Language as Dags of Apache Airflow.",
        "organization": organization(),
        **({"contactUrl": contact} if contact else {}),
        "documentationUrl": f"{base.removesuffix(addresses.WES)}{addresses.REST_DOCS}",
        "version": __version__,
        "workflow_type_versions": {requests.TYPE: {"workflow_type_version": list(requests.versions())}},
        "supported_wes_versions": ["1.0.0", WES_VERSION],
        "supported_filesystem_protocols": [
            "file",
            *(("http", "https", "drs") if config.fetch_hosts() else ()),
            *_storage_schemes(),
        ],
        "workflow_engine_versions": {
            engine: {"workflow_engine_version": [version]} for engine, version in requests.engines().items()
        },
        "default_workflow_engine_parameters": [
            {"name": name, "type": "string", "default_value": ""} for name in requests.PARAMETERS
        ],
        "system_state_counts": state_counts,
        "auth_instructions_url": f"{base}{AUTH_INSTRUCTIONS_BELOW}",
        "tags": {
            "attachments": "subfolders",
            "max_attachments": f"{config.number('max_unpacked_files'):.0f}",
            "max_attachment_bytes": f"{config.number('max_input_size'):.0f}",
            "ro_crate": "/runs/{run_id}/ro-crate",
        },
    }


def _storage_schemes() -> list[str]:
    """Return the schemes of stores that jobs may name; none where the option is wrong, which every run is told."""
    try:
        return storage_rules().schemes
    except config.ConfigError:
        return []
