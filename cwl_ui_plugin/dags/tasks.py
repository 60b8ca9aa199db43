"""The tasks of a plan: one for each step, between the dispatcher and the gatherer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import DAG, TaskGroup

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl import task_names
from cwl_ui_plugin.cwl.plan import Approval, Plan, Step
from cwl_ui_plugin.dags import assets, names
from cwl_ui_plugin.dags.operators import (
    CwlCollectOperator,
    CwlDispatchOperator,
    CwlElementsOperator,
    CwlEnterOperator,
    CwlGatherOperator,
    CwlGroupDispatchOperator,
    CwlGroupGatherOperator,
    CwlLeaveOperator,
    CwlScatterOperator,
    CwlStepOperator,
    Document,
)
from cwl_ui_plugin.dags.part_jobs import known_values
from cwl_ui_plugin.dags.parts import Part
from cwl_ui_plugin.dags.resources import ExecutorRules, OperatorArguments

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

# A step runs when everything before it succeeded or was skipped: the outputs of a skipped step are null (CWL).
TRIGGER_RULE = "none_failed"


_Common = dict[str, Any]
"""Arguments of operators, which tasks of a group have in common; each operator checks its own."""


class _StepTasks(NamedTuple):
    """The tasks of one step: the first, and the last, which has the step's values."""

    first: BaseOperator
    last: BaseOperator


class _Site(NamedTuple):
    """What the tasks of a workflow are made with: ``group`` and ``job`` are there in a Dag that somebody wrote.

    Of the ``job`` that is what is known when the Dag is made. ``only`` is the one task that somebody wants: of the
    steps that one is made which it belongs to. A process of one task of ten thousand has no use for the others.
    """

    rules: ExecutorRules
    group: TaskGroup | None = None
    job: Mapping[str, object] | None = None
    only: str | None = None

    def wants(self, step: Step) -> bool:
        """Whether the tasks of a step are to be made."""
        return self.only is None or self.only in step.tasks or any(map(self.wants, step.steps))

    def task_id(self, name: str, common: _Common) -> str:
        """Return what to call a task; Airflow itself puts the group's id before tasks that are directly in it."""
        return name if self.group is None or common["task_group"] is self.group else f"{self.group.group_id}.{name}"

    def last_of(self, step: Step) -> str:
        """Return the id of the task of a step that has its values."""
        is_gathered = step.scatter and not step.steps
        name = task_names.gather_task(step.task_id) if is_gathered else step.task_id
        return name if self.group is None else f"{self.group.group_id}.{name}"

    def group_id(self, name: str, common: _Common) -> str:
        """Return what to call a group in the workflow; the id of a group has no dots."""
        if self.group is None or common["task_group"] is self.group:
            return name
        return f"{str(self.group.group_id).replace('.', '-')}-{name}"

    def arguments(self, step: Step) -> OperatorArguments:
        """Return what the executor is told of a step."""
        return self.rules.task_arguments(step, self.job)


def add_tasks(dag: DAG, plan: Plan, document: Document, rules: ExecutorRules, only: str | None = None) -> None:
    """Add the tasks of a workflow to its Dag; with ``only``, that task, and those of others that belong to its step.

    The one is made as it would be among all, but for the tasks before and after it, which a task does not ask for.
    """
    common: _Common = {"dag": dag, "document": document, "trigger_rule": TRIGGER_RULE}
    common |= {**_retries_of(dag.default_args or {}), **rules.helper_arguments()}
    dispatcher = CwlDispatchOperator(task_id=names.DISPATCHER, inlets=assets.inlets(dag.dag_id, plan), **common)
    site = _Site(rules, only=only)
    tasks = _add_steps(plan.steps, dispatcher, common, site)
    sources = _sources_of_outputs(plan, site, dispatcher)
    outlets = assets.outlets(dag.dag_id, plan)
    gatherer = CwlGatherOperator(task_id=names.GATHERER, sources=sources, outlets=outlets, **common)
    gatherer.set_upstream(_last(plan.steps, tasks) or dispatcher)


