"""How the background loops go: who does the rounds of each, since when, and how late they come.

The holder of a loop's lease keeps it in a file, ``.control/loops/<name>.json``, so that every API server can tell.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.processes.machine import this_host
from cwl_ui_plugin.dags.created_runs import LOOPS
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.observing import stats

log = logging.getLogger(__name__)
WRITE_SECONDS = 5.0


@dataclass(frozen=True)
class LoopState:
    """A loop: its holder, and its last round. Moments are seconds since 1970 by the holder's clock.

    ``lag`` is how many seconds later than its interval that round began: what the round before took too long, and what
    the machine had no time for.
    """

    host: str
    pid: int
    since: float
    round_at: float
    round_seconds: float
    lag: float


class Pulse:
    """Notes the rounds of a loop that this process does."""

    def __init__(self, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self._since = 0.0
        self._began: float | None = None
        self._written_at = float("-inf")

    def lose(self) -> None:
        """Note that another process does the rounds now."""
        self._began = None

    def rest(self) -> None:
        """Note that a round was left out, as there was nothing to do: the next one is not late for that."""
        if self._began is not None:
            self._began = time.monotonic()

    def begin(self) -> float:
        """Note that a round begins; return its lag."""
        now = time.monotonic()
        if self._began is None:
            self._since, lag = time.time(), 0.0
            self._written_at = float("-inf")
        else:
            lag = max(0.0, now - self._began - self.interval)
        self._began = now
        return lag

    def end(self, lag: float) -> None:
        """Note that a round has ended; tell of it, but not of each."""
        now = time.monotonic()
        if self._began is None or now - self._written_at < WRITE_SECONDS:
            return
        self._written_at = now
        if self.name in stats.LOOPS:
            stats.emit(f"cwl.loop.lag.{self.name}", lag)
        seconds = now - self._began
        state = LoopState(this_host(), os.getpid(), self._since, time.time() - seconds, seconds, lag)
        try:
            control_files.write(_file(self.name), asdict(state))
        except (OSError, config.ConfigError) as error:
            log.debug("The state of the loop %s can't be kept: %s", self.name, error)


def read_state(name: str) -> tuple[LoopState, float] | None:
    """Return how a loop went when that was last written, and how many seconds ago that was; None if it never was."""
    try:
        path = _file(name)
        state = control_files.read(LoopState, path)
    except (OSError, config.ConfigError):
        return None
    return (state, control_files.age(path)) if state else None


def _file(name: str) -> Path:
    return config.control_folder() / LOOPS / f"{name}.json"
