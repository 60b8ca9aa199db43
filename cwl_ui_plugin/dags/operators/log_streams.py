"""What a command writes to its standard error, in Airflow's log of the task while the command still runs.

The command writes to a file of ours, which has all of it. A thread follows that file; so the command never waits for a
log, however slow that is and however much there is to write. Of what comes too fast the log has a part.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.opened import plain_file

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

SECONDS = 0.5
"""Between two looks."""
MAX_BYTES, MAX_LINES = 32 * 1024, 100
"""Of one look; what is written faster is left out."""
MAX_ALL_BYTES = 1024 * 1024
"""Of one task."""
MAX_LINE = 4000
LEFT_OUT = "(%d bytes of standard error, or more, are left out here; the tab CWL step has all of it)"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]?)")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FOLDS = re.compile(r"^(\s*)(::|##\[)")
"""Lines that Airflow's page of a log takes for the beginning or end of a part that is folded."""


def cleaned(line: str) -> str:
    """Return a line as a log may have it: nothing that moves the cursor, turns text around or folds other lines.

    Of a line that a progress bar has written again and again, it is what was written last.
    """
    shown = _ESCAPES.sub("", line.rstrip("\r\n")).rpartition("\r")[2]
    shown = _FOLDS.sub(r"\1 \2", _CONTROLS.sub("", shown))
    return shown if len(shown) <= MAX_LINE else f"{shown[:MAX_LINE]}…"


class LogStream:
    """Follows the standard error of a task in a thread, and writes it to a log line by line."""

    def __init__(self, log: Logger, path: Path) -> None:
        self._log = log
        self._path = path
        self._file: int | None = None
        self._offset = 0
        self._written = 0
        self._left_out = 0
        self._is_full = False
        self._rest = b""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="cwl-log-stream", daemon=True)

    def start(self) -> None:
        """Begin to follow; the file need not be there yet."""
        self._thread.start()

    def stop(self) -> bool:
        """Write what is left, within the limits; return whether the log has all of it."""
        self._stopping.set()
        self._thread.join(timeout=10)
        if self._thread.is_alive():  # a log that takes nothing: the task has to go on
            return False
        self._look()
        self._write_line(self._rest)
        self._rest = b""
        if self._file is not None:
            os.close(self._file)
        return not self._left_out

    def _follow(self) -> None:
        while not self._stopping.wait(SECONDS):
            self._look()

    def _look(self) -> None:
        if self._file is None:
            self._file = plain_file(self._path)
        if self._file is None:
            return
        size = os.fstat(self._file).st_size
        room = max(0, min(MAX_BYTES, MAX_ALL_BYTES - self._written))
        new = os.pread(self._file, min(room, size - self._offset), self._offset) if size > self._offset else b""
        skipped = size - self._offset - len(new)
        self._offset = max(size, self._offset)
        lines = (self._rest + new).split(b"\n")
        self._rest = lines.pop()
        for line in lines[:MAX_LINES]:
            self._write_line(line)
        self._written = MAX_ALL_BYTES if skipped and room < MAX_BYTES else self._written + len(new)
        skipped += sum(len(line) + 1 for line in lines[MAX_LINES:])
        if skipped > 0 or len(self._rest) > MAX_BYTES:
            self._skip(skipped + len(self._rest))

    def _skip(self, count: int) -> None:
        """Leave out what came too fast, or too much; of all that comes after the last said once."""
        self._rest = b""
        self._left_out += count
        if not self._is_full:
            self._log.info(LEFT_OUT, count)
        self._is_full = self._written >= MAX_ALL_BYTES

    def _write_line(self, line: bytes) -> None:
        if shown := cleaned(line.decode("utf-8", "replace")):
            self._log.info("%s", shown)
