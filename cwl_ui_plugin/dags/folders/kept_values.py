"""Where the values of a run are that are too large for an XCom: in files that are named by their SHA-256.

::

    <tmp_folder>/.values/<dag_id>/<run_id>/<sha256>

They stay as long as Airflow has the run in its list, as XComs do. A name is all that an XCom says: whoever can write
one, or a file in this folder, has nothing read that is not in the folder of the run, or not what was written.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.atomic import READABLE
from cwl_ui_plugin.cwl.engine.outputs.placing import opened
from cwl_ui_plugin.cwl.value_files import Written
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.opened import Place

_FOLDER = ".values"
_HALF_MADE = re.compile(r"\.[0-9a-f]{32}")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def values_folder() -> Path:
    """Return the folder with such values of all runs."""
    return config.tmp_folder() / _FOLDER


def place_of(dag_id: str, run_id: str) -> Place:
    """Return the folder with the values of a run; most runs have none."""
    return Place(config.tmp_folder(), (_FOLDER, control_files.folder_name(dag_id), control_files.folder_name(run_id)))


def open_kept(dag_id: str, run_id: str, known: Written) -> BinaryIO:
    """Open a value of a run; raise :class:`OSError` where there is none, or no plain file."""
    return place_of(dag_id, run_id).open(known.sha256)


def keep(dag_id: str, run_id: str, write: Callable[[BinaryIO], Written]) -> Written:
    """Keep what ``write`` writes into a file, whole and on the disk, or not at all.

    Raises:
        OSError: it can't be kept, also because a part of the way to it has become a link.

    """
    place = place_of(dag_id, run_id)
    with opened(place.path, place.root) as folder:
        beside = f".{uuid.uuid4().hex}"
        try:
            with open(os.open(beside, _NEW, READABLE, dir_fd=folder), "w+b") as file:  # noqa: PTH123
                known = write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, known.sha256, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=folder)
            raise
    control_files.reread(place.path, sync=True)
    return known


def put(dag_id: str, run_id: str, known: Written, path: Path) -> None:
    """Move a file with a value, which was fetched, to where it is kept."""
    place = place_of(dag_id, run_id)
    with opened(place.path, place.root) as folder:
        os.replace(path, known.sha256, dst_dir_fd=folder)


def runs_with_values() -> Iterator[tuple[tuple[str, str], Path]]:
    """Yield ``(dag_id, run_id)`` of the runs that have values, and their folders; not where a link has been put."""
    for folder in values_folder().glob("*/*"):
        if folder.resolve() == folder:
            yield (control_files.named_by(folder.parent.name), control_files.named_by(folder.name)), folder


def forget_half_made(folder: Path, before: float) -> None:
    """Remove what processes that were killed have left in a folder, if nobody has written to it since a time."""
    for path in folder.glob(".*"):
        with suppress(OSError):
            if _HALF_MADE.fullmatch(path.name) and path.lstat().st_mtime <= before:
                path.unlink()


def forget(folder: Path) -> None:
    """Remove the values of a run."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()
