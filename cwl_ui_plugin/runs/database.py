"""Writing Airflow's database while the scheduler writes it, too."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from cwl_ui_plugin.runs.errors import Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)
TRIES = 5
_PAUSE_SECONDS = 0.5


def with_patience(write: Callable[[], T], what: str) -> T:
    """Return what ``write`` returns; do it again where the database was busy (SQLite) or chose it as a victim.

    Raises:
        Unavailable: it is still busy after all tries.

    """
    from sqlalchemy.exc import OperationalError

    for attempt in range(1, TRIES):
        try:
            return write()
        except OperationalError as error:
            log.warning("The database was busy, %s is tried again: %s", what, error.orig)
            time.sleep(_PAUSE_SECONDS * attempt)
    try:
        return write()
    except OperationalError as error:
        raise Unavailable(f"The database is busy, so {what} has to wait. Try again in a moment.") from error
