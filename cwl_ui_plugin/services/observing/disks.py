"""The folders that the plugin works in, and the room on their disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config

FOLDERS: dict[str, Callable[[], Path]] = {
    "workflows": config.workflows_folder,
    "inputs": config.inputs_folder,
    "outputs": config.outputs_folder,
    "tmp": config.tmp_folder,
    "reuse": config.kept_for_reuse,
}
OPTIONAL = ("reuse",)
"""Made when something is put there."""


@dataclass(frozen=True)
class Disk:
    """The disk of a folder, in bytes; ``problem`` says why the folder can't be used."""

    folder: str
    path: Path
    free: int = 0
    total: int = 0
    problem: str = ""


def disk_of(folder: str) -> Disk:
    """Return the disk of one of :data:`FOLDERS`."""
    path = FOLDERS[folder]()
    if folder in OPTIONAL and not path.exists():
        place = next((parent for parent in path.parents if parent.exists()), Path("/"))
        return _usage(folder, path, place)
    if not path.is_dir():
        return Disk(folder, path, problem=f"{path} is no folder")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Disk(folder, path, problem=f"this server's user can't write to {path}")
    return _usage(folder, path, path)


def _usage(folder: str, path: Path, place: Path) -> Disk:
    try:
        usage = shutil.disk_usage(place)
    except OSError as error:
        return Disk(folder, path, problem=f"{path} can't be used: {error.strerror}")
    return Disk(folder, path, usage.free, usage.total)
