"""One machine at a time: a lock in Airflow's database, which all API servers and Dag processors have in common.

It goes when its holder does, however that ends. A thread that has it may take it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.library.errors import StoreAway

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

WAIT_SECONDS = 120
_KEY = 0x63776C_776B66
"""Of PostgreSQL's advisory locks: "cwl", "wkf"."""
_NAME = "cwl_ui_plugin_workflows"
_held = threading.local()
log = logging.getLogger(__name__)


@contextmanager
def changing_workflows() -> Iterator[None]:
    """Let nobody else change or register workflows meanwhile, on any machine; nothing is done for a common folder.

    SQLite is the database of one machine, whose processes have the locks of its folder.

    Raises:
        StoreAway: another one has it for too long.

    """
    if not config.workflows_storage() or getattr(_held, "is_held", False):
        yield
        return
    with ExitStack() as stack:
        _take(stack)
        _held.is_held = True
        stack.callback(setattr, _held, "is_held", False)
        yield


def _take(stack: ExitStack) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        session = stack.enter_context(_left_quietly(create_session(scoped=False)))
        dialect = session.get_bind().dialect.name
        if dialect == "postgresql":
            _take_in_postgresql(session)
        elif dialect == "mysql":
            _take_in_mysql(session, stack)
    except SQLAlchemyError as error:
        raise StoreAway("Another machine changes workflows just now; try again in a minute.") from error


@contextmanager
def _left_quietly(session: object) -> Iterator[Session]:
    """Hold a session; that its connection was cut meanwhile undoes nothing of what was done within the lock."""
    from sqlalchemy.exc import SQLAlchemyError

    with ExitStack() as stack:
        yield stack.enter_context(session)  # type: ignore[arg-type]
        try:
            stack.close()
        except SQLAlchemyError as error:
            log.warning("The lock for changing workflows was lost before its time: %s", type(error).__name__)


def _take_in_postgresql(session: Session) -> None:
    from sqlalchemy import text

    session.execute(text(f"SET LOCAL lock_timeout = {int(WAIT_SECONDS * 1000)}"))
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KEY})


def _take_in_mysql(session: Session, stack: ExitStack) -> None:
    from sqlalchemy import text

    if session.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": _NAME, "seconds": WAIT_SECONDS}) != 1:
        raise StoreAway("Another machine changes workflows just now; try again in a minute.")
    stack.callback(session.execute, text("SELECT RELEASE_LOCK(:name)"), {"name": _NAME})
