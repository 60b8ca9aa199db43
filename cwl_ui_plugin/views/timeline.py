"""When the steps of a run ran, as bars: one line for each step; of many elements only how many ran at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial

from cwl_ui_plugin.services.monitoring.run_states import state_text
from cwl_ui_plugin.services.monitoring.step_groups import StepGroup, StepLine
from cwl_ui_plugin.services.run_models import StepState

WIDTH = 1000
"""Of a line, in units of its drawing; the page stretches it."""
MAX_LINES = 200
MAX_BARS = 60
_LANES = 6
_LANE_HEIGHT = 20
_COLUMNS = 200
_TICKS = 4
_THINNEST = 2.0


@dataclass(frozen=True)
class Bar:
    """A rectangle; ``title`` says what it is of."""

    x: float
    y: float
    width: float
    height: float
    state: str
    title: str


@dataclass(frozen=True)
class Line:
    """What is drawn of a step."""

    task_id: str
    label: str
    state: str
    text: str
    """The same in words."""
    height: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Timeline:
    """The whole drawing. ``ticks`` are places from 0 to 1, with seconds; ``left_out`` lines are not shown."""

    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, float], ...]
    left_out: int


@dataclass(frozen=True)
class Span:
    """When a task instance ran, in seconds since the run began."""

    start: float
    end: float
    step: StepState


def timeline(
    lines: Sequence[StepLine], groups: Sequence[StepGroup], began: str | None, ended: str | None
) -> Timeline | None:
    """Return the drawing of a run, or None while nothing has run: ``lines`` are drawn, all tasks count for its ends."""
    started = [group for group in groups if group.started_at]
    if not started or began is None:
        return None
    zero = min(_moment(began), *(_moment(group.started_at) for group in started))
    now = datetime.now(timezone.utc).timestamp()
    # A task may end a little after its run, and a run may go on after its last task.
    end = max(
        [_moment(ended) if ended else now, *(_moment(s.ended_at) for g in started for s in g.members if s.ended_at)]
    )
    total = max(end - zero, 0.001)
    drawn = [(line, [_span(step, zero, end) for step in _drawn(line) if _has_run(step)]) for line in lines]
    shown = [_line(line, spans, total) for line, spans in drawn if spans]
    if not shown:
        return None
    ticks = tuple((number / _TICKS, total * number / _TICKS) for number in range(_TICKS + 1))
    return Timeline(tuple(shown[:MAX_LINES]), ticks, max(0, len(shown) - MAX_LINES))


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _span(step: StepState, zero: float, end: float) -> Span:
    start = _moment(step.started_at) - zero
    return Span(start, max(start, (_moment(step.ended_at) if step.ended_at else end) - zero), step)


def _drawn(line: StepLine) -> Sequence[StepState]:
    """Return what has bars in a line: the elements of a step, or all of a subworkflow as one."""
    if line.is_subworkflow:
        ends = {"started_at": line.started_at, "ended_at": line.ended_at, "shown_state": line.state}
        return [replace(line.group.first, **ends)]  # type: ignore[arg-type]
    if any(_has_run(step) for step in line.group.members):
        return line.group.members
    return [step for helper in line.helpers for step in helper.members]


def _has_run(step: StepState) -> bool:
    return step.started_at is not None and step.shown_state != "not_run"


def _line(line: StepLine, spans: list[Span], total: float) -> Line:
    group = line.group
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    text = f"{line.label}: {state_text(line.state)}, from {first:.1f} s to {last:.1f} s"
    named = partial(Line, group.task_id, line.label, line.state, text)
    if len(spans) > MAX_BARS:
        return named(2 * _LANE_HEIGHT, tuple(_crowd(spans, total)))
    lanes = min(_LANES, _lanes_of(spans))
    height = _LANE_HEIGHT if lanes == 1 else max(_LANE_HEIGHT, 8 * lanes)
    return named(height, tuple(_bars(spans, total, lanes, height)))


def _lanes_of(spans: Iterable[Span]) -> int:
    """Return how many ran at the same time."""
    events = sorted([(span.start, 1) for span in spans] + [(span.end, -1) for span in spans])
    most = running = 0
    for _when, change in events:
        running += change
        most = max(most, running)
    return max(1, most)


def _bars(spans: list[Span], total: float, lanes: int, height: int) -> Iterable[Bar]:
    free = [0.0] * lanes
    for span in sorted(spans, key=lambda span: span.start):
        lane = min(range(lanes), key=lambda number: (free[number] > span.start, free[number]))
        free[lane] = span.end
        width = max(_THINNEST, WIDTH * (span.end - span.start) / total)
        x = min(WIDTH * span.start / total, WIDTH - width)
        yield Bar(x, lane * height / lanes, width, height / lanes - (lanes > 1), span.step.shown_state, _title(span))


def _title(span: Span) -> str:
    step = span.step
    name = step.label if step.map_index < 0 else f"{step.label}: {step.element or step.map_index}"
    return f"{name}, {state_text(step.shown_state)}, {span.end - span.start:.1f} s"


def _crowd(spans: list[Span], total: float) -> Iterable[Bar]:
    """Yield a column for each moment, as high as there were elements at it."""
    counts, failed = [0] * _COLUMNS, [False] * _COLUMNS
    for span in spans:
        first = min(_COLUMNS - 1, int(_COLUMNS * span.start / total))
        last = min(_COLUMNS - 1, int(_COLUMNS * span.end / total))
        for column in range(first, last + 1):
            counts[column] += 1
            failed[column] = failed[column] or span.step.shown_state == "failed"
    most, width, height = max(counts), WIDTH / _COLUMNS, 2 * _LANE_HEIGHT
    for column, count in enumerate(counts):
        if count:
            part = height * count / most
            state = "failed" if failed[column] else "success"
            yield Bar(column * width, height - part, width, part, state, f"{count} at a time")
