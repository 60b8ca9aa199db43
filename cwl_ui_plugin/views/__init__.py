"""Flask-AppBuilder views and their WTForms."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from flask import Blueprint

if TYPE_CHECKING:
    from cwl_ui_plugin.views.base import CwlView


def blueprint() -> Blueprint:
    """Return the blueprint with templates, static files, the user bridge and the error pages."""
    from cwl_ui_plugin import addresses, resources
    from cwl_ui_plugin.auth.bridge import init_bridge
    from cwl_ui_plugin.views import errors, presenting
    from cwl_ui_plugin.views.addresses import init_addresses
    from cwl_ui_plugin.views.assets import init_assets

    made = Blueprint(
        "cwl",
        __name__,
        template_folder=resources.folder("templates"),
        static_folder=resources.folder("static"),
        static_url_path=addresses.STATIC,
    )
    init_bridge(made)
    errors.init_errors(made)
    presenting.init_presenting(made)
    init_addresses(made)
    init_assets(made)
    return made


class Listed(TypedDict):
    """A view as Airflow takes it."""

    view: CwlView


def appbuilder_views() -> list[Listed]:
    """Return the views, without names: a name would put an item under "Legacy Views"."""
    from cwl_ui_plugin.views.approvals import ApprovalsView
    from cwl_ui_plugin.views.batch_drafts import BatchDraftView
    from cwl_ui_plugin.views.batches import BatchView
    from cwl_ui_plugin.views.continuing import ContinueView
    from cwl_ui_plugin.views.importing import ImportView
    from cwl_ui_plugin.views.notifications import NotificationsView
    from cwl_ui_plugin.views.presets import PresetsView
    from cwl_ui_plugin.views.reports import ReportsView
    from cwl_ui_plugin.views.run_details import RunView
    from cwl_ui_plugin.views.run_list import RunsView
    from cwl_ui_plugin.views.schedules import ScheduleView
    from cwl_ui_plugin.views.settings import SettingsView
    from cwl_ui_plugin.views.stops import StopView
    from cwl_ui_plugin.views.tabs import TabsView
    from cwl_ui_plugin.views.trigger import TriggerView
    from cwl_ui_plugin.views.versions import VersionsView
    from cwl_ui_plugin.views.workflows import WorkflowsView

    views = (
        WorkflowsView,
        ImportView,
        VersionsView,
        ScheduleView,
        ApprovalsView,
        BatchView,
        BatchDraftView,
        PresetsView,
        TriggerView,
        RunsView,
        RunView,
        StopView,
        TabsView,
        ContinueView,
        ReportsView,
        SettingsView,
        NotificationsView,
    )
    return [{"view": view()} for view in views]
