"""A scheduler that has nothing to do looks seldom, and at once when there is a run to start or a task has ended.

``[scheduler] scheduler_idle_sleep_time`` is a tenth of a second, so that a step follows the one before it soon. Each
look asks the database a dozen questions, which without any run is a fifth of a core for nothing; and with one, a step
would wait for half of that time. Airflow has one sleep for both; it is replaced here, in the process of a scheduler. An
Airflow that sleeps in another way is left as it is.

Without runs it looks every three seconds where it hears of new runs, and when the next run by time is due; once a
second where no API server leaves word in its control folder, and for ten minutes after it has found a run without
word: one of several API servers may not see that folder.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from cwl_ui_plugin.dags import created_runs

IDLE_SECONDS = 1.0
"""How long a scheduler without runs sleeps: as long as Airflow's own default. Runs by time or asset start that late."""
REST_SECONDS = 3.0
"""The same for one that hears of new runs, and knows when the next one by time is due."""
LOOK_SECONDS = 0.05
LOOK_SECONDS_WITH_RUNS = 0.02
"""How soon a scheduler notices that there is something to do."""
ASK_SECONDS = 1.0
"""How long it is believed that there are runs."""
DOUBT_SECONDS = 600.0
"""How long a scheduler looks more often after it has found a run that it had not heard of."""
ATTRIBUTE = "_scheduler_idle_sleep_time"
log = logging.getLogger(__name__)


class IdleSleep:
    """The sleep of a scheduler between two looks that found nothing to do."""

    def __init__(
        self,
        least: float,
        has_runs: Callable[[], bool],
        told_at: Callable[[], int] = created_runs.told_at,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rest: Callable[[], float] = lambda: IDLE_SECONDS,
    ) -> None:
        self._least = least
        self._has_runs = has_runs
        self._rest = rest
        self._told_at = told_at
        self._clock = clock
        self._sleep = sleep
        self._busy_until = 0.0
        self._doubtful_until = 0.0
        self._has_rested = False
        self._seen = told_at()

    def seconds(self) -> float:
        """Sleep until there is something to do, or it is time to look anyway; return how long to sleep still."""
        now = self._clock()
        has_rested, self._has_rested = self._has_rested, False
        if self._is_told():
            self._busy_until = now + ASK_SECONDS
            return 0.0
        if now >= self._busy_until and self._has_runs():
            self._busy_until = now + ASK_SECONDS
            if has_rested:
                self._doubtful_until = now + DOUBT_SECONDS
        is_busy = now < self._busy_until
        look = LOOK_SECONDS_WITH_RUNS if is_busy else LOOK_SECONDS
        end = now + (self._least if is_busy else self._rest_at(now))
        while (left := end - self._clock()) > 0:
            self._sleep(min(look, left))
            if self._is_told():
                self._busy_until = self._clock() + ASK_SECONDS
                return 0.0
        self._has_rested = not is_busy
        return 0.0

    def _rest_at(self, now: float) -> float:
        rest = self._rest()
        return min(rest, IDLE_SECONDS) if now < self._doubtful_until else rest

    def _is_told(self) -> bool:
        """Whether word was given since this was asked last."""
        told = self._told_at()
        is_new, self._seen = told != self._seen, told
        return is_new


def install_in_scheduler() -> None:
    """Install it if this process is a scheduler; without it a scheduler works, too."""
    if "scheduler" not in sys.argv:
        return
    try:
        install()
    except Exception:
        log.exception("The scheduler looks as often as before, also without runs")


def install() -> None:
    """Let the scheduler of this process sleep so; do nothing where it sleeps as long anyway."""
    from airflow.configuration import conf
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    least = conf.getfloat("scheduler", "scheduler_idle_sleep_time")
    if least >= IDLE_SECONDS or isinstance(getattr(SchedulerJobRunner, ATTRIBUTE, None), property):
        return
    idle = IdleSleep(least, _has_runs, rest=_rest)

    def get(_runner: object) -> float:
        return idle.seconds()

    setattr(SchedulerJobRunner, ATTRIBUTE, property(get, lambda _runner, _value: None))
    log.info("Without runs this scheduler looks seldom, and when a run is created")


def _has_runs() -> bool:
    """Whether there is a run that waits or goes on; if that can't be told, as if there was."""
    from airflow.utils.session import create_session

    try:
        with create_session(scoped=False) as session:
            return created_runs.is_any_unfinished(session)
    except Exception:
        log.debug("Whether there are runs can't be told", exc_info=True)
        return True


def _rest() -> float:
    """Return how long a scheduler without runs may sleep."""
    from airflow.utils.session import create_session

    if not created_runs.is_word_given_here():
        return IDLE_SECONDS
    try:
        with create_session(scoped=False) as session:
            due = created_runs.seconds_until_due(session)
    except Exception:
        log.debug("When the next run is due can't be told", exc_info=True)
        return IDLE_SECONDS
    return REST_SECONDS if due is None else min(REST_SECONDS, max(IDLE_SECONDS, due))
