"""What the commands of a batch of elements print: each one's together, though they run side by side."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

STREAMS = ("stdout", "stderr")
_numbers = itertools.count()
_joining = threading.Lock()


class ElementLog:
    """The files that the command of an element writes to, until they are joined to the logs of its task."""

    def __init__(self, folder: Path, element: str) -> None:
        self.folder = folder
        self.element = element
        self._number = next(_numbers)

    def path(self, stream: str) -> Path:
        """Return the file of a stream; it is there until the command has ended."""
        return self.folder / f"{stream}.{self._number}.part"

    def open(self, stream: str) -> BinaryIO:
        """Return the file of a stream, for a command to write to."""
        return self.path(stream).open("wb")

    def join(self) -> None:
        """Put what the command printed at the end of the task's logs, below the name of its element."""
        for stream in STREAMS:
            part = self.path(stream)
            with part.open("rb") as printed:
                if os.fstat(printed.fileno()).st_size:
                    self._append(printed, self.folder / f"{stream}.log")
            part.unlink()

    def _append(self, printed: BinaryIO, log: Path) -> None:
        with _joining, log.open("ab") as all_of_them:
            all_of_them.write(f"==> {self.element} <==\n".encode())
            shutil.copyfileobj(printed, all_of_them)
            printed.seek(-1, os.SEEK_END)
            if printed.read() != b"\n":
                all_of_them.write(b"\n")
