"""The reporter: records what is to be told of runs, and has it sent."""

from __future__ import annotations

import time
from collections.abc import Callable

from cwl_ui_plugin import config
from cwl_ui_plugin.reports import deleted, outbox, records
from cwl_ui_plugin.reports.deleted import Deletions
from cwl_ui_plugin.reports.dispatch import Dispatcher
from cwl_ui_plugin.reports.formats import OURS
from cwl_ui_plugin.reports.loop import wake
from cwl_ui_plugin.reports.tables import RunKey
from cwl_ui_plugin.reports.target import read_receiver

LATE_SECONDS = 10.0
"""How often what is rare is looked for: tasks of ended runs that were changed by hand, runs to forget."""
CLEAN_SECONDS = 3600.0


class Reporter:
    """The rounds of the reporter. ``may_send`` tells whether this process is still the one that sends."""

    def __init__(self, may_send: Callable[[], bool] = lambda: True, done: Callable[[], None] = wake) -> None:
        self._dispatcher = Dispatcher(may_send, done)
        self._recorder = records.Recorder()
        self._deletions = Deletions()
        self._late_at = 0.0
        self._clean_at = 0.0

    def round(self) -> int:
        """Record what is due and have it sent; return how many reports were recorded."""
        is_late = time.monotonic() >= self._late_at
        if is_late:
            self._late_at = time.monotonic() + LATE_SECONDS
        receiver = read_receiver()
        if receiver is None:
            if is_late:
                records.discard_runs_without_receiver()
            return 0
        count = self._deletions.round(late=is_late, form=receiver.form)
        count += self._recorder.record_due(late=is_late, form=receiver.form)
        if receiver.target is not None:
            self._dispatcher.dispatch(receiver.target)
        self._clean()
        return count

    def wait(self, seconds: float = 60) -> bool:
        """Wait until nothing is being sent."""
        return self._dispatcher.wait(seconds)

    def stop(self) -> None:
        """Send no more."""
        self._dispatcher.stop()

    def _clean(self) -> None:
        """Remove what is old; where there is much of it, a part in each round."""
        if time.monotonic() >= self._clean_at and not outbox.remove_old(config.number("keep_reports_days")):
            self._clean_at = time.monotonic() + CLEAN_SECONDS


def retry_now(key: RunKey | None = None) -> None:
    """Let the next round try again, whatever pause there is: all, or one run."""
    outbox.retry_now(key)
    wake()


def keep_run(dag_id: str, run_id: str) -> None:
    """Record what is to be told of a run that is about to be removed: it is sent whatever becomes of the run."""
    receiver = read_receiver()
    if receiver is not None:
        records.record_run(dag_id, run_id, receiver.form)
        wake()


def forget_run(dag_id: str, run_id: str) -> None:
    """Forget a run that was removed, but for its reports that wait."""
    receiver = read_receiver()
    deleted.forget_run(dag_id, run_id, receiver.form if receiver else OURS)
