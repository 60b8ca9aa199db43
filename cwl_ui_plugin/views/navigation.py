"""Where the pages appear in Airflow's own navigation. Addresses are relative: Airflow may be served below a prefix."""

from __future__ import annotations

from typing import Any

from cwl_ui_plugin import addresses


def external_views(mount: str) -> list[dict[str, Any]]:
    """Return the item of the navigation and the tab of a run, for pages that are mounted at ``mount``."""
    pages = (mount + addresses.PAGES).lstrip("/")
    static = (mount + addresses.STATIC).lstrip("/")
    icons = {"icon": f"{static}/icon.svg", "icon_dark_mode": f"{static}/icon-dark.svg"}
    return [
        {
            "name": "CWL",
            "href": f"{pages}/workflows",
            "destination": "nav",
            "url_route": "cwl",
            "nav_top_level": True,
            **icons,
        },
        {
            "name": "CWL run",
            "href": f"{pages}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": addresses.RUN_TAB,
            **icons,
        },
    ]
