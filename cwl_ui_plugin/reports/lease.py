"""Which of several processes does something: the one that holds a row of the database, for some seconds each time."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime, timedelta, timezone

from cwl_ui_plugin.cwl.processes.machine import this_machine
from cwl_ui_plugin.cwl.processes.proc import stat_of

SECONDS = 15.0
_SEPARATOR = "/"


class LeaderLease:
    """A lease with a name. Machines agree on the time within a few seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._holder = _SEPARATOR.join((this_machine(), str(os.getpid()), _started(os.getpid()), uuid.uuid4().hex[:8]))
        self._held_until = 0.0

    def is_held(self) -> bool:
        """Whether this process has it, without asking anybody: what is not renewed in time is lost."""
        return time.monotonic() < self._held_until

    def take(self) -> bool:
        """Take or renew it; return whether this process has it now."""
        from airflow.utils.session import create_session

        from cwl_ui_plugin.reports.tables import Lease as Row

        began, now = time.monotonic(), datetime.now(timezone.utc)
        with create_session(scoped=False) as session:
            row = session.get(Row, self.name, with_for_update=True)
            if row is None:
                row = Row(name=self.name, holder=self._holder, expires_at=now)
                session.add(row)
            elif row.holder != self._holder and row.expires_at > now and not _is_dead(row.holder):
                self._held_until = 0.0
                return False
            row.holder, row.expires_at = self._holder, now + timedelta(seconds=SECONDS)
        self._held_until = began + SECONDS - 1  # before others may take it
        return True

    def release(self) -> None:
        """Give it back, if this process has it."""
        from airflow.utils.session import create_session

        from cwl_ui_plugin.reports.tables import Lease as Row

        self._held_until = 0.0
        with create_session(scoped=False) as session:
            row = session.get(Row, self.name, with_for_update=True)
            if row is not None and row.holder == self._holder:
                session.delete(row)


def _is_dead(holder: str) -> bool:
    """Whether a holder was a process of this machine that is no more: its lease need not be waited for."""
    parts = holder.split(_SEPARATOR)
    if len(parts) != 4 or parts[0] != this_machine() or not parts[1].isdigit():
        return False
    return _started(int(parts[1])) != parts[2]


def _started(pid: int) -> str:
    """Return when a process started, which tells it from another with its number; empty for one that has ended."""
    try:
        stat = stat_of(pid)
    except OSError:
        return ""
    return str(stat.started_ticks) if stat.is_living else ""
