"""One writer at a time, where a database has no locks on rows (SQLite)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def keep_out_writers(session: Session) -> None:
    """Let nobody else write until the transaction ends, where rows that are read can't be locked.

    Of two who want to be the first, one is. It is called before anything is read.
    """
    from sqlalchemy import text

    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("BEGIN IMMEDIATE"))
