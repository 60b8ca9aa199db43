"""The delivery of reports, as faces show it."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.reports import reporter
from cwl_ui_plugin.runs.models import iso


@dataclass(frozen=True)
class DeliveryState:
    """How delivery goes: ``target`` is the receiver's URL or None; ``pause`` are the seconds until the next try."""

    target: str | None
    is_signed: bool
    waiting: int
    oldest: str | None
    last_error: str | None
    pause: float


@dataclass(frozen=True)
class TestResult:
    """What the receiver answered to a test report; ``status`` is None where it did not answer."""

    __test__ = False  # no test class for pytest

    ok: bool
    status: int | None
    seconds: float
    message: str


def delivery_state() -> DeliveryState:
    """Return how the delivery of reports goes."""
    state = reporter.delivery_state()
    return DeliveryState(
        target=state.target,
        is_signed=state.is_signed,
        waiting=state.waiting,
        oldest=iso(state.oldest),
        last_error=state.last_error,
        pause=round(state.pause, 1),
    )


def send_test_report() -> TestResult:
    """Send a report that is about no run, and return what the receiver answered."""
    result = reporter.send_test_report()
    return TestResult(ok=result.ok, status=result.status, seconds=result.seconds, message=result.message)


def retry_now() -> None:
    """Try again to deliver what waits."""
    reporter.retry_now()
