"""What Airflow's provider manager is told: the options of ``[cwl]`` and the manager of the plugin's tables."""

from __future__ import annotations

from cwl_ui_plugin.config import SECTION
from cwl_ui_plugin.options import OPTIONS
from cwl_ui_plugin.version import __version__


def get_provider_info() -> dict[str, object]:
    """Return the provider info; its ``config`` is what ``airflow config list`` shows and documents."""
    return {
        "package-name": "cwl-ui-plugin",
        "name": "CWL",
        "description": "Run CWL workflows from Airflow's web UI.",
        "versions": [__version__],
        "config": {
            SECTION: {
                "description": "The plugin for CWL workflows.",
                "options": {
                    option.name: {
                        "description": option.description,
                        "version_added": "0.1.0",
                        "type": option.type,
                        "example": option.example,
                        "default": option.default,
                        "sensitive": option.is_secret,
                    }
                    for option in OPTIONS
                },
            }
        },
        "task-decorators": [{"name": "cwl", "class-name": "cwl_ui_plugin.decorators.cwl_task"}],
        "db-managers": ["cwl_ui_plugin.reports.tables.CwlDBManager"],
    }
