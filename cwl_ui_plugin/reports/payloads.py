"""What the reports say, field by field; ``docs/signing.md`` tells receivers the same.

A report that is sent has its ``report_id`` and its ``sequence`` besides.
"""

from __future__ import annotations

from typing import TypedDict

from typing_extensions import NotRequired


class Ended(TypedDict, total=False):
    """What the report of an end says besides if the end was a stop."""

    reason: str
    error: str


class Status(TypedDict):
    """Route ``status``: a task instance has begun or ended."""

    state: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    timestamp: str
    reason: NotRequired[str]
    error: NotRequired[str]


class Times(TypedDict):
    """When something began and ended (ISO 8601, empty: it did not), and the seconds between."""

    start_date: str
    end_date: str
    duration: float | None


class Statistics(TypedDict):
    """The statistics of a run; by task, ``steps`` has :class:`Times`, the ``state`` and the figures of the last try."""

    version: str
    total: Times
    steps: dict[str, dict[str, object]]


class Progress(TypedDict):
    """Route ``progress``: how far a run is, in percent; at its end why it failed, its statistics and logs, too."""

    state: str
    dag_id: str
    run_id: str
    progress: int
    error: str
    timestamp: str
    reason: NotRequired[str]
    statistics: NotRequired[Statistics | dict[str, object]]
    logs: NotRequired[dict[str, str]]


class RunEnd(TypedDict):
    """The part of :class:`Progress` that only an end has."""

    error: str
    statistics: Statistics
    logs: dict[str, str]


class Results(TypedDict):
    """Route ``results``: the CWL output object of a run that has succeeded."""

    dag_id: str
    run_id: str
    results: dict[str, object]
    timestamp: str
    left_out: NotRequired[str]
    """Why ``results`` is empty though there are some."""


Payload = Status | Progress | Results
