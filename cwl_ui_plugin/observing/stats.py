"""The plugin's metrics in Airflow's own Stats (StatsD, Datadog or OpenTelemetry, as ``[metrics]`` says).

Each is emitted in the process where it happens. A process has one of two copies of Airflow's Stats set up: the one of
the Task SDK in tasks, the other in the API server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.observed import Observed

log = logging.getLogger(__name__)
COUNTER, GAUGE, TIMER = "counter", "gauge", "timer"
FOLDERS = ("workflows", "inputs", "outputs", "tmp", "reuse")
LOOPS = ("reports", "background", "watched-folders", "batches", "notifications")


@dataclass(frozen=True)
class Metric:
    """A metric: ``unit`` is that of its values, ``process`` where it is emitted. ``tags`` come on top of its name."""

    name: str
    kind: str
    unit: str
    process: str
    meaning: str
    tags: tuple[str, ...] = ()


_TASK, _SERVER, _LEADER = "task", "API server", "the API server that holds the loop's lease"
_OF_TASK = ("dag_id", "task_id")
METRICS = (
    Metric(
        "cwl.element.duration", TIMER, "ms", _TASK, "One command of a step, or of an element of a scatter", _OF_TASK
    ),
    Metric("cwl.reuse.hits", COUNTER, "steps or elements", _TASK, "Outputs taken from an earlier run", _OF_TASK),
    Metric("cwl.reuse.misses", COUNTER, "steps or elements", _TASK, "Looked for, and not there", _OF_TASK),
    Metric("cwl.compile.duration", TIMER, "ms", _SERVER, "Validating and compiling an uploaded workflow"),
    Metric("cwl.compile.failures", COUNTER, "uploads", _SERVER, "Uploads that could not be compiled"),
    Metric("cwl.stop.duration", TIMER, "ms", _SERVER, "A stop, until all processes of the run were proven gone"),
    Metric("cwl.stop.failures", COUNTER, "stops", _SERVER, "Stops after which processes were left"),
    Metric("cwl.reports.backlog", GAUGE, "reports", _LEADER, "Reports that wait for the receiver"),
    Metric("cwl.reports.oldest_age", GAUGE, "s", _LEADER, "Age of the report that waits the longest; 0 without one"),
    *(
        Metric(f"cwl.loop.lag.{name}", GAUGE, "s", _LEADER, "How late the last round of the loop began")
        for name in LOOPS
    ),
    *(Metric(f"cwl.disk.free.{name}", GAUGE, "bytes", _LEADER, "Free on the disk of the folder") for name in FOLDERS),
    *(Metric(f"cwl.disk.total.{name}", GAUGE, "bytes", _LEADER, "Size of the disk of the folder") for name in FOLDERS),
)
"""All of them, as the docs list them."""
_SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
_KINDS = {metric.name: metric.kind for metric in METRICS}


def of_task(seen: Observed, dag_id: str, task_id: str) -> None:
    """Emit what was seen of a task; for its process."""
    tags = {"dag_id": dag_id, "task_id": task_id}
    for seconds in seen.command_seconds:
        _emit(_task_stats, "cwl.element.duration", seconds, tags)
    for name, count in (("cwl.reuse.hits", seen.reused), ("cwl.reuse.misses", seen.not_reused)):
        if count:
            _emit(_task_stats, name, count, tags)


def are_wanted() -> bool:
    """Whether Airflow has somebody to send metrics to."""
    from airflow.configuration import conf

    return any(conf.getboolean("metrics", name, fallback=False) for name in _SWITCHES)


def emit(name: str, value: float = 1) -> None:
    """Emit one of :data:`METRICS` in the API server: a gauge's value, a count, or a timer's seconds."""
    _emit(_server_stats, name, value, None)


@contextmanager
def timed_compilation() -> Iterator[None]:
    """Emit how long a workflow is compiled, or that it can't be; in the API server."""
    began = time.monotonic()
    try:
        yield
    except CwlError:
        emit("cwl.compile.failures")
        raise
    emit("cwl.compile.duration", time.monotonic() - began)


class _Stats(Protocol):
    """What Airflow's backends of metrics have in common."""

    def incr(self, stat: str, count: int = ..., *, tags: dict[str, str] | None = ...) -> object: ...
    def gauge(self, stat: str, value: float, *, tags: dict[str, str] | None = ...) -> object: ...
    def timing(self, stat: str, dt: float, *, tags: dict[str, str] | None = ...) -> object: ...


def _emit(stats: Callable[[], _Stats], name: str, value: float, tags: dict[str, str] | None) -> None:
    """Emit a metric; what goes wrong with that, of which Airflow's backends have their own ideas, harms nobody."""
    kind = _KINDS[name]
    try:
        if kind == TIMER:
            stats().timing(name, value * 1000.0, tags=tags)
        elif kind == GAUGE:
            stats().gauge(name, value, tags=tags)
        else:
            stats().incr(name, int(value), tags=tags)
    except Exception:
        log.debug("The metric %s can't be emitted", name, exc_info=True)


def _task_stats() -> _Stats:
    from airflow.sdk.observability.stats import Stats

    return Stats


def _server_stats() -> _Stats:
    from airflow.observability.stats import Stats

    return Stats
