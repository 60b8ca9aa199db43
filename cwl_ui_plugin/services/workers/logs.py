"""What the commands of a try print and use, as its machine sends it while they run: appended, bounded, never placed.

A file grows from its end on, and says where that is to whoever sends another part: so what was cut off goes on, and
what was sent twice is there once.
"""

from __future__ import annotations

import fcntl
import os
import stat

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotAllowed, TooLarge
from cwl_ui_plugin.services.workers.tries import CallingTry

MAX_PART = config.MEBIBYTE
MAX_SIZES = {
    **dict.fromkeys(run_folder.LOGS, run_folder.MAX_KEPT_LOG),
    "command.json": config.MEBIBYTE,
}
"""The files that there may be, and how large each may be."""
WHOLE = ("command.json",)
"""Files that are replaced, and not appended to."""
_OPENED = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class AnotherEnd(Conflict):
    """The file ends elsewhere: ``size`` is where the next part begins."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes; send what follows them.")
        self.size = size


def append(caller: CallingTry, name: str, offset: int, part: bytes) -> int:
    """Append a part to a file of a try at ``offset``; return its size.

    Raises:
        BadRequest: there is no such file of a try.
        NotAllowed: the try has no lease, so nothing of it runs.
        AnotherEnd: the file ends elsewhere.
        TooLarge: the part, or the file with it.

    """
    most = MAX_SIZES.get(name)
    if most is None:
        raise BadRequest(f"There is no such file of a try; there are {', '.join(MAX_SIZES)}.")
    if len(part) > MAX_PART or offset + len(part) > most:
        raise TooLarge(f"A part may have {MAX_PART} bytes, and {name} {most}.")
    if caller.lease is None:
        raise NotAllowed("This try of the task has no lease.")
    place = Place(config.tmp_folder(), caller.task.folder.relative_to(config.tmp_folder()).parts)
    caller.task.folder.mkdir(parents=True, exist_ok=True)
    with place.folder() as folder:
        file = os.open(name, _OPENED, 0o600, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            return _write(file, offset, part, is_whole=name in WHOLE)
        finally:
            os.close(file)


def _write(file: int, offset: int, part: bytes, *, is_whole: bool) -> int:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise NotAllowed("Something else is in the place of this file.")
    if is_whole:
        os.ftruncate(file, 0)
        offset = 0
    elif found.st_size != offset:
        raise AnotherEnd(found.st_size)
    written = 0
    while written < len(part):
        written += os.pwrite(file, part[written:], offset + written)
    return offset + written
