"""``/dag_runs`` and ``/clean_dag_runs`` of CWL-Airflow's API, and the one call that uploads, makes way and runs."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin.api import starting
from cwl_ui_plugin.api.cwl_airflow import schemas
from cwl_ui_plugin.api.cwl_airflow.callers import Caller, CallingUser, ReadingUser
from cwl_ui_plugin.api.cwl_airflow.calls import CONF, DAG_ID, RUN_ID, OldCall, call_with, query_of
from cwl_ui_plugin.api.cwl_airflow.dags import checked_name, start_upload, stored_digest
from cwl_ui_plugin.api.cwl_airflow.schemas import CleanedRun, DagRunInfos, PostedRun
from cwl_ui_plugin.api.cwl_airflow.verifying import caller_of_fields, caller_of_trigger
from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import name_of, require
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.monitoring.old_states import RUN_STATES, run_state, task_states
from cwl_ui_plugin.services.run_models import RunFilter, RunSummary
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import clearing, refusals, triggers
from cwl_ui_plugin.services.workflow_models import Upload

router = APIRouter(tags=["CWL-Airflow"])
STATE, DATE, SINCE, UNTIL = "state", "execution_date", "execution_date_start", "execution_date_end"
_PLUS = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
"""What a plus sign in an address becomes where nobody quotes it."""
_TRIGGER_QUERY = [schemas.DAG_ID, schemas.RUN_ID, schemas.CONF]
_DATES = [schemas.query(name, "A date of ISO 8601", format="date-time") for name in (DATE, SINCE, UNTIL)]


@router.get(
    "/dag_runs",
    responses=answers(DagRunInfos),
    openapi_extra={"parameters": [schemas.DAG_ID, schemas.RUN_ID, *_DATES, schemas.STATE]},
)
def list_dag_runs(request: Request, user: ReadingUser) -> object:
    """List the newest 500 runs that fit, of CWL Dags that the user may see, with their tasks."""
    asked = query_of(request, DAG_ID, RUN_ID, DATE, SINCE, UNTIL, STATE)
    dag_id, state = asked.get(DAG_ID), asked.get(STATE)
    date, since, until = (_date(asked, name) for name in (DATE, SINCE, UNTIL))
    if state is not None and state not in RUN_STATES:
        raise BadRequest(f"state must be one of {', '.join(RUN_STATES)}.", field=STATE)
    if dag_id is not None:
        require(permissions.may_read(user, dag_id))
    wanted = RunFilter(
        run_id=asked.get(RUN_ID),
        states=next((states for old, states in RUN_STATES.items() if old == state), ()),
        dated_from=max(filter(None, (since, date)), default=None),
        dated_to=min(filter(None, (until, date)), default=None),
    )
    seen = [dag_id] if dag_id is not None else permissions.readable_dag_ids(user)
    page = queries.list_runs(seen, wanted=wanted, limit=queries.MAX_PAGE)
    return {"dag_runs": infos(page.items)}


@router.post(
    "/dag_runs",
    responses=answers(PostedRun, 404, 409, 413, 503),
    openapi_extra={"parameters": _TRIGGER_QUERY, "requestBody": schemas.body("dag_id", "run_id", "conf")},
)
def post_dag_run(
    request: Request, user: CallingUser, call: Annotated[OldCall, Depends(call_with(DAG_ID, RUN_ID, CONF))]
) -> object:
    """Start a run. `run_id` and `conf` are signed, as for `/dags/{dag_id}/dag_runs`."""
    dag_id = call.needed(DAG_ID)
    with refusals.recorded(dag_id, call.sent.get(RUN_ID), name_of(user)):
        caller = caller_of_trigger(request, user, call, dag_id)
        caller.check_trigger(dag_id)
        return _posted(_start(caller, dag_id, call.text(RUN_ID), _kept_conf(caller, call)))


@router.post(
    "/dags/dag_runs",
    responses=answers(PostedRun, 404, 409, 413, 503, 504, 507),
    openapi_extra={
        "parameters": _TRIGGER_QUERY,
        "requestBody": schemas.body("dag_id", "run_id", "conf", document=True),
    },
)
async def post_dag_and_run(
    request: Request,
    user: CallingUser,
    call: Annotated[OldCall, Depends(call_with(DAG_ID, RUN_ID, CONF, document=True))],
) -> object:
    """Upload a workflow if it is not there, stop and remove the run of this name if there is one, and start it anew.

    With a workflow, `dag_id`, `run_id`, `conf` and `workflow_sha256` are signed; else what starts a run.
    """
    caller, staged = await run_in_threadpool(_begin, request, user, call)
    version = None if staged is None else await stored_digest(staged)
    return await run_in_threadpool(_go_on, caller, call, version)


@router.post(
    "/clean_dag_runs",
    responses=answers(CleanedRun, 503, 504),
    openapi_extra={
        "parameters": [schemas.DAG_ID, schemas.RUN_ID],
        "requestBody": schemas.body("dag_id", "run_id"),
    },
)
def clean_dag_run(
    request: Request, user: CallingUser, call: Annotated[OldCall, Depends(call_with(DAG_ID, RUN_ID))]
) -> object:
    """Stop a run, if there is one, and remove it where the caller may. `dag_id` and `run_id` are signed."""
    dag_id, run_id = call.needed(DAG_ID), call.needed(RUN_ID)
    caller = caller_of_fields(request, user, call, DAG_ID, RUN_ID)
    may_remove = caller.check_stop(dag_id)
    report = stops.stop_run(dag_id, run_id, user=caller.name, remove=may_remove)
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "message": report.message,
        "stopped": list(report.stopped),
        "removed": report.removed,
    }


def infos(runs: tuple[RunSummary, ...]) -> list[dict[str, object]]:
    """Return runs with their tasks as CWL-Airflow did; what has no date yet has that of its trigger."""
    tasks = task_states(runs)
    return [
        {
            **_posted(run),
            "tasks": [{"id": name, "state": state} for name, state in tasks[run.dag_id, run.run_id].items()],
            "progress": run.progress,
        }
        for run in runs
    ]


def _posted(run: RunSummary) -> dict[str, object]:
    date = run.logical_date or run.queued_at
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "execution_date": date,
        "start_date": run.started_at or date,
        "state": run_state(run.state),
    }


def _begin(request: Request, user: BaseUser | HTTPException, call: OldCall) -> tuple[Caller, Upload | str | None]:
    """Check all that can be checked before anything is changed; begin to upload."""
    dag_id, run_id = checked_name(call.needed(DAG_ID)), call.needed(RUN_ID)
    triggers.check_run_id(run_id)
    call.conf()
    with refusals.recorded(dag_id, run_id, name_of(user)):
        if call.document is None:
            caller = caller_of_trigger(request, user, call, dag_id)
        else:
            caller = caller_of_fields(request, user, call, DAG_ID, RUN_ID, CONF)
        caller.check_trigger(dag_id)
        clearing.check_unused(caller.signature, dag_id, run_id)
        return caller, start_upload(caller, dag_id, call.document) if call.document else None


def _go_on(caller: Caller, call: OldCall, version: str | None) -> dict[str, object]:
    """Check all that can be checked now that the workflow is there; only then stop what has the run's name.

    ``version`` is what the document of the call has become: somebody else may have replaced it meanwhile.
    """
    dag_id, run_id = call.needed(DAG_ID), call.needed(RUN_ID)
    with refusals.recorded(dag_id, run_id, caller.name):
        conf = _kept_conf(caller, call)
        files, signature = caller.files(dag_id), caller.signature
        triggers.check(
            dag_id, conf=conf, run_id=run_id, user=caller.name, files=files, signature=signature, version=version
        )
        clearing.clear_way(dag_id, run_id, user=caller.name, check_stop=caller.check_stop, signature=signature)
        return _posted(_start(caller, dag_id, run_id, conf, version))


def _kept_conf(caller: Caller, call: OldCall) -> dict[str, object]:
    """Return the conf that a run is to have: with its signature."""
    conf = call.conf()
    return conf if caller.token is None else starting.with_signature(conf, caller.token)


def _start(
    caller: Caller, dag_id: str, run_id: str | None, conf: dict[str, object], version: str | None = None
) -> RunSummary:
    return triggers.trigger(
        dag_id,
        conf=conf,
        run_id=run_id,
        user=caller.name,
        files=caller.files(dag_id),
        via=triggers.EXPERIMENTAL,
        signature=caller.signature,
        version=version,
    )


def _date(asked: dict[str, str], name: str) -> datetime | None:
    """Return a moment of the query; without a zone it is UTC."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        date = datetime.fromisoformat(_PLUS.sub(r"\1+\2", text.strip()).replace("Z", "+00:00"))
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} must be a date such as 2026-01-31T12:00:00+00:00.", field=name) from None
