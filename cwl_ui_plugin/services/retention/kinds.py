"""All that grows, in the order in which it is shown: what is added here is measured, removed and shown."""

from __future__ import annotations

from datetime import datetime, timezone

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files, kept_values, run_folder
from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.retention import logs, outputs, uploads, versions, wes_workflows
from cwl_ui_plugin.services.retention.cached import FETCHED, REUSE, sweep_fetched
from cwl_ui_plugin.services.retention.items import Kind
from cwl_ui_plugin.services.retention.trees import Measurer, Size


def _intermediate(measurer: Measurer) -> Size:
    runs = [path for path in control_files.listed(config.tmp_folder()) if not path.name.startswith(".")]
    return measurer.measure([*runs, kept_values.values_folder()])


def _reports(_measurer: Measurer) -> Size:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import RecordedReport

    query = select(func.count(), func.coalesce(func.sum(func.length(RecordedReport.payload)), 0))
    with create_session(scoped=False) as session:
        count, characters = session.execute(query).one()
    return Size(int(characters), int(count))


def _signatures(_measurer: Measurer) -> Size:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import SignedTrigger

    with create_session(scoped=False) as session:
        return Size(0, int(session.scalar(select(func.count()).select_from(SignedTrigger)) or 0))


def _forget_signatures() -> None:
    signatures.forget_expired(datetime.now(timezone.utc))


KINDS = (
    Kind(
        "outputs",
        "Outputs of runs",
        (outputs.GONE_OPTION, outputs.LISTED_OPTION),
        "What a run in Airflow's list has for an input is kept in any case.",
        outputs.measure,
        config.outputs_folder,
        outputs.find,
        outputs.remove,
    ),
    Kind(
        "uploads",
        "Uploaded inputs",
        (uploads.OPTION,),
        "What the conf of a run in Airflow's list names is kept.",
        uploads.measure,
        config.uploads_folder,
        uploads.find,
        uploads.remove,
        uploads.sweep,
    ),
    Kind(
        "intermediate",
        "Intermediate files",
        ("keep_failed_days",),
        "Those of a run that failed are kept so long, of one that goes on until no task can read them, of others not. "
        "Lists of outputs that are too large for Airflow's database are among them, and stay as long as their run.",
        _intermediate,
        config.tmp_folder,
    ),
    Kind(
        "reuse",
        "Outputs kept for reuse",
        (REUSE.option,),
        "What a run may read that goes on, or can go on, is kept.",
        REUSE.measure,
        REUSE.folder,
        REUSE.find,
        REUSE.remove,
        REUSE.sweep,
    ),
    Kind(
        "fetched",
        "Inputs from the network",
        (FETCHED.option,),
        "What a run may read that goes on, or can go on, is kept. What is gone is fetched again.",
        FETCHED.measure,
        FETCHED.folder,
        FETCHED.find,
        FETCHED.remove,
        sweep_fetched,
    ),
    Kind(
        "logs",
        "Output of commands",
        (logs.OPTION,),
        "It goes with its run, too. Airflow's own logs of tasks are Airflow's to remove.",
        logs.measure,
        run_folder.kept_logs_folder,
        logs.find,
        logs.remove,
    ),
    Kind(
        "versions",
        "Versions of workflows",
        (versions.OPTION, wes_workflows.OPTION),
        "The current version, and what a run in Airflow's list is pinned to, is kept.",
        versions.measure,
        config.workflows_folder,
        versions.find,
        versions.remove,
        versions.sweep,
    ),
    Kind(
        "reports",
        "Reports",
        ("keep_reports_days",),
        "Those that wait for the receiver are kept. They are in the database.",
        _reports,
    ),
    Kind(
        "signatures",
        "Used signatures",
        (),
        "Each is kept until its token has expired and its run is gone; without a time of expiry, for ever.",
        _signatures,
        sweep=_forget_signatures,
    ),
)
