"""Where the pages appear in Airflow's own navigation. Addresses are relative: Airflow may be served below a prefix."""

from __future__ import annotations

from cwl_ui_plugin import addresses


def external_views(mount: str) -> list[dict[str, object]]:
    """Return the item of the navigation and the tabs of Dags, runs and tasks, for pages that are mounted at ``mount``.

    Airflow fills in names of the page that a tab is on; it leaves ``{MAP_INDEX}`` as it is where a task is not mapped.
    """
    pages = (mount + addresses.PAGES).lstrip("/")
    static = (mount + addresses.STATIC).lstrip("/")
    icons = {"icon": f"{static}/icon.svg", "icon_dark_mode": f"{static}/icon-dark.svg"}
    run = "dag_id={DAG_ID}&run_id={RUN_ID}"
    tabs = (
        ("CWL workflow", "dag", addresses.DAG_TAB, f"{pages}/tab/dag?dag_id={{DAG_ID}}"),
        ("CWL run", "dag_run", addresses.RUN_TAB, f"{pages}/run?{run}"),
        (
            "CWL step",
            "task_instance",
            addresses.TASK_TAB,
            f"{pages}/tab/task?{run}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
        ),
    )
    menu = {"name": "CWL", "destination": "nav", "url_route": "cwl", "href": f"{pages}/workflows"}
    return [
        {**menu, **icons, "nav_top_level": True},
        *({**_tab(*tab), **icons} for tab in tabs),
    ]


def _tab(name: str, destination: str, route: str, href: str) -> dict[str, object]:
    return {"name": name, "destination": destination, "url_route": route, "href": href}
