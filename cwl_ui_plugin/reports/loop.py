"""The background loop of the API server: a thread that does its rounds at an interval, or at once when woken.

Of several API servers one does the rounds: the one that holds the lease, a row with an expiry in the database.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cwl_ui_plugin import config

log = logging.getLogger(__name__)
LEASE = "background"
LEASE_SECONDS = 15
RENEW_SECONDS = 5
LOOK_SECONDS = 0.2
LEAST_SECONDS = 0.4
"""Between two rounds: each costs the API server some time that tasks wait for."""
_woken = threading.Event()


def wake() -> None:
    """Have the loop do a round soon, from any process that shares the tmp folder; never raises."""
    _woken.set()
    try:
        path = _wake_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        log.debug("The wake file can't be touched; the loop comes round by itself", exc_info=True)


class Loop:
    """Does rounds in a thread, between :meth:`start` and :meth:`stop`."""

    def __init__(self, rounds: Sequence[Callable[[], object]], interval: float) -> None:
        self.rounds = rounds
        self.interval = interval
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._complaints: dict[int, str] = {}
        self._held_until = 0.0

    def start(self) -> None:
        """Start the thread, if it is not running."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="cwl-ui-plugin", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 5) -> None:
        """Ask the thread to end, and wait for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._guarded(-1, self._take_lease):
                for number, one_round in enumerate(self.rounds):
                    self._guarded(number, one_round)
            self._wait()

    def _guarded(self, number: int, one_round: Callable[[], object]) -> object:
        """Do one thing; an error is logged once, and the loop goes on."""
        try:
            result = one_round()
        except Exception as error:
            if self._complaints.get(number) != repr(error):
                log.exception("A round of the background loop failed; it is tried again")
            self._complaints[number] = repr(error)
            return None
        self._complaints.pop(number, None)
        return result

    def _take_lease(self) -> bool:
        """Return whether this process is the one that does the rounds; a fresh lease is not asked for again."""
        if time.monotonic() < self._held_until:
            return True
        from airflow.utils.session import create_session

        from cwl_ui_plugin.reports.tables import Lease

        now = datetime.now(timezone.utc)
        with create_session() as session:
            row = session.get(Lease, LEASE, with_for_update=True)
            if row is None:
                row = Lease(name=LEASE, holder=self._holder, expires_at=now)
                session.add(row)
            elif row.holder != self._holder and row.expires_at > now:
                return False
            row.holder = self._holder
            row.expires_at = now + timedelta(seconds=LEASE_SECONDS)
        self._held_until = time.monotonic() + RENEW_SECONDS
        return True

    def _wait(self) -> None:
        """Wait for the interval, or until somebody wakes the loop; a little in any case, as events come in bursts."""
        before = _wake_time()
        self._stopping.wait(LEAST_SECONDS)
        waited = LEAST_SECONDS
        while waited < self.interval and not self._stopping.is_set():
            if _woken.wait(LOOK_SECONDS) or _wake_time() != before:
                break
            waited += LOOK_SECONDS
        _woken.clear()


def _wake_file() -> Path:
    return config.tmp_folder() / ".wake"


def _wake_time() -> int:
    try:
        return _wake_file().stat().st_mtime_ns
    except OSError:
        return 0
