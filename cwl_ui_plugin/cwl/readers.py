"""Who can still read what of a run: from its plan and how its tasks stand, which values some task may read yet.

Values have the full ids of the plan. A task that reads a value may hand its files on (an expression that chooses one, a
subworkflow, ``pickValue``): what it hands on has an id of its own then, and its own readers. So it is enough to look at
each task by itself: as long as one has not ended well, all that it reads may be read; a failed task may be cleared.

Two steps that run one subworkflow have the same ids in it. What is read of one of them counts as read of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.cwl.value_files import LongList

Wanted = dict[str, "frozenset[int] | None"]
"""By id, the elements of a list that may be read; None for a value as a whole."""
Batches = list[tuple[int, int]]
"""By map index, the first and the last element that a task instance runs."""


@dataclass(frozen=True)
class Flow:
    """The ids that a task reads the files of, and those under which it hands some on.

    ``by_element`` are those of ``reads`` that are lists of which each of its instances reads its own elements only;
    ``scatter`` is the task that says which these are.
    """

    reads: frozenset[str]
    makes: frozenset[str] = frozenset()
    by_element: frozenset[str] = frozenset()
    scatter: str | None = None


@dataclass(frozen=True)
class TaskNames:
    """What the tasks around a step are called: a function of the step's task id each, and the last task's id."""

    scatter: Callable[[str], str]
    gather: Callable[[str], str]
    inputs: Callable[[str], str]
    last: str


def flows(plan: Plan, names: TaskNames) -> dict[str, Flow]:
    """Return the tasks of a workflow that read or make files, by id, but for the first: its files are inputs."""
    return {**dict(_of_steps(plan.steps, names)), names.last: Flow(frozenset(plan.output_sources))}


def results_of(task_id: str) -> str:
    """Return the id for what the elements of a scattered step hand on to the task that gathers it."""
    return f"{task_id}\0results"


def wanted(flow: Mapping[str, Flow], unended: Mapping[str, Iterable[int]], batches: Callable[[str], Batches]) -> Wanted:
    """Return what may still be read, of the tasks that are ``unended``: the map indices of those instances.

    An instance of index -1 stands for the whole task. ``batches`` says what the task has handed on that divides the
    elements of a step; where it does not know, all are read.
    """
    found: Wanted = {}
    for task_id, indices in unended.items():
        reader = flow.get(task_id)
        if reader is None:
            continue
        for name in reader.reads - reader.by_element:
            found[name] = None
        elements = _elements(batches(reader.scatter), indices) if reader.by_element and reader.scatter else None
        for name in reader.by_element:
            before = found.get(name, frozenset())
            found[name] = None if elements is None or before is None else before | elements
    return found


def read_values(handed_on: object, ids: Iterable[str], read: Wanted) -> Iterator[object]:
    """Yield the values, or the elements of them, that may be read of what a task has handed on.

    ``ids`` are those that it makes. Raise :class:`ValueError` where it is nothing that a task hands on.
    """
    if not isinstance(handed_on, dict):
        raise ValueError("what a task has handed on has another shape")
    for name in ids:
        if name not in read:
            continue
        if name.endswith("\0results"):
            yield handed_on
        elif (found := handed_on.get(name)) is not None:
            value, elements = found[0], read[name]
            if elements is None or not isinstance(value, (list, LongList)):
                yield value
            else:
                yield [value[index] for index in sorted(elements) if index < len(value)]


def chosen_values(
    values: Mapping[str, Sequence[object]], by_element: Iterable[str], chosen: range
) -> dict[str, object]:
    """Return the values that an instance of a scattered step reads: of lists ``by_element`` its own elements."""
    lists = frozenset(by_element)
    return {
        name: value[chosen.start : chosen.stop] if name in lists and isinstance(value, (list, LongList)) else value
        for name, (value, *_status) in values.items()
    }


def with_chosen_alone(
    values: Mapping[str, Sequence[object]], by_element: Iterable[str], chosen: range
) -> dict[str, Any]:
    """Return values with None in the place of items that no chosen element reads, in long lists ``by_element``.

    Where it can't be told by the lists alone which these are, all are left.
    """
    lists = {name: values[name][0] for name in by_element if name in values}
    are_long = all(isinstance(item, LongList) for item in lists.values())
    lengths = {len(item) for item in lists.values() if isinstance(item, LongList)}
    if not are_long or len(lengths) != 1 or min(lengths) < chosen.stop:
        return dict(values)
    after = min(lengths) - chosen.stop
    cut = {
        name: [[*[None] * chosen.start, *item[chosen.start : chosen.stop], *[None] * after], *values[name][1:]]
        for name, item in lists.items()
        if isinstance(item, LongList)
    }
    return {**values, **cut}


def elements_of(batches: Batches, map_index: int) -> range:
    """Return which elements of a scattered step an instance of its task runs; none where that is not known."""
    if not 0 <= map_index < len(batches):
        return range(0)
    first, last = batches[map_index]
    return range(first, last + 1)


def batches_in(handed_on: object) -> Batches:
    """Return how elements are divided, by what the task has handed on that divides them."""
    return [(batch["first"], batch["last"]) for batch in handed_on] if isinstance(handed_on, list) else []


def _elements(batches: Batches, indices: Iterable[int]) -> frozenset[int] | None:
    found: set[int] = set()
    for index in indices:
        if not 0 <= index < len(batches):
            return None
        first, last = batches[index]
        found.update(range(first, last + 1))
    return frozenset(found)


def _of_steps(steps: Iterable[Step], names: TaskNames) -> Iterator[tuple[str, Flow]]:
    for step in steps:
        if step.steps:
            yield from _of_subworkflow(step, names)
        elif step.scatter:
            yield from _of_scattered(step, names)
        else:
            yield step.task_id, Flow(frozenset(step.sources), frozenset(step.outputs))


def _of_scattered(step: Step, names: TaskNames) -> Iterator[tuple[str, Flow]]:
    """Dividing and gathering work on values alone; only the elements' own task opens their files."""
    results = frozenset((results_of(step.task_id),))
    scatter = names.scatter(step.task_id)
    yield step.task_id, Flow(frozenset(step.sources), results, frozenset(step.by_element), scatter)
    yield names.gather(step.task_id), Flow(results, frozenset(step.outputs))


def _of_subworkflow(step: Step, names: TaskNames) -> Iterator[tuple[str, Flow]]:
    made = {name for inner in step.steps for name in inner.outputs}
    read = {name for inner in step.steps for name in inner.sources} | set(step.output_sources)
    yield names.inputs(step.task_id), Flow(frozenset(step.sources), frozenset(read - made))
    yield from _of_steps(step.steps, names)
    yield step.task_id, Flow(frozenset(step.output_sources), frozenset(step.outputs))
