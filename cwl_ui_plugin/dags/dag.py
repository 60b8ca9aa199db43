"""From a plan to a Dag: one task per step, between the dispatcher and the gatherer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import attrs
from airflow.sdk import DAG, TaskGroup
from airflow.sdk.definitions.timetables.simple import NullTimetable

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl import task_names
from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.operators import (
    CwlCollectOperator,
    CwlDispatchOperator,
    CwlElementsOperator,
    CwlEnterOperator,
    CwlGatherOperator,
    CwlLeaveOperator,
    CwlScatterOperator,
    CwlStepOperator,
    Document,
)
from cwl_ui_plugin.dags.resources import ExecutorRules
from cwl_ui_plugin.library.store import StoredVersion

# A step runs when everything before it succeeded or was skipped: the outputs of a skipped step are null (CWL).
TRIGGER_RULE = "none_failed"
_AIRFLOWS_TIMETABLE: Any = attrs.fields(DAG).timetable.default
_PACKAGE = str(Path(__file__).parents[1])


@attrs.define(init=False, repr=False, eq=False, slots=False)  # as DAG itself, for a field of our own
class CWLDAG(DAG):
    """A Dag that runs a CWL document.

    In a Dag file, ``CWLDAG(workflow="x.cwl", dag_id="x")`` reads the document (relative to that file), validates and
    compiles it when it is new or was changed, and makes a Dag of it. All other arguments are those of
    :class:`airflow.sdk.DAG`; the defaults differ in that the Dag has no schedule and is not paused.

    Raises:
        DocumentError: the document can't be used; Airflow shows the message as an import error.

    """

    timetable: Any = attrs.field(init=False)

    @timetable.default
    def _timetable_of_schedule(self) -> Any:
        """Take the usual schedule as it is: before Airflow does, it loads its timetables, for longer than all else."""
        return self.schedule if isinstance(self.schedule, NullTimetable) else _AIRFLOWS_TIMETABLE.factory(self)

    def __init__(
        self,
        dag_id: str,
        workflow: str | Path | None = None,
        *,
        version: StoredVersion | None = None,
        **kwargs: Any,
    ) -> None:
        calling_file = _calling_file()
        found = version or _document_of_file(workflow, calling_file, dag_id)
        plan = found.plan
        settings: dict[str, Any] = {
            "schedule": NullTimetable(),  # as None, which makes Airflow import its cron timetables
            "catchup": False,
            "is_paused_upon_creation": False,
            "description": plan.label,
            "doc_md": _documentation(plan, found.revision),
            **kwargs,
        }
        settings["tags"] = {names.TAG, *(settings.get("tags") or ())}
        self.__attrs_init__(dag_id, **settings)
        self.fileloc = calling_file
        self.version = found
        _add_tasks(self, plan, Document(compiled=found.compiled, source=found.source))


class _StepTasks(NamedTuple):
    """The tasks of one step: the first, and the last, which has the step's values."""

    first: Any
    last: Any


def _add_tasks(dag: DAG, plan: Plan, document: Document) -> None:
    common: dict[str, Any] = {"dag": dag, "document": document, "trigger_rule": TRIGGER_RULE, **_retries()}
    dispatcher = CwlDispatchOperator(task_id=names.DISPATCHER, **common)
    tasks = _add_steps(plan.steps, dispatcher, common, ExecutorRules.configured())
    gatherer = CwlGatherOperator(task_id=names.GATHERER, sources=_sources_of_outputs(plan, tasks, dispatcher), **common)
    gatherer.set_upstream(_last(plan.steps, tasks) or dispatcher)


def _retries() -> dict[str, Any]:
    """A task is tried again where that may help: a permanentFail of CWL fails it at once."""
    return {
        "retries": int(config.number("retries")),
        "retry_delay": timedelta(seconds=config.number("retry_delay")),
        "retry_exponential_backoff": True,
    }


def _add_steps(steps: Iterable[Step], start: Any, common: dict[str, Any], rules: ExecutorRules) -> dict[str, Any]:
    """Add the tasks of the steps of a (sub)workflow; return, by step, the task that has its values.

    ``start`` is the task that has the values of the workflow's inputs.
    """
    tasks: dict[str, Any] = {}
    steps = list(steps)
    made = {name for step in steps for name in step.outputs}
    for step in steps:
        before = [tasks[upstream] for upstream in step.upstream]
        sources = [task.task_id for task in ([start] if _reads_start(step, made) else []) + before]
        added = _adder(step)(step, {**common, "step": step, "sources": sources}, rules)
        added.first.set_upstream(before or start)
        tasks[step.id] = added.last
    return tasks


