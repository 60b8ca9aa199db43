"""What the commands of a task print, sent on while they run: what is new of each file since the last part."""

from __future__ import annotations

import os

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.relaying.errors import Refused
from cwl_ui_plugin.dags.relaying.told_tasks import ToldTask
from cwl_ui_plugin.opened import plain_file

PART_BYTES = 512 * 1024
ROUND_BYTES = 4 * config.MEBIBYTE
"""Of one file at a time, so that one that is written fast keeps nobody waiting."""
WHOLE = "command.json"
_CONFLICT = 409


def send_new(told: ToldTask, most: int = ROUND_BYTES) -> bool:
    """Send what is new; return whether that was all.

    Raises:
        Away: the API server does not take it now.

    """
    parts = [_send_file(told, name, most) for name in run_folder.LOGS]
    _send_whole(told)
    return all(parts)


def _send_file(told: ToldTask, name: str, most: int) -> bool:
    offset = told.sent.get(name, 0)
    file = plain_file(told.file(name)) if offset is not None else None
    if file is None or offset is None:
        return True
    try:
        until = min(os.fstat(file).st_size, run_folder.MAX_KEPT_LOG)
        end = min(until, offset + most)
        while offset < end:
            part = os.pread(file, min(PART_BYTES, end - offset), offset)
            if not part:
                break
            found = _send(told, name, offset, part)
            if found is None or found > until:
                told.sent[name] = None  # it is another file there, or is not wanted
                return True
            offset = told.sent[name] = found
        return offset >= until
    finally:
        os.close(file)


def _send(told: ToldTask, name: str, offset: int, part: bytes) -> int | None:
    """Send a part; return where the next one begins, None where no more is taken."""
    try:
        answer = told.calls.call("POST", f"/logs/{name}", params={"offset": offset}, content=part)
    except Refused as error:
        return error.size if error.status == _CONFLICT else None
    return int(answer["size"])


def _send_whole(told: ToldTask) -> None:
    """Send which command runs now, where that is another one."""
    file = plain_file(told.file(WHOLE))
    if file is None:
        return
    try:
        found = os.fstat(file)
        stamp = hash((found.st_mtime_ns, found.st_size, found.st_ino))
        if told.sent.get(WHOLE) == stamp or found.st_size > PART_BYTES:
            return
        _send(told, WHOLE, 0, os.pread(file, PART_BYTES, 0))
        told.sent[WHOLE] = stamp
    finally:
        os.close(file)
