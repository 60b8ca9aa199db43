"""Which files a run was given and has made, read from its job and its output object: what is noted of them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.inputs.access import InputAccess, real_path
from cwl_ui_plugin.services.outputs.output_files import local_path
from cwl_ui_plugin.services.outputs.value_tree import basename_of

IN, OUT = "in", "out"
MAX_FILES = 10_000
"""Of a run; and so many of its inputs as of its outputs."""
MAX_NAME = 1000
MAX_PORT = 250
_CHECKSUM = re.compile(r"sha1\$[0-9a-f]{40}")


@dataclass(frozen=True)
class FoundFile:
    """A file of a run. ``state_key`` is None where its content may be another one by now, or can't be told."""

    direction: str
    port: str
    name: str
    location: str
    state_key: str | None = None
    checksum: str | None = None
    size: int | None = None

    @property
    def location_key(self) -> str:
        """What stands for the location in the database."""
        return key_of(self.location)


class Everybody(InputAccess):
    """What somebody may use as inputs, whoever: shared folders, uploads, outputs. Nothing else is looked at."""

    def __init__(self) -> None:
        super().__init__(None, lambda _dag_id: True)

    def _owns(self, upload: str) -> bool:
        return True


def key_of(*parts: object) -> str:
    """Return what stands for a text of any length in an index."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def inputs_of(job: Mapping[str, object], began: datetime | None) -> list[FoundFile]:
    """Return the files of a job, at most :data:`MAX_FILES`; one that was changed after the run began has no state.

    Checksums that the job names are not believed.
    """
    access = Everybody()
    found = (_input(port, value, access, began) for port, item in job.items() for value in file_objects(item))
    return list(islice((file for file in found if file is not None), MAX_FILES))


def outputs_of(outputs: Mapping[str, object] | None, folder: Place, ended: datetime | None) -> list[FoundFile]:
    """Return the files of an output object, at most :data:`MAX_FILES`, with the checksums that the runner gave them."""
    found = (
        _output(port, value, folder, ended) for port, item in (outputs or {}).items() for value in file_objects(item)
    )
    return list(islice((file for file in found if file is not None), MAX_FILES))


def location_of(value: Mapping[str, object]) -> str | None:
    """Return where a File or Directory is: a path without links, or an address; None for what is nowhere."""
    location = value.get("location") or value.get("path")
    path = local_path(location)
    if path is None:
        return location if isinstance(location, str) and "://" in location else None
    real = real_path(path)
    return str(real) if real is not None else None


def place_of_file(real: Path, access: InputAccess) -> tuple[Place, str] | None:
    """Return a path without links as the folder that it is in and its name, where ``access`` opens it."""
    root = access.root_of(real)
    if root is None or real == root:
        return None
    parts = real.relative_to(root).parts
    return Place(root, parts[:-1]), parts[-1]


def state_key_of(location: str, state: os.stat_result) -> str:
    """Return what stands for a file as it is: another size, time or inode is another content."""
    return key_of(location, state.st_size, state.st_mtime_ns, state.st_ino, state.st_dev)


def _input(port: str, value: dict[str, object], access: InputAccess, began: datetime | None) -> FoundFile | None:
    location = location_of(value)
    if location is None:
        return None
    file = FoundFile(IN, port[:MAX_PORT], _name(value), location)
    found = place_of_file(Path(location), access) if location.startswith("/") else None
    return _with_state(file, *found, before=began) if found else file


def _output(port: str, value: dict[str, object], folder: Place, ended: datetime | None) -> FoundFile | None:
    path = local_path(value.get("location") or value.get("path"))
    if path is None or ".." in path.parts or not path.is_relative_to(folder.path) or path == folder.path:
        return None
    checksum = value.get("checksum")
    known = checksum if isinstance(checksum, str) and _CHECKSUM.fullmatch(checksum) else None
    real = real_path(path)
    file = FoundFile(
        OUT, port[:MAX_PORT], _name(value), str(real or path), checksum=known, size=_number(value.get("size"))
    )
    return _with_state(file, folder, path.relative_to(folder.path).as_posix(), before=ended)


def _with_state(file: FoundFile, folder: Place, name: str, *, before: datetime | None) -> FoundFile:
    """Return a file with its size and state, if it is a plain one that was not changed since a moment."""
    try:
        state = folder.state(name)
    except (OSError, ValueError):
        return file
    if not stat.S_ISREG(state.st_mode) or before is None or state.st_mtime > before.timestamp():
        return file
    size = state.st_size if file.size is None else file.size
    state_key = state_key_of(file.location, state)
    return FoundFile(file.direction, file.port, file.name, file.location, state_key, file.checksum, size)


def _name(value: Mapping[str, object]) -> str:
    return storable(basename_of(value, "file")[:MAX_NAME])


def storable(text: str) -> str:
    """Return a text as every database takes it: file names may be of any bytes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