def _sources_of_outputs(plan: Plan, tasks: dict[str, Any], start: Any) -> list[str]:
    """Return the tasks that have the values of the workflow's outputs; a tool may have more than it declares."""
    if plan.is_tool:
        return [task.task_id for task in tasks.values()]
    return _sources_of(plan.output_sources, plan.steps, tasks, start)


def _sources_of(names_read: Iterable[str], steps: Iterable[Step], tasks: dict[str, Any], start: Any) -> list[str]:
    """Return the tasks that have the values that outputs are made from."""
    maker = {name: tasks[step.id].task_id for step in steps for name in step.outputs}
    return list(dict.fromkeys(maker.get(name, start.task_id) for name in names_read))


def _reads_start(step: Step, made: set[str]) -> bool:
    """Whether a step reads inputs of its workflow, or has to hear from its start that all of it is skipped."""
    return not step.upstream or any(source not in made for source in step.sources)


def _adder(step: Step) -> Callable[[Step, dict[str, Any], ExecutorRules], _StepTasks]:
    if step.steps:
        return _add_subworkflow
    return _add_scattered if step.scatter else _add_simple


def _add_simple(step: Step, common: dict[str, Any], rules: ExecutorRules) -> _StepTasks:
    task = CwlStepOperator(
        task_id=step.task_id, task_display_name=_label(step), doc_md=step.doc, **rules.task_arguments(step), **common
    )
    return _StepTasks(task, task)


def _add_scattered(step: Step, common: dict[str, Any], rules: ExecutorRules) -> _StepTasks:
    """Add a group: which elements there are, a mapped task that runs them, and what puts their outputs together."""
    with _group(task_names.scatter_group(step.task_id), step, common):
        scatter = CwlScatterOperator(task_id=task_names.scatter_task(step.task_id), **common)
        elements = CwlElementsOperator.partial(
            task_id=step.task_id,
            task_display_name=_label(step),
            doc_md=step.doc,
            map_index_template=f"{{{{ {names.ELEMENTS_LABEL} }}}}",
            **rules.task_arguments(step),
            **common,
        ).expand(batch=scatter.output)
        gather = CwlCollectOperator(task_id=task_names.gather_task(step.task_id), elements_task=step.task_id, **common)
        gather.set_upstream([elements, scatter])
    return _StepTasks(scatter, gather)


def _add_subworkflow(step: Step, common: dict[str, Any], rules: ExecutorRules) -> _StepTasks:
    """Add a group: what makes the subworkflow's inputs, its steps, and what hands on its outputs as the step's."""
    inherited = {key: value for key, value in common.items() if key not in ("step", "sources")}
    with _group(task_names.steps_group(step.task_id), step, common):
        enter = CwlEnterOperator(task_id=task_names.inputs_task(step.task_id), **common)
        tasks = _add_steps(step.steps, enter, inherited, rules)
        sources = _sources_of(step.output_sources, step.steps, tasks, enter)
        sources = list(dict.fromkeys([enter.task_id, *sources]))  # it tells whether all of it is skipped
        leave = CwlLeaveOperator(
            task_id=step.task_id,
            task_display_name=_label(step),
            doc_md=step.doc,
            **{**common, "sources": sources},
        )
        leave.set_upstream(_last(step.steps, tasks) or enter)
    return _StepTasks(enter, leave)


def _group(group_id: str, step: Step, common: dict[str, Any]) -> TaskGroup:
    return TaskGroup(
        group_id, dag=common["dag"], prefix_group_id=False, group_display_name=_label(step), tooltip=step.doc or ""
    )


def _label(step: Step) -> str:
    return step.label or step.task_id


def _last(steps: Iterable[Step], tasks: dict[str, Any]) -> list[Any]:
    """Return the tasks of the steps that no other step reads from."""
    steps = list(steps)
    read = {upstream for step in steps for upstream in step.upstream}
    return [tasks[step.id] for step in steps if step.id not in read]


def _documentation(plan: Plan, revision: str) -> str:
    """Text for Airflow's Dag page. It names the version, so that each version is one of Airflow's, too."""
    parts = [f"# {plan.label}" if plan.label else "", plan.doc or ""]
    parts.append(f"CWL {plan.cwl_version} {plan.kind} `{plan.main}`, version `{revision}`")
    return "\n\n".join(part for part in parts if part)


def _calling_file() -> str:
    """Return the Dag file that is being read: the first caller outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename


def _document_of_file(workflow: str | Path | None, calling_file: str, dag_id: str) -> StoredVersion:
    """Return the compiled document that a Dag file names."""
    from cwl_ui_plugin.library.documents import local_document  # uploaded workflows need nothing of it

    if workflow is None:
        raise TypeError("CWLDAG needs the path of a CWL document: CWLDAG(workflow='x.cwl', dag_id='x').")
    return local_document(Path(calling_file).parent / workflow, dag_id)
