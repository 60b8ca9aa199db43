"""Paths as they are given on a command line or in a Dag file, and copies with rights as this process gives them."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a file; the copy may be executed if it could, and has only rights that this process's umask leaves."""
    with source.open("rb") as given:
        mode = stat.S_IMODE(os.fstat(given.fileno()).st_mode) | stat.S_IRUSR | stat.S_IWUSR
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as made:  # noqa: PTH123
            shutil.copyfileobj(given, made)


def make_executable(path: Path) -> None:
    """Let all execute a file who may read it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(mode | (mode & 0o444) >> 2)
