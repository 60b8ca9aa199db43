"""Reading small files whose content nobody vouches for: whatever is there, reading it neither fails nor hangs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024


def read_small(path: Path, most: int = MAX_BYTES) -> bytes | None:
    """Return what is in a file of at most ``most`` bytes; None for anything else that may be there.

    Links are not followed, and a FIFO or a device is not read: it could be without an end.

    Raises:
        FileNotFoundError: there is nothing.
        PermissionError: it is there, but not for this user.

    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        raise
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        content = b""
        while len(content) <= most and (part := os.read(file, most + 1 - len(content))):
            content += part
    except OSError:
        return None
    finally:
        os.close(file)
    return content if len(content) <= most else None
