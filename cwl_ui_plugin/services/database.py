"""Writing Airflow's database while the scheduler writes it, too.

Airflow's own ``run_with_db_retries`` can't be told what to try again: it also repeats what never passes, such as a row
that is there already or a table that is missing, and it ends with the driver's error, which is not for users.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

T = TypeVar("T")
log = logging.getLogger(__name__)
TRIES = 5
_PAUSE_SECONDS = 0.5


class _Turns:
    """A lock that those who wait for it get in the order in which they came; that of ``threading`` has no order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            own = threading.Lock()
            own.acquire()
            self._waiting.append(own)
        own.acquire()  # released by whoever had the turn before

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def locked(self) -> bool:
        """Whether somebody has the turn."""
        return self._is_taken


_turn = _Turns()


def retry_on_database_lock(write: Callable[[], T], what: str) -> T:
    """Return what ``write`` returns; do it again where the database was busy (SQLite) or chose it as a victim.

    Raises:
        Unavailable: it is still busy after all tries, or has the tables of another version of the plugin.

    """
    from sqlalchemy.exc import OperationalError

    for attempt in range(1, TRIES):
        try:
            return _explained(write)
        except OperationalError as error:
            log.warning("The database was busy, %s is tried again: %s", what, error.orig)
            time.sleep(_PAUSE_SECONDS * attempt)
    try:
        return _explained(write)
    except OperationalError as error:
        raise Unavailable(f"The database is busy, so {what} has to wait. Try again in a moment.") from error


@contextmanager
def taking_turns() -> Iterator[None]:
    """Let threads of this process write in the order in which they come, where the database has one writer (SQLite).

    Who waits for SQLite looks every tenth of a second after a while, and who comes later more often: under load some
    would wait for seconds. It is held for one short transaction, and nothing else is waited for in it.
    """
    if not _has_one_writer():
        yield
        return
    with _turn:
        yield


def _has_one_writer() -> bool:
    from airflow import settings

    return settings.engine is not None and settings.engine.dialect.name == "sqlite"


def in_session(act: Callable[[Session], T]) -> T:
    """Return what ``act`` returns, in a transaction of its own."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return act(session)


def written(write: Callable[[Session], T], what: str) -> T:
    """Return what ``write`` returns, in a transaction of its own; begun again as by :func:`retry_on_database_lock`."""
    return retry_on_database_lock(lambda: in_session(write), what)


def _explained(write: Callable[[], T]) -> T:
    """Return what ``write`` returns; what a missing table or column is called differs from database to database."""
    from sqlalchemy.exc import DBAPIError

    try:
        return write()
    except DBAPIError as error:
        if health.is_migrated():
            raise
        raise Unavailable(health.NOT_MIGRATED) from error
