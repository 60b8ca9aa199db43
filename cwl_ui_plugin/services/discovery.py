"""What this server speaks, for portals that have only its address. Nothing in it is private: no name, no key."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.reports.formats import FORMATS
from cwl_ui_plugin.services.settings.connection_and_keys import report_key, trigger_key
from cwl_ui_plugin.signing import algorithms
from cwl_ui_plugin.version import __version__

CWL_VERSIONS = ("v1.0", "v1.1", "v1.2")


@dataclass(frozen=True)
class ApiRoot:
    """An API: ``url`` is absolute, ``openapi`` its document where it has one."""

    url: str
    version: str
    openapi: str | None = None


@dataclass(frozen=True)
class KeyInfo:
    """What is known of a key to everybody: of a shared secret, that there is one."""

    is_set: bool
    algorithm: str | None
    fingerprint: str | None


@dataclass(frozen=True)
class Service:
    """What a server speaks. ``triggers`` is the key that signed triggers must fit, ``reports`` the one that signs."""

    name: str
    version: str
    airflow: str
    cwltool: str
    cwl_versions: tuple[str, ...]
    apis: dict[str, ApiRoot]
    report_formats: tuple[str, ...]
    algorithms: tuple[str, ...]
    triggers: KeyInfo
    reports: KeyInfo


def service() -> Service:
    """Return what this server speaks."""
    base = config.base_url()

    def root(path: str, spoken: str) -> ApiRoot:
        return ApiRoot(f"{base}{path}", spoken, f"{base}{path}/openapi.json")

    triggers, reports = trigger_key(), report_key()
    return Service(
        name="cwl-ui-plugin",
        version=__version__,
        airflow=version("apache-airflow-core"),
        cwltool=version("cwltool"),
        cwl_versions=CWL_VERSIONS,
        apis={
            "cwl": root(addresses.REST, "1"),
            "experimental": root(addresses.TRIGGERS, "1"),
            "trs": root(addresses.TRS, "2.0.1"),
            "wes": root(addresses.WES, "1.1.0"),
        },
        report_formats=FORMATS,
        algorithms=tuple(algorithms.ALGORITHMS),
        triggers=KeyInfo(triggers.is_set, triggers.algorithm, triggers.fingerprint),
        reports=KeyInfo(reports.is_set, reports.algorithm, reports.fingerprint),
    )


def organization() -> dict[str, str]:
    """Return who runs this server, as GA4GH's services tell it; by default the name that it is called by."""
    base = config.base_url()
    name = config.text("organization_name").strip() or urlsplit(base).hostname or "localhost"
    return {"name": name, "url": config.text("organization_url").strip() or base}
