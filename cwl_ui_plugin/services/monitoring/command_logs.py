"""What the commands of a task print, and what they use: files of the task's try, or what is kept of them after the run.

The files are written by commands that may be hostile: see :mod:`cwl_ui_plugin.opened`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.placement import folders_of
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.run_job import given
from cwl_ui_plugin.opened import FOLDER, Entry, Place, place_of
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.monitoring.queries import find_run

STREAMS = ("stdout", "stderr")
PART_BYTES = 64 * 1024
_CHUNK_BYTES = 256 * 1024
MAX_SAMPLED = 2000
_USAGE = "usage.txt"
_MAX_COMMAND = 1024 * 1024


@dataclass(frozen=True)
class LogPart:
    """A part of what a command has printed, in bytes from ``start`` to ``end``; ``size`` is all that is there now."""

    text: str
    start: int
    end: int
    size: int


def find_try(dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int | None = None) -> TaskTry:
    """Return a try of a task, the last by default; raise :class:`NotFound` if Airflow knows none."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.try_number).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    with create_session(scoped=False) as session:
        last = session.scalar(query)
    number = last if try_number is None else try_number
    if last is None or number is None or not 0 <= number <= last:
        raise NotFound(f"The run {run_id!r} has no such try of the task {task_id!r}.")
    return TaskTry(dag_id, run_id, task_id, map_index, number)


def read_log(task: TaskTry, stream: str, offset: int | None = None) -> LogPart | None:
    """Return a part of what a try has printed: from ``offset`` on, or the end of it. None if nothing is kept."""
    file = _open_stream(task, stream)
    if file is None:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - PART_BYTES) if offset is None else min(max(0, offset), size)
        file.seek(start)
        content = file.read(PART_BYTES)
    cut = _cut_character(content) if start + len(content) < size or offset is not None else 0
    content = content[: len(content) - cut]
    return LogPart(content.decode("utf-8", "replace"), start, start + len(content), size)


def open_log(task: TaskTry, stream: str) -> BinaryIO:
    """Open a whole log as it is now; raise :class:`NotFound`."""
    file = _open_stream(task, stream)
    if file is None:
        raise NotFound(f"Nothing is kept of what {task.task_id!r} printed.")
    return file


def stream_log(task: TaskTry, stream: str) -> tuple[int, Iterator[bytes]]:
    """Return the size and the content of a whole log as it is now; raise :class:`NotFound`."""
    file = open_log(task, stream)
    size = os.fstat(file.fileno()).st_size
    return size, _chunks(file, size)


def running_command(task: TaskTry) -> list[str] | None:
    """Return the command that a try has started last, while its files are there."""
    file = _open(task, "command.json")
    if file is None:
        return None
    with file:
        try:
            words = json.loads(file.read(_MAX_COMMAND))
        except (ValueError, RecursionError):
            return None
    return [str(word) for word in words] if isinstance(words, list) else None


def usage_lines(dag_id: str, run_id: str) -> dict[tuple[str, int, int], list[str]]:
    """Return what the tries of a run have used, see ``cwl.processes.sampling``: by task, map index and try.

    Most tries are too short for samples; so the files are looked for, and not the tries.
    """
    found: dict[tuple[str, int, int], list[str]] = {}
    for place in _places(dag_id, run_id):
        for task_id, map_index, try_number in _tries(place):
            if len(found) == MAX_SAMPLED:
                break
            with suppress(OSError, ValueError), place.open(f"{task_id}/{map_index}/{try_number}/{_USAGE}") as file:
                key = (task_id, int(map_index), int(try_number))
                found[key] = file.read(PART_BYTES).decode("ascii", "replace").splitlines()
    return found


def _tries(place: Place) -> list[tuple[str, ...]]:
    """Return the tries that have folders: task, map index and number, as these are called."""
    names: list[tuple[str, ...]] = [()]
    for _level in range(3):
        names = [(*name, entry.name) for name in names for entry in _entries(place, name) if entry.kind == FOLDER]
    return names


def _entries(place: Place, name: tuple[str, ...]) -> list[Entry]:
    try:
        return place.entries("/".join(name))[0]
    except OSError:
        return []


def _open_stream(task: TaskTry, stream: str) -> BinaryIO | None:
    if stream not in STREAMS:
        raise BadRequest(f"{stream!r} is no stream; use stdout or stderr.")
    return _open(task, f"{stream}.log")


def _open(task: TaskTry, name: str) -> BinaryIO | None:
    path = f"{task.task_id}/{task.map_index}/{task.try_number}/{name}"
    for place in _places(task.dag_id, task.run_id):
        with suppress(OSError, ValueError):
            return place.open(path)
    return None


def _places(dag_id: str, run_id: str) -> Iterator[Place]:
    """Yield the folders that may have files of a run's tries."""
    for folder in (run_folder.run_tmp(dag_id, run_id), run_folder.kept_logs(dag_id, run_id)):
        # A link stands for the folder of the job's choice, which the conf names.
        place = _chosen(dag_id, run_id) if folder.is_symlink() else place_of(folder, (config.tmp_folder(),))
        if place is not None:
            yield place


def _chosen(dag_id: str, run_id: str) -> Place | None:
    """Return the folder that the job of a run chose for its intermediate files."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        conf = find_run(session, dag_id, run_id).conf
    try:
        return folders_of(dag_id, run_id, given(conf)).tmp
    except JobError:
        return None


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    with file:
        left = size
        while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _cut_character(content: bytes) -> int:
    """Return how many bytes at the end are the beginning of a character of UTF-8."""
    for count in range(1, min(4, len(content) + 1)):
        byte = content[-count]
        if byte >= 0xC0:
            return count if count < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            return 0
    return 0
