"""Scattered steps as one task each: so receivers of the predecessors know them, which ran a scatter in one task."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cwl_ui_plugin.reports.due import TaskFact

_FIRST = ("failed", "upstream_failed", "up_for_retry", "running")
"""The state of a step is the first of these that an element of it has."""


class WholeSteps:
    """The states of steps, as they follow from what was told of their elements."""

    def __init__(self, tasks: Iterable[TaskFact], told: Mapping[str, str]) -> None:
        self._sizes = Counter(task.task_id for task in tasks if task.is_last and task.map_index >= 0)
        self._elements: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for key, state in told.items():
            task_id, element, number = key.rsplit("|", 2)
            if task_id in self._sizes and int(element) >= 0:
                self._set(task_id, element, int(number), state)

    def after(self, task: TaskFact, state: str) -> str | None:
        """Take what is told of a try; return the state of its step, or None if that is what it was before."""
        if task.map_index < 0:
            return state
        before = self._state(task.task_id)
        self._set(task.task_id, str(task.map_index), task.try_number, state)
        now = self._state(task.task_id)
        return now if now != before else None

    def _set(self, task_id: str, element: str, number: int, state: str) -> None:
        elements, counts = self._elements[task_id], self._counts[task_id]
        last = elements.get(element)
        if last is not None:
            if last[0] > number:
                return
            counts[last[1]] -= 1
        elements[element] = (number, state)
        counts[state] += 1

    def _state(self, task_id: str) -> str:
        elements, counts = self._elements[task_id], self._counts[task_id]
        if not elements:
            return ""
        for state in _FIRST:
            if counts[state]:
                return state
        if len(elements) < self._sizes[task_id]:
            return "running"
        return "success" if counts["success"] else "skipped"
