"""What the commands of a run used over its time: cores and memory of all its tasks together.

Where a task was sampled (``cwl.processes.sampling``) its samples count; of a shorter one, what it used in all is
spread over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from cwl_ui_plugin.services.monitoring import command_logs
from cwl_ui_plugin.services.run_models import RunDetail, StepState

COLUMNS = 240


@dataclass(frozen=True)
class Usage:
    """Cores and bytes in each of :data:`COLUMNS` equal parts of the run's time: the most that was seen in it."""

    seconds: float
    cores: tuple[float, ...]
    memory: tuple[float, ...]
    sampled: int
    """How many tasks were sampled; the others ended before the first sample."""


@dataclass(frozen=True)
class _Change:
    """At a moment a task uses so much more, or less."""

    when: float
    cores: float
    memory: float


def run_usage(run: RunDetail) -> Usage | None:
    """Return what a run used, or None where nothing is known of it."""
    steps = [step for step in run.steps if step.started_at]
    lines = command_logs.usage_lines(run.summary.dag_id, run.summary.run_id)
    sampled = 0
    changes: list[_Change] = []
    for step in steps:
        samples = list(_samples(lines.get((step.task_id, step.map_index, step.try_number), ())))
        sampled += bool(samples)
        changes += _changes(step, samples)
    if not changes or run.summary.started_at is None:
        return None
    zero = min(_moment(run.summary.started_at), *(_moment(step.started_at) for step in steps))
    end = max([_end(run.summary.ended_at), *(_end(step.ended_at) for step in steps if step.ended_at)])
    cores, memory = _columns(sorted(changes, key=lambda change: change.when), zero, max(end - zero, 0.001))
    return Usage(end - zero, cores, memory, sampled)


def _moment(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _end(text: str | None) -> float:
    return _moment(text) if text else datetime.now(timezone.utc).timestamp()


def _samples(lines: Iterable[str]) -> Iterator[tuple[float, float, float]]:
    for line in lines:
        with suppress(ValueError):
            when, cores, memory = map(float, line.split())
            yield when, cores, memory


def _changes(step: StepState, samples: Sequence[tuple[float, float, float]]) -> Iterator[_Change]:
    start, end = _moment(step.started_at), _end(step.ended_at)
    if not samples and step.seconds and step.cpu_seconds is not None:
        samples = [(start, step.cpu_seconds / step.seconds, float(step.peak_memory_bytes or 0))]
    elif samples:
        samples = [(start, *samples[0][1:]), *samples[1:]]  # before its first sample it was much the same
    before = (0.0, 0.0)
    for when, cores, memory in samples:
        yield _Change(min(when, end), cores - before[0], memory - before[1])
        before = (cores, memory)
    if samples:
        yield _Change(end, -before[0], -before[1])


def _columns(changes: list[_Change], zero: float, total: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    cores, memory = [0.0] * COLUMNS, [0.0] * COLUMNS
    level_cores = level_memory = 0.0
    column = 0
    for change in changes:
        at = max(0, min(COLUMNS - 1, int(COLUMNS * (change.when - zero) / total)))
        for passed in range(column, at + 1):
            cores[passed] = max(cores[passed], level_cores)
            memory[passed] = max(memory[passed], level_memory)
        column = at
        level_cores += change.cores
        level_memory += change.memory
        cores[at], memory[at] = max(cores[at], level_cores), max(memory[at], level_memory)
    return tuple(max(0.0, value) for value in cores), tuple(max(0.0, value) for value in memory)
