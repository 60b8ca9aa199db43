"""Runs of workflows that a task of another Dag starts, and follows, by asking its supervisor: it has no database.

What Airflow's own TriggerDagRunOperator asks for is asked for here, too; what it can't do is to tell what became of
the run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.dags import handing_on
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, ERROR_KEY, GATHERER
from cwl_ui_plugin.dags.xcom_values import packed

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

MAX_RUN_ID = 200
"""Characters; Airflow takes 250, and what tells runs of the same task from each other comes behind."""
MAX_SAID = 500
ENDED = ("success", "failed")
_NOT_FOUND = 404
_MAPPED = re.compile(r"^(?P<task>.+)_(?P<index>\d+)$")
_STRANGE = re.compile(r"[^A-Za-z0-9_.~:+-]")


@dataclass(frozen=True)
class FoundRun:
    """A run as Airflow knows it."""

    run_id: str
    state: str
    job: object

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDED


def base_name(context: Context) -> str:
    """Return what the runs are called that a task instance starts: the same in each try of it.

    No dag_id or task_id has a ``~`` in it, so no two tasks have runs of the same name.
    """
    ti = context["ti"]
    index = "" if ti.map_index is None or ti.map_index < 0 else f"~{ti.map_index}"
    whole = f"{ti.dag_id}~{ti.run_id}~{ti.task_id}{index}"
    name = _STRANGE.sub("-", whole)[:MAX_RUN_ID]
    return name if name == whole else f"{name}~{_digest(whole)}"


def runs_of(dag_id: str, base: str, clears: int) -> Iterator[tuple[int, str, FoundRun | None]]:
    """Yield the runs that the tries of a task have started, and for each clear of it the name of the next one.

    ``base``, ``base~try2`` are runs of the first tries, ``base~clear1`` of those after its Dag run was cleared once.
    """
    for clear in range(clears + 1):
        number, name = 1, base if clear == 0 else f"{base}~clear{clear}"
        while (found := find(dag_id, _numbered(name, number))) is not None:
            yield clear, found.run_id, found
            number += 1
        yield clear, _numbered(name, number), None


def find(dag_id: str, run_id: str) -> FoundRun | None:
    """Return a run, or None where there is none."""
    from airflow.sdk.execution_time.comms import GetDagRun

    try:
        found = _ask(GetDagRun(dag_id=dag_id, run_id=run_id))
    except AirflowRuntimeError as error:
        if _status(error) == _NOT_FOUND:
            return None
        raise
    conf = found.conf if isinstance(found.conf, dict) else {}
    return FoundRun(run_id, _text(found.state), conf.get("job"))


def state(ti: RuntimeTaskInstanceProtocol, dag_id: str, run_id: str) -> str:
    """Return how a run stands."""
    return _text(ti.get_dagrun_state(dag_id, run_id))


def start(dag_id: str, run_id: str, job: dict[str, object], run_after: datetime) -> None:
    """Start a run; it is no error if it is there already: another try was faster.

    Raises:
        JobError: there is no such workflow, its Dag is paused or broken, or Airflow refuses the run.

    """
    if packed(job) != job:
        raise JobError("The job has integers beyond 64 bits, which Airflow can't send from a task.")
    _check_dag(dag_id)
    _trigger(dag_id, run_id, {"job": job}, run_after)


def stop(dag_id: str, run_id: str, now: datetime) -> None:
    """Ask for a run to be stopped, as everybody can: by a run of ``clean_dag_run``, which proves it."""
    conf = {"remove_dag_id": dag_id, "remove_run_id": run_id}
    _trigger(CLEAN_DAG_RUN, f"stop__{_digest(json.dumps(conf))}__{now.timestamp():.0f}", conf, now)


def outputs(ti: RuntimeTaskInstanceProtocol, dag_id: str, run_id: str) -> dict[str, object]:
    """Return the CWL output object of a run that has succeeded; raise :class:`StepError` where a task can't have it."""
    found = handing_on.shown_values((dag_id, run_id), ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=GATHERER))
    if not isinstance(found, dict):
        raise StepError(f"The run {run_id!r} of {dag_id!r} has succeeded, but its outputs are not known any more.")
    outputs: dict[str, object] = handing_on.in_memory(found)
    handing_on.check_size(outputs, handing_on.MAX_XCOM)
    return outputs


def failure(ti: RuntimeTaskInstanceProtocol, dag_id: str, run_id: str) -> StepError:
    """Return why a run has failed: the first error that one of its tasks has left."""
    states = ti.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
    failed = [name for name, state in states.items() if state == "failed"]
    for name in failed:
        for task_id, index in _meant(name):
            error = ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=task_id, key=ERROR_KEY, map_indexes=index)
            if isinstance(error, dict):
                return _error(f"The run {run_id!r} of {dag_id!r} failed in {name}: {error.get('message')}", error)
    where = f" in {', '.join(failed[:3])}" if failed else ""
    return StepError(f"The run {run_id!r} of {dag_id!r} failed{where}; its page tells more.")


def _text(state: object) -> str:
    return str(getattr(state, "value", state))


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}~try{number}"


def _error(message: str, error: dict[str, object]) -> StepError:
    code = error.get("exit_code")
    return StepError(message, stderr=str(error.get("stderr") or ""), exit_code=code if isinstance(code, int) else None)


def _meant(name: str) -> Iterator[tuple[str, int]]:
    """Yield which task instance may be meant: Airflow puts the index of a mapped one behind its name."""
    yield name, -1
    if found := _MAPPED.match(name):
        yield found["task"], int(found["index"])


def _check_dag(dag_id: str) -> None:
    from airflow.sdk.execution_time.comms import GetDag

    try:
        dag = _ask(GetDag(dag_id=dag_id))
    except AirflowRuntimeError as error:
        if _status(error) == _NOT_FOUND:
            raise JobError(f"There is no workflow {dag_id!r} in this Airflow: upload it first.") from error
        raise
    if dag.is_paused:
        raise JobError(f"The Dag {dag_id!r} is paused, so its run would wait: switch it on first.")


def _trigger(dag_id: str, run_id: str, conf: Mapping[str, object], run_after: datetime) -> None:
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

    message = TriggerDagRun(dag_id=dag_id, run_id=run_id, conf=dict(conf))
    if "run_after" in TriggerDagRun.model_fields:  # Airflow 3.2 takes no time: it is now, as all here want it
        message.run_after = run_after
    try:
        answer = _ask(message)
    except AirflowRuntimeError as error:
        if _status(error) is None:
            raise
        raise JobError(f"Airflow does not start a run of {dag_id!r}: {_detail(error)}") from error
    if isinstance(answer, ErrorResponse) and answer.error != ErrorType.DAGRUN_ALREADY_EXISTS:
        raise JobError(f"Airflow does not start a run of {dag_id!r}: {_said(answer.detail) or answer.error.value}")


def _ask(message: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(message)


def _status(error: AirflowRuntimeError) -> int | None:
    """Return the status of HTTP that the API server has answered with; None where it has not."""
    detail = error.error.detail
    found = detail.get("status_code") if isinstance(detail, dict) else None
    return found if isinstance(found, int) else None


def _detail(error: AirflowRuntimeError) -> str:
    return _said((error.error.detail or {}).get("detail")) or str(error)[:MAX_SAID]


def _said(detail: object) -> str:
    """Return the words in what the API server has answered."""
    while isinstance(detail, dict):
        detail = detail.get("message") or detail.get("detail") or json.dumps(detail)
    return str(detail or "")[:MAX_SAID]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
