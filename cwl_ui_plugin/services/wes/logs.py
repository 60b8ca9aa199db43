"""What WES tells of one run: its RunLog, and a TaskLog for each task that runs something of the workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from cwl_ui_plugin.cwl.task_names import helped_task, is_end
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring import command_logs, queries
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.run_models import RunDetail, StepState
from cwl_ui_plugin.services.wes.locations import with_addresses, without_folder
from cwl_ui_plugin.services.wes.requests import FOLDERS, TYPE, RunRequest
from cwl_ui_plugin.services.wes.run_ids import page_token, position_of, run_id_of
from cwl_ui_plugin.services.wes.runs import DEFAULT_PAGE, MAX_PAGE, state_of, time_text
from cwl_ui_plugin.services.workflows.details import stored_version

MAX_TASKS = 100
"""Of so many tasks the logs stand in the RunLog itself, for clients of WES 1.0."""
MAX_PRINTED = 1000
"""Of so many tasks the standard error is in that of the run."""
_ELEMENT = ":"
"""Between the id of a task and the number of its scatter element."""
_Json = dict[str, object]


def run_log(dag_id: str, run_id: str, base: str) -> _Json:
    """Return the RunLog of a run; ``base`` is the address of the service. Raise :class:`NotFound`."""
    state = state_of(dag_id, run_id)
    detail = queries.get_run(dag_id, run_id)
    here = f"{base}/runs/{run_id_of(dag_id, run_id)}"
    tasks = _steps(detail)
    log = {
        "name": detail.summary.name,
        "start_time": time_text(detail.summary.started_at),
        "end_time": time_text(detail.summary.ended_at),
        "stdout": f"{here}/stdout",
        "stderr": f"{here}/stderr",
        "exit_code": _exit_code(state, tasks),
        "system_logs": [detail.error] if detail.error else [],
    }
    return {
        "run_id": run_id_of(dag_id, run_id),
        "request": _request(detail),
        "state": state,
        "run_log": _without_none(log),
        "task_logs_url": f"{here}/tasks",
        "task_logs": [_task_log(step, here) for step in tasks] if len(tasks) <= MAX_TASKS else None,
        "outputs": _outputs(detail, here),
    }


def list_tasks(dag_id: str, run_id: str, base: str, *, size: int = DEFAULT_PAGE, token: str = "") -> _Json:
    """Return a TaskListResponse, in the order of the workflow; raise :class:`NotFound` or :class:`BadRequest`."""
    begin, size = position_of(token) or 0, min(size, MAX_PAGE)
    here = f"{base}/runs/{run_id_of(dag_id, run_id)}"
    steps = _steps(queries.get_run(dag_id, run_id))
    more = page_token(begin + size) if begin + size < len(steps) else ""
    return {"task_logs": [_task_log(step, here) for step in steps[begin : begin + size]], "next_page_token": more}


def task_log(dag_id: str, run_id: str, task: str, base: str) -> _Json:
    """Return the TaskLog of a task by the id that lists have of it; raise :class:`NotFound`."""
    for step in _steps(queries.get_run(dag_id, run_id)):
        if _task_id(step) == task:
            return _task_log(step, f"{base}/runs/{run_id_of(dag_id, run_id)}")
    raise NotFound(f"The run has no task {task[:80]!r}.")


def try_of(dag_id: str, run_id: str, task: str) -> TaskTry:
    """Return the last try of a task, by the id that lists have of it; raise :class:`NotFound`."""
    task_id, _, number = task.partition(_ELEMENT)
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound(f"The run has no task {task[:80]!r}.")
    return command_logs.find_try(dag_id, run_id, task_id, int(number) if number else -1)


def printed(dag_id: str, run_id: str) -> Iterator[bytes]:
    """Yield what the commands of a run have written to standard error, task by task, and why it failed.

    Raise :class:`NotFound` at once.
    """
    return _printed(queries.get_run(dag_id, run_id))


def _printed(detail: RunDetail) -> Iterator[bytes]:
    summary, written = detail.summary, 0
    for step in _steps(detail):
        if step.started_at is None:
            continue
        written += 1
        if written > MAX_PRINTED:
            yield f"[{MAX_PRINTED} tasks are shown; the others have logs of their own]\n".encode()
            break
        key = TaskTry(summary.dag_id, summary.run_id, step.task_id, step.map_index, step.try_number)
        yield f"[{_task_id(step)}] {step.shown_state}\n".encode("utf-8", "replace")
        try:
            yield from command_logs.stream_log(key, "stderr")[1]
        except (NotFound, BadRequest, OSError):
            yield (step.stderr or "").encode("utf-8", "replace")
    if detail.error:
        yield f"\n{detail.error}\n".encode("utf-8", "replace")


def _steps(detail: RunDetail) -> list[StepState]:
    """Return the tasks of steps; those that only help them where they have failed."""
    return [step for step in detail.steps if step.error or not (is_end(step.task_id) or helped_task(step.task_id))]


def _task_id(step: StepState) -> str:
    return step.task_id if step.map_index < 0 else f"{step.task_id}{_ELEMENT}{step.map_index}"


def _task_log(step: StepState, here: str) -> _Json:
    address = f"{here}/tasks/{quote(_task_id(step), safe=_ELEMENT)}"
    has_begun = step.started_at is not None
    return _without_none(
        {
            "id": _task_id(step),
            "name": f"{step.label} ({step.element})" if step.element else step.label,
            "cmd": list(step.command) if step.command else [],
            "start_time": time_text(step.started_at),
            "end_time": time_text(step.ended_at),
            "stdout": f"{address}/stdout" if has_begun else None,
            "stderr": f"{address}/stderr" if has_begun else None,
            "exit_code": step.exit_code,
            "system_logs": [step.error] if step.error else [],
        }
    )


def _exit_code(state: str, steps: Iterable[StepState]) -> int | None:
    """Return what the run ended with, as a command that runs it would: the exit code of the command that failed."""
    if state == "COMPLETE":
        return 0
    if state != "EXECUTOR_ERROR":
        return None
    codes = (step.exit_code for step in steps if step.shown_state == "failed" and step.exit_code)
    return next(codes, 1)


def _request(detail: RunDetail) -> _Json:
    """Return the request of a run; of one that was started elsewhere, what it would have been."""
    kept = RunRequest.kept(detail.wes)
    if kept is None:
        version = stored_version(detail.summary.dag_id, detail.version) if detail.version else None
        kept = RunRequest(TYPE, version.plan.cwl_version if version else "v1.2", detail.summary.dag_id)
    params = {name: value for name, value in detail.job.items() if name not in FOLDERS}
    shown = {name: value for name, value in kept.as_json().items() if name != "attachments"}
    return {**shown, "workflow_params": without_folder(params, kept.attachments)}


def _outputs(detail: RunDetail, here: str) -> _Json:
    if not isinstance(detail.outputs, dict):
        return {}
    summary = detail.summary
    outputs, place = output_files.load(summary.dag_id, summary.run_id, detail.outputs)
    return with_addresses(outputs or {}, lambda location: output_files.name_in(place, location), f"{here}/outputs")


def _without_none(log: Mapping[str, object]) -> _Json:
    return {name: value for name, value in log.items() if value is not None}
