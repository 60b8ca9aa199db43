"""What belongs to a run and has a page of its own: a step with what it printed, elements, outputs, charts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import request
from flask_appbuilder import expose

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import requires
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.models import StepState
from cwl_ui_plugin.services.monitoring import command_logs, failure_advice, queries, resource_usage, step_groups
from cwl_ui_plugin.services.outputs import output_files, output_tree, previews
from cwl_ui_plugin.views.addresses import rooted
from cwl_ui_plugin.views.base import CwlView, answer_json, wants_json
from cwl_ui_plugin.views.usage_chart import areas

ELEMENTS_PAGE = 100


class RunView(CwlView):
    """Looking into a run. A script asks for the middle of a page alone, to show it inside of another."""

    default_view = "step"

    @expose("/run/step")
    @requires(permissions.may_read, "dag_id")
    def step(self) -> Any:
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
            command=(step.command if is_last else None) or command_logs.running_command(task),
            advice=failure_advice.advice(step) if step.state == "failed" and is_last else None,
            streams=[
                (stream, command_logs.read_log(task, stream), _log_address(task, stream))
                for stream in command_logs.STREAMS
            ],
            keep_logs_days=config.number("keep_logs_days"),
            keep_failed_days=config.number("keep_failed_days"),
        )

    @expose("/run/log")
    @requires(permissions.may_read, "dag_id")
    def log(self) -> Any:
        """Tell a script what a task has printed since it asked last."""
        task = _try()
        part = command_logs.read_log(task, request.args.get("stream", ""), request.args.get("offset", type=int))
        return answer_json(asdict(part) if part else {"text": "", "start": 0, "end": 0, "size": 0})

    @expose("/run/elements")
    @requires(permissions.may_read, "dag_id")
    def elements(self) -> Any:
        """Show the elements of a scattered step, or those in one state."""
        dag_id, run_id, task_id = _run_arguments("task_id")
        offset, state = _offset(), request.args.get("state") or None
        run = queries.get_run(dag_id, run_id)
        group = next((group for group in step_groups.group_steps(run.steps) if group.task_id == task_id), None)
        if group is None:
            raise NotFound(f"The run {run_id!r} has no task {task_id!r}.")
        members = [step for step in group.members if state in (None, step.state)]
        return self._fragment(
            "elements",
            run=run,
            summary=run.summary,
            group=group,
            state=state,
            members=members[offset : offset + ELEMENTS_PAGE],
            total=len(members),
            offset=offset,
            page_size=ELEMENTS_PAGE,
        )

    @expose("/run/outputs")
    @requires(permissions.may_read, "dag_id")
    def outputs(self) -> Any:
        """Show a part of the outputs: what is in a folder, or at a place of the output object."""
        dag_id, run_id = _run_arguments()
        path, place = request.args.get("path"), request.args.getlist("place")
        if path is None:
            nodes = output_tree.output_nodes(dag_id, run_id, place, _offset())
        else:
            nodes = output_tree.folder_nodes(dag_id, run_id, path, _offset())
        return self._fragment(
            "outputs_part",
            summary={"dag_id": dag_id, "run_id": run_id},
            nodes=nodes,
            name=path if path is not None else " / ".join(place) or "Outputs",
            offset=_offset(),
            page_size=output_tree.PAGE,
        )

    @expose("/run/preview")
    @requires(permissions.may_read, "dag_id")
    def preview(self) -> Any:
        """Show what an output file looks like."""
        dag_id, run_id, path = _run_arguments("path")
        with output_files.open_output(dag_id, run_id, path) as file:
            preview = previews.preview(file, path)
        return self._fragment(
            "preview",
            summary={"dag_id": dag_id, "run_id": run_id},
            path=path,
            preview=preview,
        )

    @expose("/run/usage")
    @requires(permissions.may_read, "dag_id")
    def usage(self) -> Any:
        """Show what the commands of a run used over its time."""
        dag_id, run_id = _run_arguments()
        run = queries.get_run(dag_id, run_id)
        found = resource_usage.run_usage(run)
        return self._fragment(
            "usage",
            summary=run.summary,
            usage=found,
            areas=areas(found) if found else (),
            keep_logs_days=config.number("keep_logs_days"),
        )

    def _fragment(self, template: str, **context: Any) -> Any:
        """Return a template by itself to a script that shows it in its page, and as a page to everybody else."""
        if wants_json():
            return self.render_template(f"cwl_ui_plugin/{template}.html", **context)
        return self.page("run_fragment.html", fragment=f"cwl_ui_plugin/{template}.html", **context)


def _run_arguments(*more: str) -> tuple[str, ...]:
    return tuple(request.args.get(name, "") for name in ("dag_id", "run_id", *more))


def _offset() -> int:
    return max(0, request.args.get("offset", 0, type=int))


def _try() -> TaskTry:
    dag_id, run_id, task_id = _run_arguments("task_id")
    number = request.args.get("try", type=int)
    if "try" in request.args and number is None:
        raise BadRequest("The number of a try is a whole number.")
    return command_logs.find_try(dag_id, run_id, task_id, request.args.get("map_index", -1, type=int), number)


def _step(steps: tuple[StepState, ...], task_id: str, map_index: int) -> StepState:
    for step in steps:
        if (step.task_id, step.map_index) == (task_id, map_index):
            return step
    raise NotFound(f"The run has no task {task_id!r} any more.")


def _log_address(task: TaskTry, stream: str) -> str:
    return rooted(addresses.log(task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number, stream))
