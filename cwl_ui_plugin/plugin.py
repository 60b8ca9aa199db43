"""The one place where everything is registered with Airflow.

Airflow loads this module in every process, so it imports next to nothing. What only the API server needs is imported
when Airflow asks for it there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from cwl_ui_plugin.dags import component_listener
from cwl_ui_plugin.observing import listeners as lineage_listeners
from cwl_ui_plugin.reports import listeners as report_listeners

if TYPE_CHECKING:
    from cwl_ui_plugin.views import Listed


class CwlUiPlugin(AirflowPlugin):
    """CWL workflows in Airflow: pages, REST API, listeners."""

    name = "cwl_ui_plugin"
    listeners = [component_listener, report_listeners, lineage_listeners]

    @cached_property
    def timetables(self) -> list[object]:  # type: ignore[override]
        """What Airflow reads the Dags of workflows with a schedule with, once there is one."""
        from cwl_ui_plugin.dags.timetables import CronDataIntervalSince, CronTriggerSince

        return [CronTriggerSince, CronDataIntervalSince]

    @cached_property
    def flask_blueprints(self) -> list[object]:  # type: ignore[override]
        """The blueprint with the templates, the static files and the user bridge."""
        from cwl_ui_plugin import views

        return [views.blueprint()]

    @cached_property
    def appbuilder_views(self) -> list[Listed]:  # type: ignore[override]
        """The Flask-AppBuilder views. They have no menu name: Airflow would put those under "Legacy Views"."""
        from cwl_ui_plugin import views

        return views.appbuilder_views()

    @cached_property
    def external_views(self) -> list[dict[str, object]]:  # type: ignore[override]
        """The CWL item of the navigation, and the tabs on the pages of Dags, DagRuns and task instances."""
        from cwl_ui_plugin.views import mounting, navigation

        return navigation.external_views(mounting.mount())

    @cached_property
    def operator_extra_links(self) -> list[object]:  # type: ignore[override]
        """The buttons on the page of a task, once Airflow shows one."""
        from cwl_ui_plugin.dags.operators import links

        return [links.StepLink(), links.OutputsLink()]

    @cached_property
    def fastapi_apps(self) -> list[object]:  # type: ignore[override]
        """Pages, where Airflow does not serve them; APIs: ours, for workers, the predecessors', GA4GH's TRS and WES."""
        from cwl_ui_plugin import addresses
        from cwl_ui_plugin.api import experimental, rest, workers
        from cwl_ui_plugin.api.trs import app as trs
        from cwl_ui_plugin.api.wes import app as wes
        from cwl_ui_plugin.views import mounting

        pages = {"app": mounting.OwnPages(), "url_prefix": addresses.OWN_MOUNT, "name": "CWL pages"}
        return [
            *([] if mounting.airflow_serves_pages() else [pages]),  # before what is mounted above of them
            {"app": workers.app(), "url_prefix": addresses.WORKERS, "name": "CWL workers"},
            {"app": rest.app(), "url_prefix": addresses.PLUGIN, "name": "CWL"},
            {"app": experimental.app(), "url_prefix": addresses.TRIGGERS, "name": "CWL triggers"},
            {"app": trs.app(), "url_prefix": addresses.TRS, "name": "GA4GH TRS"},
            {"app": trs.app(), "url_prefix": addresses.TRS_OF_CWLTOOL, "name": "GA4GH TRS for cwltool"},
            {"app": wes.app(), "url_prefix": addresses.WES, "name": "GA4GH WES"},
        ]

    @cached_property
    def fastapi_root_middlewares(self) -> list[object]:  # type: ignore[override]
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


def _background() -> object:
    """The loops of the API server: reports; stops, cleaning and more; watched folders; batches; what users are told."""
    from cwl_ui_plugin import config
    from cwl_ui_plugin.auth import permissions
    from cwl_ui_plugin.reports.lease import LeaderLease
    from cwl_ui_plugin.reports.loop import Loop, Loops
    from cwl_ui_plugin.reports.quiet import Quiet
    from cwl_ui_plugin.reports.reporter import Reporter
    from cwl_ui_plugin.services import health
    from cwl_ui_plugin.services.batches import rounds as batch_rounds
    from cwl_ui_plugin.services.notifying import rounds as telling_users
    from cwl_ui_plugin.services.watching import rounds

    config.make_folders()
    health.log_problems()
    interval = config.number("report_poll_interval")
    lease, quiet = LeaderLease("reports"), Quiet()
    reporter = Reporter(lease.is_held)
    return Loops(
        Loop([reporter.round], interval, lease, ending=reporter.stop, is_quiet=quiet),
        Loop(_upkeep(), interval, LeaderLease("background"), is_quiet=quiet),
        Loop([rounds.WatchRound()], rounds.SECONDS, LeaderLease("watched-folders")),
        Loop([batch_rounds.BatchRound()], batch_rounds.SECONDS, LeaderLease("batches")),
        Loop(
            [telling_users.NotifyRound(permissions.may_read_by_name)],
            telling_users.SECONDS,
            LeaderLease("notifications"),
        ),
    )


def _upkeep() -> list[Callable[[], object]]:
    """The rounds of the loop that answers stops, cleans, compiles again, and tells those who observe."""
    from cwl_ui_plugin.services import retention
    from cwl_ui_plugin.services.cleaning import cleanup, unused_objects
    from cwl_ui_plugin.services.observing import telling
    from cwl_ui_plugin.services.provenance import noting
    from cwl_ui_plugin.services.stopping import stops, tombstone_watch
    from cwl_ui_plugin.services.workflows import recompiling

    return [
        stops.answer_stop_requests,
        tombstone_watch.StopWatch(),
        cleanup.CleaningRound(),
        unused_objects.ObjectsRound(),
        retention.RetentionRound(),
        recompiling.RecompileRound(),
        noting.ProvenanceRound(),
        telling.GaugeRound(),
        telling.QueueSpanRound(),
    ]
