"""The files by which processes tell each other what to do, below ``config.control_folder()``, which no job can name.

::

    .control/runs/<dag_id>/<run_id>/<task_id>.<map_index>.<try_number>.lease   see run_folder
    .control/runs/<dag_id>/<run_id>/stopped                                     see tombstones
    .control/runs/<dag_id>/<run_id>/removing                                    see intermediate
    .control/watched/<key>                                                      see tombstones
    .control/orders/<key>.json, <key>.<machine>.reply, <machine>.janitor        see stop_orders
    .control/engines/<key>.json                                                 see known_engine
    .control/elements/<key>.json                                                see element_times
    .control/created, ended                                                     see created_runs
    .control/given-back/<instance>                                              see services.workers.leases
    .control/loops/<name>.json                                                  see reports.pulse
    .control/folder-id                                                          see folder_id

They are written beside their place and moved there, so that no reader sees half of one. Whatever else is in their place
is not believed, and is no error: a file that is truncated, of another shape, huge, a FIFO, a link, a folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import os
import re
import stat
import types
import typing
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.cwl.small_files import read_small

log = logging.getLogger(__name__)
T = TypeVar("T")
_TRIES = 5
_MAX_COMPLAINTS = 1000
_RUNS = "runs"
_ID_FILE = "folder-id"
_ID = re.compile("[0-9a-f]{32}")
_complained: set[Path] = set()


def folder_name(part: str) -> str:
    """Return the name of the folder of a dag_id or a run_id: almost always the same; never a way out, nor hidden."""
    name = part.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def named_by(folder: str) -> str:
    """Return the dag_id or run_id whose folder has a name."""
    name = f".{folder[3:]}" if folder.startswith("%2E") else folder
    return name.replace("%00", "\0").replace("%2F", "/").replace("%25", "%")


def key_of(dag_id: str, run_id: str) -> str:
    """Return a name for what belongs to a run."""
    return hashlib.sha256(f"{dag_id}\0{run_id}".encode()).hexdigest()[:32]


def run_control(dag_id: str, run_id: str) -> Path:
    """Return the folder with the control files of a run; not made yet."""
    return config.control_folder() / _RUNS / folder_name(dag_id) / folder_name(run_id)


def folder_id() -> str:
    """Return what tells these control files from those of all other machines: made once, at random."""
    place = config.control_folder() / _ID_FILE
    for _attempt in range(_TRIES):
        with suppress(FileNotFoundError):
            if found := _ID.fullmatch((read_small(place) or b"").decode("ascii", "replace")):
                return found[0]
        beside = place.with_name(f".{_ID_FILE}.{uuid.uuid4().hex}")
        atomic.write_text(beside, uuid.uuid4().hex)
        try:
            os.link(beside, place)  # the first one stays
        except FileExistsError:
            if _ID.fullmatch((read_small(place) or b"").decode("ascii", "replace")) is None:
                beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
    raise OSError(f"{place} can't be read")


def runs() -> Iterator[tuple[str, str]]:
    """Yield ``(dag_id, run_id)`` of the runs that have control files, or had some."""
    for dag in listed(config.control_folder() / _RUNS):
        for run in listed(dag):
            yield named_by(dag.name), named_by(run.name)


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder, in order; nothing where there is no folder."""
    try:
        return sorted(folder / name for name in os.listdir(folder))  # noqa: PTH208 - a stop asks often
    except OSError:
        return []


def forget_run(dag_id: str, run_id: str) -> None:
    """Remove the folder with the control files of a run, unless there are any."""
    with suppress(OSError):
        run_control(dag_id, run_id).rmdir()


