"""Fix and continue: a new run of a mended version, which takes over from the failed one what did not change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.jobs.moving import OTHER_TYPE, moved
from cwl_ui_plugin.dags.access.grants import Continued
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.cleaning.unread_files import standing_of
from cwl_ui_plugin.services.continuing.forecasts import forecast
from cwl_ui_plugin.services.continuing.made import made_in
from cwl_ui_plugin.services.continuing.models import Forecast
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.run_models import RunSource, RunSummary
from cwl_ui_plugin.services.triggering import reruns, triggers
from cwl_ui_plugin.services.workflows.details import pinned_workflow, stored_version

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

EVENT = "cwl_fix_and_continue"
NOT_ENDED = "The run goes on. Wait until it has ended, or stop it, before another one takes over from it."
NOT_FITTING = "The inputs of the failed run do not fit this version, are gone, or are not yours. Give others instead."
SUCCEEDED = "The run has succeeded: there is nothing to mend. Use “Run again”."


@dataclass(frozen=True)
class Begun:
    """A run that takes over from a failed one, and what it is going to take over."""

    run: RunSummary
    forecast: Forecast


def preview(dag_id: str, run_id: str, version: str | None = None) -> Forecast:
    """Return what a run of a version (a digest; the current one by default) would take over from a failed run.

    Raises:
        NotFound: no such run or version, or the workflow was deleted.
        Conflict: the run has not failed, or is of no version that is stored.

    """
    _check_failed(dag_id, run_id)
    return _foreseen(dag_id, run_id, version)[2]


def fix_and_continue(
    dag_id: str,
    run_id: str,
    *,
    user: str,
    via: str,
    version: str | None = None,
    job: Mapping[str, object] | None = None,
    files: InputAccess | None = None,
) -> Begun:
    """Start a run of a version that takes over from a failed run the steps that did not change.

    ``job`` is that of the failed run if none is given, without inputs that the new version does not have. The user must
    be able to start a run with it: what is taken over is only what such a run would make.

    Raises:
        NotFound, Conflict: as :func:`preview` does; also for secrets of another user, and where only signed runs are
            allowed and the server can't sign.
        InvalidJob: the job does not fit the version, or has files that this user may not use.

    """
    source = queries.run_source(dag_id, run_id)
    _check_failed(dag_id, run_id)
    if job is None:
        reruns.check_secrets(source, user)
    old, new, foreseen = _foreseen(dag_id, run_id, version)
    new_id = triggers.new_run_id()
    conf = reruns.signed(dag_id, new_id, {"job": _job(source, old, new) if job is None else dict(job)})
    start = partial(triggers.trigger, dag_id, conf=conf, run_id=new_id, user=user, via=via, files=files)
    try:
        run = start(
            version=new.digest,
            record=lambda session, run: _record(session, run, run_id, user),
            continued=Continued(run_id, foreseen.gone),
        )
    except InvalidJob as error:
        raise InvalidJob(NOT_FITTING if job is None else error.message, error.problems) from error
    return Begun(run, foreseen)


def followers(dag_id: str, run_id: str) -> tuple[str, ...]:
    """Return the runs that took over from a run, the newest first, as far as the audit log goes back."""
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Log.extra).where(Log.dag_id == dag_id, Log.event == EVENT, Log.run_id == run_id)
    with create_session(scoped=False) as session:
        told = session.scalars(query.order_by(Log.id.desc()).limit(10)).all()
        names = [str(json.loads(text)["new_run_id"]) for text in told if text]
        known = set(session.scalars(select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.run_id.in_(names))))
    return tuple(name for name in names if name in known)


def _record(session: Session, run: DagRun, failed: str, user: str) -> None:
    """Write into Airflow's audit log which run takes over."""
    from airflow.models.log import Log

    extra = json.dumps({"new_run_id": run.run_id})
    session.add(Log(event=EVENT, dag_id=run.dag_id, run_id=failed, owner=user, extra=extra))


def _check_failed(dag_id: str, run_id: str) -> None:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        state = str(queries.find_run(session, dag_id, run_id).state)
    if state == "success":
        raise Conflict(SUCCEEDED)
    if state != "failed":
        raise Conflict(NOT_ENDED)


def _foreseen(dag_id: str, run_id: str, digest: str | None) -> tuple[StoredVersion, StoredVersion, Forecast]:
    """Return the version of the failed run, that of the new one, and what it would take over."""
    standing = standing_of((dag_id, run_id))
    old, new = pinned_workflow(dag_id, standing.version), _new(dag_id, digest)
    if old is None:
        raise Conflict(f"The version of {dag_id!r} that the run used is not stored (any more): run it again.")
    complete = {one.task_id for one in standing.ended} - standing.unended.keys()
    return old, new, forecast((dag_id, run_id), old, new, made_in(dag_id, run_id), complete)


def _new(dag_id: str, digest: str | None) -> StoredVersion:
    version = stored_version(dag_id, digest)
    if version is None:
        what = f"version {digest[:12]!r} of the workflow" if digest else "workflow"
        raise NotFound(f"There is no {what} {dag_id!r}.")
    return version


def _job(source: RunSource, old: StoredVersion, new: StoredVersion) -> dict[str, object]:
    """Return the job of the failed run for a version, which may have lost inputs; raise :class:`InvalidJob`."""
    former = {item.id for item in old.plan.inputs}
    job, left = moved(reruns.without_folder(source.job), former, new.plan)
    if wrong := tuple(problem for problem in left if problem.message == OTHER_TYPE):
        raise InvalidJob(NOT_FITTING, wrong)
    return job
