"""A disk of the server that is full, or whose quota is: told as what it is, wherever something is to be kept."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from cwl_ui_plugin.services.errors import NoRoom

_FULL = (errno.ENOSPC, errno.EDQUOT)


def as_no_room(error: BaseException | None, what: str = "this") -> NoRoom | None:
    """Return the error of this layer for one that a full disk has made, or that came from such a one; else None."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _FULL:
            return NoRoom(
                f"The server's disk has no room for {what}, so nothing of it was kept. Tell the administrator of this "
                "Airflow, who can make room (the settings page shows what takes how much), and try again."
            )
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def full_disk_told(what: str) -> Iterator[None]:
    """Raise :class:`NoRoom` where a full disk is why something can't be kept."""
    try:
        yield
    except OSError as error:
        told = as_no_room(error, what)
        if told is None:
            raise
        raise told from error
