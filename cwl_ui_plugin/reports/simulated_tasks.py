"""The tasks that a run of a plan has, in an order in which they may run one after the other; no Airflow is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.cwl.task_names import DISPATCHER, GATHERER, inputs_task


@dataclass(frozen=True)
class SimulatedTask:
    """A task: ``upstream`` are those that it comes after, ``step`` the id of the task of its step.

    ``is_command`` tells that it runs the step's tool; ``elements`` that it is mapped, and to how many.
    """

    task_id: str
    upstream: frozenset[str]
    step: str = ""
    is_command: bool = False
    elements: int | None = None

    @property
    def map_indexes(self) -> range:
        """The numbers of its instances, -1 for one that is not mapped."""
        return range(-1, 0) if self.elements is None else range(self.elements)


def tasks_of(plan: Plan, elements: int) -> list[SimulatedTask]:
    """Return the tasks of a plan whose scattered steps have so many elements."""
    steps, last = _of_steps(plan.steps, DISPATCHER, elements)
    ends = _ends(plan.steps, last) or {DISPATCHER}
    return [SimulatedTask(DISPATCHER, frozenset()), *steps, SimulatedTask(GATHERER, frozenset(ends))]


def step_names(plan: Plan) -> list[str]:
    """Return the names of all steps of a plan: the ids of their tasks."""
    return [step.task_id for _depth, step in plan.all_steps()]


def _of_steps(steps: Iterable[Step], start: str, elements: int) -> tuple[list[SimulatedTask], dict[str, str]]:
    """Return the tasks of some steps, and by step the last of its own."""
    last: dict[str, str] = {}
    tasks: list[SimulatedTask] = []
    for step in steps:
        before = frozenset(last[name] for name in step.upstream) or frozenset([start])
        tasks += _of_step(step, before, elements)
        last[step.id] = tasks[-1].task_id
    return tasks, last


def _of_step(step: Step, before: frozenset[str], elements: int) -> Iterator[SimulatedTask]:
    for task_id in step.tasks:
        if task_id == step.task_id and step.steps:
            inner, last = _of_steps(step.steps, inputs_task(step.task_id), elements)
            yield from inner
            before = frozenset(_ends(step.steps, last)) or before
        is_command = task_id == step.task_id and not step.steps
        mapped = elements if is_command and step.scatter else None
        yield SimulatedTask(task_id, before, step.task_id, is_command, mapped)
        before = frozenset([task_id])


def _ends(steps: Iterable[Step], last: dict[str, str]) -> set[str]:
    """Return the last tasks of the steps that no other step reads from."""
    steps = list(steps)
    read = {name for step in steps for name in step.upstream}
    return {last[step.id] for step in steps if step.id not in read}
