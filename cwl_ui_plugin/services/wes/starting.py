"""Starting the run that a WES request asks for, by the same way as all other runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.conf import JOB, WES
from cwl_ui_plugin.services import labelling
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.wes.attachments import Attachments
from cwl_ui_plugin.services.wes.documents import Stored
from cwl_ui_plugin.services.wes.locations import with_attachments
from cwl_ui_plugin.services.wes.requests import FOLDERS, RUN_ID, TITLE, RunRequest
from cwl_ui_plugin.services.wes.run_ids import run_id_of
from cwl_ui_plugin.services.workflows.details import is_cwl_dag

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session


def start(
    workflow: Stored,
    request: RunRequest,
    params: Mapping[str, object],
    attachments: Attachments,
    *,
    user: str,
    files: InputAccess,
) -> str:
    """Start a run; return its id in WES. Attachments that no input names are removed: the workflow is stored.

    Raises:
        What ``triggers.trigger`` does; NotFound also for a Dag that is not CWL: this service would not know its runs.

    """
    if not is_cwl_dag(workflow.dag_id):
        raise NotFound(f"There is no CWL workflow {workflow.dag_id!r}.")
    job, used = with_attachments(params, attachments)
    given = request.workflow_engine_parameters
    for name in FOLDERS:
        if given.get(name):
            if name in job:
                raise BadRequest(f"The {name} is given twice, in workflow_params and workflow_engine_parameters.")
            job[name] = given[name]
    kept = replace(request, attachments=attachments.id if used else "")
    run = triggers.trigger(
        workflow.dag_id,
        conf={JOB: job, WES: _plain(kept)},
        run_id=given.get(RUN_ID) or triggers.new_run_id(),
        user=user,
        via=triggers.REST,
        files=files,
        version=workflow.version,
        record=_title_it(given.get(TITLE)),
    )
    if not used:
        attachments.discard()
    return run_id_of(run.dag_id, run.run_id)


def _plain(request: RunRequest) -> dict[str, object]:
    return {name: value for name, value in asdict(request).items() if value}


def _title_it(title: str | None) -> triggers.Record | None:
    if not title:
        return None

    def record(session: Session, run: DagRun) -> None:
        labelling.label_run(session, run, title)

    return record
