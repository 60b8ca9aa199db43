"""Sends what waits: runs side by side, the reports of each in order; with pauses after failures."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from cwl_ui_plugin.reports import outbox
from cwl_ui_plugin.reports.delivery import Sender
from cwl_ui_plugin.reports.errors import NotDelivered, NotSigned, ReportError, Unreachable
from cwl_ui_plugin.reports.outbox import Waiting
from cwl_ui_plugin.reports.tables import RecordedReport, RunKey
from cwl_ui_plugin.reports.target import ReportTarget

log = logging.getLogger(__name__)
MAX_PAUSE = 60.0
MAX_RETRY_AFTER = 3600.0
WORKERS = 8
MAX_RUNS = 100
AT_ONCE = 20
"""How many reports of a run are sent before it is stored that they arrived."""
STORE_SECONDS = 0.5
TURN_SECONDS = 5.0
"""How long a run may send before others get their turn."""


def pause_after(failures: int, retry_after: float | None = None) -> float:
    """Return how many seconds to wait after so many failures: twice as long each time, with jitter."""
    pause = min(MAX_PAUSE, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
    return max(pause, min(retry_after or 0.0, MAX_RETRY_AFTER))


class Dispatcher:
    """Has workers send. After nobody answered, one run at a time is tried until somebody does."""

    def __init__(self, may_send: Callable[[], bool], done: Callable[[], None]) -> None:
        self._may_send = may_send
        self._done = done
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="cwl-reports")
        self._lock = threading.Lock()
        self._busy: set[RunKey] = set()
        self._sender: Sender | None = None
        self._failures = 0
        self._silent_until = 0.0
        self._complaint: str | None = None

    def dispatch(self, target: ReportTarget) -> None:
        """Give each run that may be tried now to a worker."""
        sender = self._sender_for(target)
        is_trial = self._failures > 0
        for run in self._ready():
            with self._lock:
                if run.key in self._busy:
                    continue
                self._busy.add(run.key)
            self._pool.submit(self._work, run, sender, is_trial)

    def wait(self, seconds: float) -> bool:
        """Wait until no worker sends; return whether that came true."""
        deadline = time.monotonic() + seconds
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._busy

    def stop(self) -> None:
        """Let workers end after the report that they send."""
        self._sender = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _sender_for(self, target: ReportTarget) -> Sender:
        if self._sender is None or self._sender.target != target:
            if self._sender is not None:
                outbox.retry_now()  # another receiver, or another key
                self._silent_until = 0.0
            self._sender = Sender(target)
        return self._sender

    def _ready(self) -> list[Waiting]:
        is_silent = self._failures > 0
        if is_silent and time.monotonic() < self._silent_until and not outbox.is_retry_asked_for():
            return []
        ready = outbox.waiting_runs(MAX_RUNS, due_at=datetime.now(timezone.utc))
        if is_silent:
            # Any run can tell whether the receiver is back; not always the same one, whose report may be the reason.
            return sorted(ready, key=lambda run: run.failures)[:1] if not self._busy else []
        return ready

    def _work(self, run: Waiting, sender: Sender, is_trial: bool) -> None:
        try:
            if is_trial or not self._failures:
                self._send_run(run, sender)
        except Exception:
            log.exception("The reports of %s %s are tried again", *run.key)
        finally:
            with self._lock:
                self._busy.discard(run.key)
            self._done()

    def _send_run(self, run: Waiting, sender: Sender) -> None:
        deadline = time.monotonic() + TURN_SECONDS
        while time.monotonic() < deadline:
            reports = outbox.next_reports(run.key, AT_ONCE)
            if not reports or not self._send_some(run, reports, sender):
                return

    def _send_some(self, run: Waiting, reports: list[RecordedReport], sender: Sender) -> bool:
        """Send reports in order until one fails; return whether to go on."""
        arrived: dict[int, int | None] = {}
        deadline = time.monotonic() + STORE_SECONDS
        try:
            for report in reports:
                if self._sender is not sender or not self._may_send():
                    return False
                arrived[report.sequence] = sender.send_text(report.route, report.payload)
                self._heard()
                if time.monotonic() > deadline:
                    break
        except ReportError as error:
            outbox.acknowledge(run.key, arrived)
            failures = 0 if arrived else run.failures
            arrived = {}
            return self._failed(run, report, error, failures, sender.target.retry_for)
        finally:
            outbox.acknowledge(run.key, arrived)
        return True

    def _heard(self) -> None:
        if self._failures:
            with self._lock:
                self._failures, self._silent_until, self._complaint = 0, 0.0, None

    def _failed(
        self, run: Waiting, report: RecordedReport, error: ReportError, failures: int, retry_for: float | None
    ) -> bool:
        """Note a failure, or give up that report if it is older than the receiver wants; return whether to go on."""
        if str(error) != self._complaint:
            log.warning("Reports wait: %s", error)
            self._complaint = str(error)
        pause, status = self._pause(error, failures), getattr(error, "status", None)
        if not (_is_older(report, retry_for) and _is_refused(report, error)):
            outbox.note_failure(run.key, report.sequence, str(error), status, pause)
            return False
        log.warning("Report %d of %s %s is given up (retry_for)", report.sequence, *run.key)
        outbox.acknowledge(run.key, {report.sequence: None})
        if isinstance(error, Unreachable):  # those after it were not offered: they wait for the receiver
            outbox.note_failure(run.key, None, str(error), status, pause)
            return False
        return True

    def _pause(self, error: ReportError, failures: int) -> float:
        retry_after = getattr(error, "retry_after", None)
        if not isinstance(error, (Unreachable, NotSigned)):
            return pause_after(failures, retry_after)
        with self._lock:
            now = time.monotonic()
            if now < self._silent_until:  # several workers find out at the same time
                return self._silent_until - now
            pause = pause_after(self._failures, retry_after)
            self._silent_until = now + pause
            self._failures += 1
        return pause


def _is_older(report: RecordedReport, seconds: float | None) -> bool:
    return seconds is not None and report.recorded_at + timedelta(seconds=seconds) < datetime.now(timezone.utc)


def _is_refused(report: RecordedReport, error: ReportError) -> bool:
    """Whether a receiver does not take a report: that it can't take any now must have kept it back before."""
    return isinstance(error, NotDelivered) and (report.attempts > 0 or not isinstance(error, Unreachable))
