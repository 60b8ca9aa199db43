"""What belongs to a run and has a page of its own: a step with what it printed, elements, charts."""

from __future__ import annotations

from dataclasses import asdict

from flask import request
from flask.typing import ResponseReturnValue
from flask_appbuilder import expose

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import requires
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring import (
    command_logs,
    declared_streams,
    failure_advice,
    queries,
    resource_usage,
    run_end,
    step_groups,
)
from cwl_ui_plugin.services.monitoring.failures import message_of
from cwl_ui_plugin.services.previewing import searching
from cwl_ui_plugin.services.run_models import StepState
from cwl_ui_plugin.views.addresses import rooted
from cwl_ui_plugin.views.base import answer_json, page_offset, run_arguments
from cwl_ui_plugin.views.run_files import RunFilesView
from cwl_ui_plugin.views.usage_chart import areas

ELEMENTS_PAGE = 100
MAX_TEXT = 250


class RunView(RunFilesView):
    """Looking into a run. A script asks for the middle of a page alone, to show it inside of another."""

    default_view = "step"

    @expose("/run/step")
    @requires(permissions.may_read, "dag_id")
    def step(self) -> ResponseReturnValue:
        """Show a task instance: how it went, its command, and what that has printed."""
        task = _try()
        run = queries.get_run(task.dag_id, task.run_id)
        step = _step(run.steps, task.task_id, task.map_index)
        is_last = step.try_number == task.try_number
        return self.page(
            "step.html",
            run=run,
            summary=run.summary,
            step=step,
            task=task,
            is_last=is_last,
            ended_states=step_groups.ENDED,
            command=(step.command if is_last else None) or command_logs.running_command(task),
            declared=declared_streams.declared(run, step.task_id),
            message=message_of(step),
            advice=failure_advice.advice(step) if step.shown_state == "failed" and is_last else None,
            streams=[
                (stream, command_logs.read_log(task, stream), _log_address(task, stream))
                for stream in command_logs.STREAMS
            ],
            keep_logs_days=config.number("keep_logs_days"),
            keep_failed_days=config.number("keep_failed_days"),
        )

    @expose("/run/log")
    @requires(permissions.may_read, "dag_id")
    def log(self) -> ResponseReturnValue:
        """Tell a script what a task has printed since it asked last."""
        task = _try()
        part = command_logs.read_log(task, request.args.get("stream", ""), request.args.get("offset", type=int))
        return answer_json(asdict(part) if part else {"text": "", "start": 0, "end": 0, "size": 0})

    @expose("/run/log/search")
    @requires(permissions.may_read, "dag_id")
    def log_search(self) -> ResponseReturnValue:
        """Show the lines of what a task has printed that have some words."""
        task, words, stream = _try(), request.args.get("words", ""), request.args.get("stream", "")
        with command_logs.open_log(task, stream) as file:
            found = searching.search(file, words) if words else None
        summary = {"dag_id": task.dag_id, "run_id": task.run_id}
        return self.fragment("file_search", summary=summary, name=f"{task.task_id}: {stream}", words=words, found=found)

    @expose("/run/end")
    @requires(permissions.may_read, "dag_id")
    def end(self) -> ResponseReturnValue:
        """Tell a script whether a run has ended, and how."""
        return answer_json(asdict(run_end.run_end(*run_arguments())))

    @expose("/run/elements")
    @requires(permissions.may_read, "dag_id")
    def elements(self) -> ResponseReturnValue:
        """Show the elements of a scattered step, or those in one state."""
        dag_id, run_id, task_id = run_arguments("task_id")
        offset, state = page_offset(), request.args.get("state") or None
        text = request.args.get("text", "").strip()[:MAX_TEXT]
        run = queries.get_run(dag_id, run_id)
        group = next((group for group in step_groups.group_steps(run.steps) if group.task_id == task_id), None)
        if group is None:
            raise NotFound(f"The run {run_id!r} has no task {task_id!r}.")
        members = [step for step in group.members if state in (None, step.shown_state) and _is_called(step, text)]
        return self.fragment(
            "elements",
            run=run,
            summary=run.summary,
            group=group,
            state=state,
            text=text or None,
            members=members[offset : offset + ELEMENTS_PAGE],
            total=len(members),
            offset=offset,
            page_size=ELEMENTS_PAGE,
        )

    @expose("/run/usage")
    @requires(permissions.may_read, "dag_id")
    def usage(self) -> ResponseReturnValue:
        """Show what the commands of a run used over its time."""
        dag_id, run_id = run_arguments()
        run = queries.get_run(dag_id, run_id)
        found = resource_usage.run_usage(run)
        return self.fragment(
            "usage",
            summary=run.summary,
            usage=found,
            areas=areas(found) if found else (),
            keep_logs_days=config.number("keep_logs_days"),
        )


def _try() -> TaskTry:
    dag_id, run_id, task_id = run_arguments("task_id")
    number = request.args.get("try", type=int)
    if "try" in request.args and number is None:
        raise BadRequest("The number of a try is a whole number.")
    return command_logs.find_try(dag_id, run_id, task_id, request.args.get("map_index", -1, type=int), number)


def _step(steps: tuple[StepState, ...], task_id: str, map_index: int) -> StepState:
    for step in steps:
        if (step.task_id, step.map_index) == (task_id, map_index):
            return step
    raise NotFound(f"The run has no task {task_id!r} any more.")


def _is_called(step: StepState, text: str) -> bool:
    return text.casefold() in (step.element or str(step.map_index)).casefold()


def _log_address(task: TaskTry, stream: str) -> str:
    return rooted(addresses.log(task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number, stream))
