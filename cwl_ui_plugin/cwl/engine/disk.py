"""Whether the disk has the room that a job asks for; looked at before its command starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cwltool.errors import WorkflowException

if TYPE_CHECKING:
    from cwltool.job import JobBase


SMALLEST_ROOM = 16
"""Mebibytes that every job needs: less is a full disk."""
MEBIBYTE = 1024 * 1024
_FOLDERS = ("tmpdir", "outdir")


class DiskTooFull(WorkflowException):
    """The disk has less room than the job asks for; that may pass."""


def check_disk(job: JobBase, folder: Path) -> None:
    """Raise :class:`DiskTooFull` if the disk of ``folder`` has less room than a job asks for.

    The job's ResourceRequirement says how much, where it says so at all: CWL's default of 1 GiB for each folder is an
    assumption, not a need.
    """
    asked, _ = job.builder.get_requirement("ResourceRequirement")
    given = [name for name in _FOLDERS if {f"{name}Min", f"{name}Max"} & set(asked or ())]
    needed = max(SMALLEST_ROOM, sum(job.builder.resources.get(f"{name}Size", 0) for name in given))
    free = shutil.disk_usage(folder).free // MEBIBYTE
    if free < needed:
        raise DiskTooFull(f"it needs {needed:.0f} MiB of disk space in {folder}, and {free} MiB are free there")


def identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another one that is in its place later; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def full_disk(folder: Path) -> str:
    """Return what to tell of the disk of ``folder`` if it is full, else nothing."""
    try:
        free = shutil.disk_usage(folder).free // MEBIBYTE
    except OSError:
        return ""
    return f"the disk is full: {free} MiB are free in {folder}" if free < SMALLEST_ROOM else ""
