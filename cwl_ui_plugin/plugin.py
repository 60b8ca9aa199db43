"""The one place where everything is registered with Airflow.

Airflow loads this module in every process, so it imports next to nothing. What only the API server needs is imported
when Airflow asks for it there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from cwl_ui_plugin.dags import component_listener
from cwl_ui_plugin.reports import listeners as report_listeners


class CwlUiPlugin(AirflowPlugin):
    """CWL workflows in Airflow: pages, REST API, listeners."""

    name = "cwl_ui_plugin"
    listeners = [component_listener, report_listeners]

    @cached_property
    def flask_blueprints(self) -> list[Any]:  # type: ignore[override]
        """The blueprint with the templates, the static files and the user bridge."""
        from cwl_ui_plugin import views

        return [views.blueprint()]

    @cached_property
    def appbuilder_views(self) -> list[Any]:  # type: ignore[override]
        """The Flask-AppBuilder views. They have no menu name: Airflow would put those under "Legacy Views"."""
        from cwl_ui_plugin import views

        return views.appbuilder_views()

    @cached_property
    def external_views(self) -> list[Any]:  # type: ignore[override]
        """The CWL item of the navigation, and the tab on the page of a DagRun."""
        from cwl_ui_plugin.views import mounting, navigation

        return navigation.external_views(mounting.mount())

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The pages, where Airflow does not serve them; the REST API; the endpoint of the predecessors."""
        from cwl_ui_plugin import addresses
        from cwl_ui_plugin.api import experimental, rest
        from cwl_ui_plugin.views import mounting

        pages = {"app": mounting.OwnPages(), "url_prefix": addresses.OWN_MOUNT, "name": "CWL pages"}
        return [
            *([] if mounting.airflow_serves_pages() else [pages]),  # before what is mounted above of them
            {"app": rest.app(), "url_prefix": addresses.PLUGIN, "name": "CWL"},
            {"app": experimental.app(), "url_prefix": addresses.TRIGGERS, "name": "CWL triggers"},
        ]

    @cached_property
    def fastapi_root_middlewares(self) -> list[Any]:  # type: ignore[override]
        """What stands around all calls; the first one also holds the loops that live as long as the API server."""
        from cwl_ui_plugin.api.grant_guard import GrantGuard
        from cwl_ui_plugin.api.middleware import CwlMiddleware
        from cwl_ui_plugin.api.moved_pages import MovedPages
        from cwl_ui_plugin.views import mounting

        moved = {"middleware": MovedPages, "args": [], "kwargs": {}, "name": "CWL pages"}
        return [
            *([] if mounting.airflow_serves_pages() else [moved]),
            {"middleware": CwlMiddleware, "args": [], "kwargs": {"background": _background()}, "name": "CWL"},
            {"middleware": GrantGuard, "args": [], "kwargs": {}, "name": "CWL grants"},
        ]


def _background() -> Any:
    """The loops of the API server: one sends reports; one serves stops, cleans up, and compiles workflows again."""
    from cwl_ui_plugin import config
    from cwl_ui_plugin.reports.lease import LeaderLease
    from cwl_ui_plugin.reports.loop import Loop, Loops
    from cwl_ui_plugin.reports.reporter import Reporter
    from cwl_ui_plugin.services import health, retention
    from cwl_ui_plugin.services.cleaning import cleanup
    from cwl_ui_plugin.services.stopping import stops, tombstone_watch
    from cwl_ui_plugin.services.workflows import recompiling

    config.make_folders()
    health.log_problems()
    interval = config.number("report_poll_interval")
    lease = LeaderLease("reports")
    reporter = Reporter(lease.is_held)
    upkeep: list[Callable[[], object]] = [
        stops.answer_stop_requests,
        tombstone_watch.StopWatch(),
        cleanup.CleaningRound(),
        retention.RetentionRound(),
        recompiling.RecompileRound(),
    ]
    return Loops(
        Loop([reporter.round], interval, lease, ending=reporter.stop), Loop(upkeep, interval, LeaderLease("background"))
    )
