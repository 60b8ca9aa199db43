"""Files that a reader sees as they were before or as they are now, whole: written beside their place, and put there."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

_NAME_CHARACTERS = 100
BY_UMASK, READABLE, OWNER_ONLY = 0o666, 0o644, 0o600
"""Permissions of a new file, from which the umask takes some."""


def write_bytes(path: Path, content: bytes, *, mode: int = BY_UMASK, lasting: bool = False) -> None:
    """Replace a file, or make it; what stands beside it meanwhile is hidden, and gone if this fails.

    Args:
        path: where the file is; its folder must be there.
        content: all that is in it then.
        mode: its permissions, less what the umask takes.
        lasting: it is on the disk when this returns, also if the machine fails then.

    Raises:
        OSError: it can't be written; the file is what it was.

    """
    beside = path.with_name(f".{path.name[:_NAME_CHARACTERS]}.{uuid.uuid4().hex}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:  # noqa: PTH123
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str, *, mode: int = BY_UMASK) -> None:
    """The same with a text, in UTF-8."""
    write_bytes(path, text.encode(), mode=mode)
