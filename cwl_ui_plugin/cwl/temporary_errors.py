"""Which troubles of a machine may pass, so that a task is tried again: a full disk, a file server that is away."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

MAY_PASS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ESTALE,
        errno.ENFILE,
        errno.EMFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.ENOLCK,
    }
)
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EIO, errno.ENFILE)


def may_pass(error: BaseException) -> bool:
    """Whether an error, or one that it came from, is of a kind that may pass."""
    return any(isinstance(found, OSError) and found.errno in MAY_PASS for found in _with_causes(error))


def is_of_disk(text: str) -> bool:
    """Whether a text, what a command wrote or cwltool complained of, tells of a disk in such a trouble."""
    return any(os.strerror(number) in text for number in _OF_DISKS)


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