def add_group_tasks(
    group: TaskGroup, plan: Plan, document: Document, part: Part, job: object, trigger_rule: str
) -> BaseOperator:
    """Add the tasks of a workflow to a group of a Dag that somebody wrote; return the last, which has the outputs.

    ``trigger_rule`` is for the first one. What the Dag's author sets as default of retries counts more than ``[cwl]``.
    """
    rules = ExecutorRules.configured(group.dag.dag_id, group.dag.tags)
    common: _Common = {"dag": group.dag, "task_group": group, "document": document, "part": part}
    said = {**(group.dag.default_args or {}), **group.default_args}
    common |= {**_retries_of(said), **rules.helper_arguments()}
    dispatcher = CwlGroupDispatchOperator(task_id=names.DISPATCHER, job=job, trigger_rule=trigger_rule, **common)
    common["trigger_rule"] = TRIGGER_RULE
    site = _Site(rules, group, known_values(plan, job))
    tasks = _add_steps(plan.steps, dispatcher, common, site)
    sources = _sources_of_outputs(plan, site, dispatcher)
    gatherer = CwlGroupGatherOperator(task_id=names.GATHERER, sources=sources, **common)
    gatherer.set_upstream(_last(plan.steps, tasks) or dispatcher)
    return gatherer


def _retries() -> dict[str, object]:
    """A task is tried again where that may help: a permanentFail of CWL fails it at once."""
    return {
        "retries": int(config.number("retries")),
        "retry_delay": timedelta(seconds=config.number("retry_delay")),
        "retry_exponential_backoff": True,
    }


def _retries_of(said: Mapping[str, object]) -> dict[str, object]:
    """Return the same where the author of a Dag has not said otherwise."""
    return {name: value for name, value in _retries().items() if name not in said}


def _add_steps(steps: Iterable[Step], start: BaseOperator, common: _Common, site: _Site) -> dict[str, BaseOperator]:
    """Add the tasks of the steps of a (sub)workflow; return, by step, the task that has its values.

    ``start`` is the task that has the values of the workflow's inputs.
    """
    tasks: dict[str, BaseOperator] = {}
    steps = list(steps)
    made = {name for step in steps for name in step.outputs}
    last = {step.id: site.last_of(step) for step in steps}
    for step in filter(site.wants, steps):
        before = [tasks[upstream] for upstream in step.upstream if upstream in tasks]
        sources = [start.task_id] if _reads_start(step, made) else []
        sources += [last[upstream] for upstream in step.upstream]
        own = {**common, "sources": sources}
        gate = _ask(step, step.approval, own, site) if step.approval else None
        if gate:
            own["approvals"] = (*common.get("approvals", ()), gate.task_id)
        added = _adder(step)(step, {**own, "step": step}, site)
        (gate or added.first).set_upstream(before or start)
        if gate:
            added.first.set_upstream(gate)
        tasks[step.id] = added.last
    return tasks


def _ask(step: Step, approval: Approval, common: _Common, site: _Site) -> BaseOperator:
    """Add the task that asks before a step."""
    from cwl_ui_plugin.dags.operators.approvals import (  # takes a while, and few workflows ask
        CwlApprovalOperator,
        answer_params,
    )

    return CwlApprovalOperator(
        task_id=site.task_id(task_names.approval_task(step.task_id), common),
        task_display_name=f"Approval of {_label(step)}",
        step=step,
        approval=approval,
        params=answer_params(),
        **common,
    )


def _sources_of_outputs(plan: Plan, site: _Site, start: BaseOperator) -> list[str]:
    """Return the tasks that have the values of the workflow's outputs; a tool may have more than it declares."""
    if plan.is_tool:
        return [site.last_of(step) for step in plan.steps]
    return _sources_of(plan.output_sources, plan.steps, site, start)


