"""Files of what comes: there whole and as they were announced, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from cwl_ui_plugin.fetching.checksums import Checksums, Hashing


def receive(
    chunks: Iterable[bytes], path: Path, what: str, checksums: Checksums, on_chunk: Callable[[int], None]
) -> tuple[int, str]:
    """Write what comes to a file; return how many bytes it has, and its SHA-256. ``what`` names it in messages.

    ``on_chunk`` is told how much has come; what it raises ends it.

    Raises:
        OtherContent: a checksum is another.
        OSError: the file can't be written.

    """
    beside = path.with_name(f".{uuid.uuid4().hex}")
    try:
        with beside.open("xb") as file:
            size, hashing = 0, Hashing(checksums)
            for chunk in chunks:
                file.write(chunk)
                hashing.update(chunk)
                size += len(chunk)
                on_chunk(size)
            digest = hashing.check(what)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return size, digest
