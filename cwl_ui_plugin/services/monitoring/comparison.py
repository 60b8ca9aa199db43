"""Two runs side by side: what they were given, what came out, and how long it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cwl_ui_plugin.cwl.value_files import LongList, beginning, has_long
from cwl_ui_plugin.services.monitoring import queries, step_groups
from cwl_ui_plugin.services.monitoring.step_groups import StepLine
from cwl_ui_plugin.services.run_models import RunDetail

MAX_VALUE = 2000
_SAME_FILE = ("checksum", "size", "contents", "listing")


@dataclass(frozen=True)
class Pair:
    """One thing of two runs; None where a run does not have it."""

    name: str
    one: str | None
    other: str | None
    is_same: bool


@dataclass(frozen=True)
class Durations:
    """How long a step took in two runs, in seconds; None where it did not run."""

    label: str
    one: float | None
    other: float | None
    states: tuple[str | None, str | None]


@dataclass(frozen=True)
class Comparison:
    """Everything that is compared of two runs."""

    one: RunDetail
    other: RunDetail
    inputs: tuple[Pair, ...]
    outputs: tuple[Pair, ...]
    steps: tuple[Durations, ...]


def compare(one: tuple[str, ...], other: tuple[str, ...]) -> Comparison:
    """Compare two runs, each given as dag_id and run_id; raise :class:`NotFound`."""
    first, second = queries.get_run(*one), queries.get_run(*other)
    return Comparison(
        one=first,
        other=second,
        inputs=_pairs(first.job, second.job),
        outputs=_pairs(first.outputs or {}, second.outputs or {}),
        steps=_durations(first, second),
    )


def _pairs(one: Mapping[str, object], other: Mapping[str, object]) -> tuple[Pair, ...]:
    names = [*one, *(name for name in other if name not in one)]
    return tuple(
        Pair(
            name,
            _text(one[name]) if name in one else None,
            _text(other[name]) if name in other else None,
            name in one and name in other and _is_same(one[name], other[name]),
        )
        for name in names
    )


def _text(value: object) -> str:
    shown = _shown(value)
    if has_long(shown):
        return f"{beginning(shown, MAX_VALUE)[:MAX_VALUE]}…"
    text = value if isinstance(value, str) else json.dumps(shown, indent=1, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _shown(value: object) -> object:
    """Return a value with of each file only what tells people which it is."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, LongList):
        return value.mapped(_shown)
    if not isinstance(value, dict):
        return value
    if value.get("class") in ("File", "Directory"):
        keys = ("class", "basename", "size", "checksum", "location", "path")
        shown = {key: value[key] for key in keys if key in value}
        return {key: item for key, item in shown.items() if key not in ("location", "path") or "checksum" not in shown}
    return {key: _shown(item) for key, item in value.items()}


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, LongList) and isinstance(other, LongList):
        return one == other or one.mapped(_content) == other.mapped(_content)
    return _content(one) == _content(other)


def _content(value: object) -> object:
    """Return a value with of each file only what is in it: two files of the same content are the same."""
    if isinstance(value, list):
        return [_content(item) for item in value]
    if isinstance(value, LongList):
        return value.mapped(_content)
    if not isinstance(value, dict):
        return value
    if value.get("class") == "File" and "checksum" in value:
        return [value.get("basename"), *(value.get(key) for key in _SAME_FILE)]
    return {key: _content(item) for key, item in value.items()}


def _durations(one: RunDetail, other: RunDetail) -> tuple[Durations, ...]:
    first, second = _lines(one), _lines(other)
    found = []
    for task_id in [*first, *(task_id for task_id in second if task_id not in first)]:
        left, right = first.get(task_id), second.get(task_id)
        label = next(line.label for line in (left, right) if line)
        states = (left.state if left else None, right.state if right else None)
        found.append(Durations(label, left.seconds if left else None, right.seconds if right else None, states))
    return tuple(found)


def _lines(run: RunDetail) -> dict[str, StepLine]:
    """Return the steps of a run by their tasks."""
    return {line.group.task_id: line for line in step_groups.fold(step_groups.group_steps(run.steps))}