def _sources_of(names_read: Iterable[str], steps: Iterable[Step], site: _Site, start: BaseOperator) -> list[str]:
    """Return the tasks that have the values that outputs are made from."""
    maker = {name: site.last_of(step) for step in steps for name in step.outputs}
    return list(dict.fromkeys(maker.get(name, start.task_id) for name in names_read))


def _reads_start(step: Step, made: set[str]) -> bool:
    """Whether a step reads inputs of its workflow, or has to hear from its start that all of it is skipped."""
    return not step.upstream or any(source not in made for source in step.sources)


def _adder(step: Step) -> Callable[[Step, _Common, _Site], _StepTasks]:
    if step.steps:
        return _add_subworkflow
    return _add_scattered if step.scatter else _add_simple


def _add_simple(step: Step, common: _Common, site: _Site) -> _StepTasks:
    task = CwlStepOperator(
        task_id=site.task_id(step.task_id, common),
        task_display_name=_label(step),
        doc_md=step.doc,
        **{**common, **site.arguments(step)},
    )
    return _StepTasks(task, task)


def _add_scattered(step: Step, common: _Common, site: _Site) -> _StepTasks:
    """Add a group: which elements there are, a mapped task that runs them, and what puts their outputs together."""
    with _group(task_names.scatter_group(step.task_id), step, common, site) as group:
        common = _inside(group, common, site)
        scatter = CwlScatterOperator(task_id=site.task_id(task_names.scatter_task(step.task_id), common), **common)
        elements = CwlElementsOperator.partial(
            task_id=site.task_id(step.task_id, common),
            task_display_name=_label(step),
            doc_md=step.doc,
            map_index_template=f"{{{{ {names.ELEMENTS_LABEL} }}}}",
            **{**common, **site.arguments(step)},
        ).expand(batch=scatter.output)
        gather_id = site.task_id(task_names.gather_task(step.task_id), common)
        gather = CwlCollectOperator(task_id=gather_id, elements_task=elements.task_id, **common)
        gather.set_upstream([elements, scatter])
    return _StepTasks(scatter, gather)


def _add_subworkflow(step: Step, common: _Common, site: _Site) -> _StepTasks:
    """Add a group: what makes the subworkflow's inputs, its steps, and what hands on its outputs as the step's."""
    with _group(task_names.steps_group(step.task_id), step, common, site) as group:
        common = _inside(group, common, site)
        inherited = {key: value for key, value in common.items() if key not in ("step", "sources")}
        enter = CwlEnterOperator(task_id=site.task_id(task_names.inputs_task(step.task_id), common), **common)
        tasks = _add_steps(step.steps, enter, inherited, site)
        sources = _sources_of(step.output_sources, step.steps, site, enter)
        sources = list(dict.fromkeys([enter.task_id, *sources]))  # it tells whether all of it is skipped
        leave = CwlLeaveOperator(
            task_id=site.task_id(step.task_id, common),
            task_display_name=_label(step),
            doc_md=step.doc,
            **{**common, "sources": sources},
        )
        leave.set_upstream(_last(step.steps, tasks) or enter)
    return _StepTasks(enter, leave)


def _group(name: str, step: Step, common: _Common, site: _Site) -> TaskGroup:
    parent = {"parent_group": common["task_group"]} if site.group else {}
    return TaskGroup(
        site.group_id(name, common),
        dag=common["dag"],
        prefix_group_id=False,
        group_display_name=_label(step),
        tooltip=step.doc or "",
        **parent,
    )


def _inside(group: TaskGroup, common: _Common, site: _Site) -> _Common:
    """Return what tasks in a group are made with."""
    return {**common, "task_group": group} if site.group else common


def _label(step: Step) -> str:
    return step.label or step.task_id


def _last(steps: Iterable[Step], tasks: dict[str, BaseOperator]) -> list[BaseOperator]:
    """Return the tasks of the steps that no other step reads from, those that are made."""
    steps = list(steps)
    read = {upstream for step in steps for upstream in step.upstream}
    return [tasks[step.id] for step in steps if step.id not in read and step.id in tasks]
