"""Where the pages appear in Airflow's own navigation. Addresses are relative: Airflow may be served below a prefix."""

from __future__ import annotations

from typing import Any

_ICONS = {"icon": "pluginsv2/cwl/static/icon.svg", "icon_dark_mode": "pluginsv2/cwl/static/icon-dark.svg"}

EXTERNAL_VIEWS: list[dict[str, Any]] = [
    {
        "name": "CWL",
        "href": "pluginsv2/cwl/workflows",
        "destination": "nav",
        "url_route": "cwl",
        "nav_top_level": True,
        **_ICONS,
    },
    {
        "name": "CWL run",
        "href": "pluginsv2/cwl/run?dag_id={DAG_ID}&run_id={RUN_ID}",
        "destination": "dag_run",
        "url_route": "cwl_run",
        **_ICONS,
    },
]
