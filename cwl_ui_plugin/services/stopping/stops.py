"""Stopping a run and proving it: what the button, the REST call, the command and ``clean_dag_run`` all call."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, STOP_RESULT_KEY, STOP_TASK
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.observing import stats
from cwl_ui_plugin.reports import loop, reporter
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import ServiceError, StopIncomplete, Unavailable
from cwl_ui_plugin.services.run_models import StopProgress, StopReport
from cwl_ui_plugin.services.stopping.database_state import FoundRun, WhichRun, delete_run, fail_unfinished, remove_files
from cwl_ui_plugin.services.stopping.proof import StopProof
from cwl_ui_plugin.services.stopping.tombstone_watch import leave_word

log = logging.getLogger(__name__)
MAX_ANSWERING = 8
_answering: set[tuple[str, int]] = set()
_answering_lock = threading.Lock()


class _AnotherRun(Exception):
    """The name that is being stopped is that of another run by now."""


def stop_run(dag_id: str, run_id: str, *, user: str, remove: bool = False, which: WhichRun | None = None) -> StopReport:
    """Stop a run of any Dag, and return when none of its processes is left; ``remove`` also deletes the run.

    A run that does not exist or has ended is no error. With ``which``, another run that has the name by then is left
    alone.

    Raises:
        StopIncomplete: some processes outlived ``2 * [core] killed_task_cleanup_time``.
        Unavailable: the database is locked, or the folder of control files can't be written, and stays so.

    """
    try:
        report = _stop_run(dag_id, run_id, user, remove, which)
    except _AnotherRun:
        return StopReport(dag_id=dag_id, run_id=run_id, stopped=(), seconds=0.0, message=_message(FoundRun(), remove))
    except StopIncomplete:
        stats.emit("cwl.stop.failures")
        raise
    except (OSError, config.ConfigError) as error:
        raise Unavailable(f"The stop of {dag_id} {run_id} is not complete: {error}. Stop it again.") from error
    stats.emit("cwl.stop.duration", report.seconds)
    return report


def _stop_run(dag_id: str, run_id: str, user: str, remove: bool, which: WhichRun | None) -> StopReport:
    began = time.monotonic()
    has_folder = _is_name(dag_id) and _is_name(run_id)

    def fail() -> FoundRun:
        """Fail what is unfinished, then leave word for what starts nevertheless, and only then look what is there."""
        found = fail_unfinished(dag_id, run_id, user, which)
        if which is not None and not found.exists:
            raise _AnotherRun  # or none at all: whoever has removed it has ended its processes
        if has_folder:
            leave_word(dag_id, run_id, user, found)
        return found

    found = fail()
    loop.wake()
    proof = StopProof(dag_id, run_id, found.running, user=user, has_folder=has_folder)
    # The scheduler may have had a task in hand when it was set to failed: it is looked at again and again.
    left = proof.wait(_allowed_seconds(), lambda: fail().running)
    if left:
        raise StopIncomplete(f"Some processes of {dag_id} {run_id} are still there: {'; '.join(left)}.", left)
    if has_folder and (remove or not found.had_ended or found.stopped_by or proof.had_leases):
        remove_files(dag_id, run_id)
    if remove and found.exists:
        _remove(dag_id, run_id, user, found.which)
    return StopReport(
        dag_id=dag_id,
        run_id=run_id,
        stopped=found.stopped,
        seconds=round(time.monotonic() - began, 3),
        message=_message(found, remove),
        removed=remove and found.exists,
        user=found.stopped_by,
    )


def progress(dag_id: str, run_id: str) -> StopProgress | None:
    """Return how far a stop of a run is, whichever API server carries it out; None if there is none."""
    try:
        order = stop_orders.read_request(dag_id, run_id)
    except config.ConfigError:
        order = None
    if order is None:
        return None
    return StopProgress(user=order.user, seconds=round(max(0.0, time.time() - order.began), 1), left=order.left)


def answer_stop_requests() -> int:
    """Serve the tasks of ``clean_dag_run`` that wait for an answer, each in a thread; return how many were begun."""
    begun = 0
    for request in _open_requests():
        with _answering_lock:
            if request.key in _answering or len(_answering) >= MAX_ANSWERING:
                continue
            _answering.add(request.key)
        threading.Thread(target=_answer, args=(request,), name="cwl-stop-request", daemon=True).start()
        begun += 1
    return begun


def _allowed_seconds() -> float:
    from airflow.configuration import conf

    return 2.0 * conf.getint("core", "killed_task_cleanup_time", fallback=60)


def _is_name(part: str) -> bool:
    """Whether a dag_id or run_id can be one of a CWL Dag; those of other Dags can be anything."""
    return bool(part) and "/" not in part and "\0" not in part


def _message(found: FoundRun, remove: bool) -> str:
    if not found.exists:
        return "There is no such run: nothing to stop."
    done = "The run had ended already; none of its processes is left."
    if found.stopped or not found.had_ended:
        done = f"The run is stopped; tasks set to failed: {len(found.stopped)}. None of its processes is left."
    return f"{done} It was removed." if remove else done


def _remove(dag_id: str, run_id: str, user: str, which: WhichRun | None) -> None:
    """Delete a stopped run; its last reports are kept until they have arrived."""
    reporter.keep_run(dag_id, run_id)
    last = retry_on_database_lock(lambda: delete_run(dag_id, run_id, user, which), f"the removal of {dag_id} {run_id}")
    stone = tombstones.find(dag_id, run_id) if last else None
    if stone and last:
        tombstones.close(stone, last)  # a later run of the same name may start
    reporter.forget_run(dag_id, run_id)


@dataclass(frozen=True)
class _Request:
    """A task of ``clean_dag_run`` that waits for an answer."""

    run_id: str
    try_number: int
    conf: dict[str, object]
    user: str

    @property
    def key(self) -> tuple[str, int]:
        """What tells this try of the task from others."""
        return self.run_id, self.try_number


def _open_requests() -> list[_Request]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import and_, exists, select

    answered = exists().where(
        XComModel.dag_id == CLEAN_DAG_RUN,
        XComModel.run_id == TaskInstance.run_id,
        XComModel.task_id == STOP_TASK,
        XComModel.key == STOP_RESULT_KEY,
    )
    same_run = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    query = (
        select(TaskInstance.run_id, TaskInstance.try_number, DagRun.conf, DagRun.triggering_user_name)
        .join(DagRun, same_run)
        .where(
            TaskInstance.dag_id == CLEAN_DAG_RUN,
            TaskInstance.task_id == STOP_TASK,
            TaskInstance.state == TaskInstanceState.RUNNING,
            ~answered,
        )
    )
    with create_session(scoped=False) as session:
        return [
            _Request(run_id, number, conf or {}, user or "") for run_id, number, conf, user in session.execute(query)
        ]


def _answer(request: _Request) -> None:
    """Stop what a request names, and answer it; a lock keeps other API servers from doing the same."""
    try:
        if not _is_name(request.run_id):
            return
        folder = control_files.run_control(CLEAN_DAG_RUN, request.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / f"{request.try_number}.lock"
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if any(waiting.key == request.key for waiting in _open_requests()):
                result = _result(request)
                retry_on_database_lock(lambda: _write_result(request, result), "the answer to clean_dag_run")
        control_files.remove(lock)
        control_files.forget_run(CLEAN_DAG_RUN, request.run_id)
    except BlockingIOError:
        log.debug("Another API server answers %s", request.key)
    except Exception:
        log.exception("The stop request %s could not be answered", request.key)
    finally:
        with _answering_lock:
            _answering.discard(request.key)


def _result(request: _Request) -> dict[str, object]:
    dag_id, run_id = request.conf.get("remove_dag_id"), request.conf.get("remove_run_id")
    if not isinstance(dag_id, str) or not isinstance(run_id, str):
        return {"ok": False, "message": "The conf must name remove_dag_id and remove_run_id.", "left": []}
    if (dag_id, run_id) == (CLEAN_DAG_RUN, request.run_id):
        return {"ok": False, "message": "A run of clean_dag_run can't stop itself.", "left": []}
    try:
        report = stop_run(dag_id, run_id, user=request.user or CLEAN_DAG_RUN)
    except StopIncomplete as error:
        return {"ok": False, "message": error.message, "left": list(error.left)}
    except ServiceError as error:
        return {"ok": False, "message": error.message, "left": []}
    except Exception:
        log.exception("The stop of %s %s failed", dag_id, run_id)
        return {"ok": False, "message": "The stop failed in the API server; its log says why.", "left": []}
    return {"ok": True, "message": report.message, "left": []}


def _write_result(request: _Request, result: Mapping[str, object]) -> None:
    """Answer the try that asked: a later one has asked anew."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    same_try = select(TaskInstance.id).where(
        TaskInstance.dag_id == CLEAN_DAG_RUN,
        TaskInstance.run_id == request.run_id,
        TaskInstance.task_id == STOP_TASK,
        TaskInstance.try_number == request.try_number,
    )
    with create_session(scoped=False) as session:
        if session.scalar(same_try) is not None:
            XComModel.set(
                key=STOP_RESULT_KEY,
                value=result,
                dag_id=CLEAN_DAG_RUN,
                task_id=STOP_TASK,
                run_id=request.run_id,
                session=session,
                serialize=False,  # the task reads it as JSON
            )