def read(kind: type[T], place: Path, /, **known: object) -> T | None:
    """Return what a file says, as ``kind``, a dataclass; None where nothing is that can be believed.

    ``known`` are fields that are not in the file. What is there but of no use is logged once.

    Raises:
        PermissionError: it is there, but not for this user.

    """
    try:
        content = read_small(place)
        if content is None or not _is_trusted(place):
            raise ValueError("it is not a small file of a user that is trusted")
        made = as_dataclass(kind, json.loads(content), known)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        complain(place, str(error))
        return None
    return made


def complain(path: Path, why: str) -> None:
    """Log, once for each file, that it is not what it should be."""
    if path not in _complained:
        if len(_complained) >= _MAX_COMPLAINTS:
            _complained.clear()
        _complained.add(path)
        log.warning("%s is ignored: %s", path, why)


def write(path: Path, data: dict[str, object], *, lasting: bool = False) -> None:
    """Write a file, and its folder if it is not there; ``lasting``: it is on the disk then.

    A network file system has it at the server in any case: that is what closing and renaming a file do there.

    Raises:
        OSError: it can't be written.

    """
    for attempt in range(_TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(path, json.dumps(data).encode(), lasting=lasting)
            if lasting:
                reread(path.parent, sync=True)
            return
        except FileNotFoundError:  # somebody has removed the folder, which was empty
            if attempt == _TRIES - 1:
                raise


def reread(folder: Path, *, sync: bool = False) -> None:
    """Open a folder: on a network file system, what is remembered of it is compared with the server's then.

    ``sync`` has what was done in it on the disk.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sync:
            os.fsync(opened)
    finally:
        os.close(opened)


def remove(path: Path) -> None:
    """Remove a file, if it is one."""
    with suppress(OSError):
        path.unlink()


def age(path: Path) -> float:
    """Return how long ago a file was touched, by the clock of the machine that keeps it; infinite for no file."""
    import tempfile

    try:
        touched = path.lstat().st_mtime
        with tempfile.TemporaryFile(dir=path.parent) as new:
            return os.fstat(new.fileno()).st_mtime - touched
    except OSError:
        return math.inf


def _is_trusted(path: Path) -> bool:
    """Whether a file is of one of the users who may write here; where a group may, its members."""
    folder, found = config.control_folder().stat(), path.lstat()
    for_group = bool(folder.st_mode & stat.S_IWGRP)
    return for_group or found.st_uid in (os.geteuid(), 0, folder.st_uid)


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def as_dataclass(kind: type[T], data: object, known: dict[str, object] | None = None) -> T:
    """Return ``data`` as a dataclass; raise :class:`TypeError` if it is of another shape. Further keys are ignored."""
    if not isinstance(data, dict):
        raise TypeError(f"not a {kind.__name__}")
    hints, known = _hints(kind), known or {}  # type: ignore[arg-type]
    values = {
        field.name: _as(hints[field.name], _value(field, data), field.name)
        for field in fields(kind)  # type: ignore[arg-type]
        if field.name not in known and not (field.name not in data and field.default is not MISSING)
    }
    return kind(**values, **known)


def _value(field: Field[object], data: dict[str, object]) -> object:
    if field.name not in data:
        raise TypeError(f"it has no {field.name}")
    return data[field.name]


def _as(hint: Any, value: Any, name: str) -> Any:
    """Return a value of JSON as a type: bool, int, float, str, None, tuple[x, ...], a dataclass, or one of several."""
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_as(typing.get_args(hint)[0], item, name) for item in value)
    if typing.get_origin(hint) in (Union, types.UnionType):
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        return None if value is None else _as(choices[0], value, name)
    if is_dataclass(hint):
        return as_dataclass(typing.cast("type[Any]", hint), value)
    wanted = (int, float) if hint is float else hint
    if isinstance(value, bool) != (hint is bool) or not isinstance(value, wanted):
        raise TypeError(f"its {name} is of another type")
    if isinstance(value, str):
        value.encode()  # JSON can have halves of characters, which nobody can write
    if hint is float and not math.isfinite(value := float(value)):
        raise ValueError(f"its {name} is not finite")
    return value
