"""The background loops of the API server: threads that do their rounds at an interval, or at once when woken.

Of several API servers one does the rounds of a loop: the one that holds its lease, a row of the database that expires.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from cwl_ui_plugin.dags import wake_files
from cwl_ui_plugin.reports.lease import LeaderLease
from cwl_ui_plugin.reports.pulse import Pulse

log = logging.getLogger(__name__)
WAKE_FILE = "wake"
RENEW_SECONDS = 5.0
LOOK_SECONDS = 0.2
LEAST_SECONDS = 0.4
"""Between two rounds: each costs the API server some time that tasks wait for."""
QUIET_SECONDS = 5.0
"""How often there is a round where nothing can have happened, in case that is not so."""
_woken: list[threading.Event] = []


def wake() -> None:
    """Have the loops do a round soon, from any process that shares the tmp folder; never raises."""
    for event in _woken:
        event.set()
    wake_files.touch(WAKE_FILE)


class Loop:
    """Does rounds in a thread, between :meth:`start` and :meth:`stop`; another thread holds the lease."""

    def __init__(
        self,
        rounds: Sequence[Callable[[], object]],
        interval: float,
        lease: LeaderLease,
        ending: Callable[[], object] = lambda: None,
        is_quiet: Callable[[], bool] = lambda: False,
    ) -> None:
        self.rounds = rounds
        self.interval = interval
        self.lease = lease
        self._ending = ending
        self._is_quiet = is_quiet
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._threads: list[threading.Thread] = []
        self._complaints: dict[int, str] = {}
        self._pulse = Pulse(lease.name, interval)

    def start(self) -> None:
        """Start the threads, if they are not running."""
        if any(thread.is_alive() for thread in self._threads):
            return
        self._stopping.clear()
        _woken.append(self._woken)
        name = f"cwl-{self.lease.name}"
        self._threads = [
            threading.Thread(target=self._hold, name=f"{name}-lease", daemon=True),
            threading.Thread(target=self._run, name=name, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 5) -> None:
        """Ask the threads to end, and wait for them; let another API server take over at once."""
        self._stopping.set()
        self._woken.set()
        if self._woken in _woken:
            _woken.remove(self._woken)
        for thread in self._threads:
            thread.join(timeout=seconds)
        self._guarded(-2, self._ending)
        self._guarded(-1, self.lease.release)

    def wake(self) -> None:
        """Have this loop do a round soon."""
        self._woken.set()

    def _hold(self) -> None:
        while not self._stopping.is_set():
            if self._guarded(-1, self.lease.take):
                self._woken.set()
            self._stopping.wait(RENEW_SECONDS)

    def _run(self) -> None:
        is_woken, skipped = True, 0.0
        while not self._stopping.is_set():
            before = wake_files.touched_at(WAKE_FILE)
            self._woken.clear()
            if not self.lease.is_held():
                self._pulse.lose()
            elif is_woken or skipped >= QUIET_SECONDS or not self._guarded(-3, self._is_quiet):
                self._do_rounds()
                skipped = 0.0
            else:
                self._pulse.rest()
            is_woken = self._wait(before)
            skipped += self.interval

    def _do_rounds(self) -> None:
        lag = self._pulse.begin()
        for number, one_round in enumerate(self.rounds):
            self._guarded(number, one_round)
        self._pulse.end(lag)

    def _guarded(self, number: int, action: Callable[[], object]) -> object:
        """Do one thing; an error is logged once, and the loop goes on."""
        try:
            result = action()
        except Exception as error:
            if self._complaints.get(number) != repr(error):
                log.exception("A round of the loop %s failed; it is tried again", self.lease.name)
            self._complaints[number] = repr(error)
            return None
        self._complaints.pop(number, None)
        return result

    def _wait(self, before: int) -> bool:
        """Wait for the interval, or until somebody wakes the loop; a little in any case, as events come in bursts.

        Return whether somebody has woken it.

        ``before`` is the time of the wake file before the round: what woke the loop meanwhile counts.
        """
        self._stopping.wait(LEAST_SECONDS)
        waited = LEAST_SECONDS
        while waited < self.interval and not self._stopping.is_set():
            if self._woken.wait(LOOK_SECONDS) or wake_files.touched_at(WAKE_FILE) != before:
                return True
            waited += LOOK_SECONDS
        return self._woken.is_set() or wake_files.touched_at(WAKE_FILE) != before


class Loops:
    """Several loops that start and stop together."""

    def __init__(self, *loops: Loop) -> None:
        self.loops = loops

    def start(self) -> None:
        """Start all."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Stop all."""
        for loop in self.loops:
            loop.stop()
