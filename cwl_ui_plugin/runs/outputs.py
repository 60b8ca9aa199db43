"""The outputs of a run: the CWL output object, and the files that it names. Nothing else in the folder is shown.

A job may choose an output folder that others use, too; so a file counts only if the output object names it, or a
Directory that it is in, and if it lies in the run's output folder with all links resolved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.conf import read_conf
from cwl_ui_plugin.dags.names import GATHERER
from cwl_ui_plugin.dags.xcom_values import unpacked
from cwl_ui_plugin.runs.errors import NotFound
from cwl_ui_plugin.runs.inspection import find_run
from cwl_ui_plugin.runs.models import OutputFile

MOST_FILES = 10_000


@dataclass(frozen=True)
class _Entry:
    """A File or Directory of the output object."""

    output: str
    path: Path
    is_folder: bool
    checksum: str | None = None
    format: str | None = None


def output_object(dag_id: str, run_id: str) -> dict[str, Any] | None:
    """Return the CWL output object of a run, or None while there is none; raise :class:`NotFound`."""
    return load(dag_id, run_id)[0]


def output_tree(dag_id: str, run_id: str) -> list[OutputFile]:
    """Return the files of a run's outputs, at most :data:`MOST_FILES`; raise :class:`NotFound`."""
    outputs, folder = load(dag_id, run_id)
    found: dict[str, OutputFile] = {}
    for entry in _entries(outputs):
        for path in _files(entry):
            name = inside(path, folder)
            if name is None or name in found:
                continue
            if len(found) == MOST_FILES:
                return list(found.values())
            found[name] = OutputFile(
                path=name,
                size=path.stat().st_size,
                output=entry.output,
                checksum=entry.checksum,
                format=entry.format,
            )
    return list(found.values())


def output_path(dag_id: str, run_id: str, path: str) -> Path:
    """Return where an output file is; ``path`` is as in :func:`output_tree`. Raise :class:`NotFound` for any other."""
    target, _folder = _output(dag_id, run_id, path)
    if not target.is_file():
        raise _missing(run_id, path)
    return target


def output_folder_path(dag_id: str, run_id: str, path: str) -> tuple[Path, Path]:
    """Return where a folder of the outputs is, and the run's output folder; raise :class:`NotFound`."""
    target, folder = _output(dag_id, run_id, path)
    if not target.is_dir():
        raise _missing(run_id, path)
    return target, folder


def archive_entries(dag_id: str, run_id: str, path: str | None = None) -> Iterator[tuple[str, Path]]:
    """Return the files of a folder of the outputs, or of all outputs, with their names in an archive.

    Raise :class:`NotFound`, before the first file is asked for. There may be a million of them.
    """
    if path is None:
        outputs, folder = load(dag_id, run_id)
        return _all_archived(_entries(outputs), folder)
    target, folder = output_folder_path(dag_id, run_id, path)
    return _folder_archived(target, folder)


def _all_archived(entries: Iterable[_Entry], folder: Path) -> Iterator[tuple[str, Path]]:
    names = set()
    for entry in entries:
        for path in _files(entry):
            name = inside(path, folder)
            if name is not None and name not in names:
                names.add(name)
                yield name, folder / name


def _folder_archived(target: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _files(_Entry("", target, is_folder=True)):
        name = inside(path, folder)
        if name is not None:
            yield path.relative_to(target.parent).as_posix(), folder / name


def _output(dag_id: str, run_id: str, path: str) -> tuple[Path, Path]:
    outputs, folder = load(dag_id, run_id)
    try:
        target = (folder / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise _missing(run_id, path) from None
    if not target.is_relative_to(folder) or not _is_held(outputs, target):
        raise _missing(run_id, path)
    return target, folder


def _missing(run_id: str, path: str) -> NotFound:
    return NotFound(f"The run {run_id!r} has no output {path!r}.")


def _is_held(outputs: dict[str, Any] | None, target: Path) -> bool:
    """Whether the output object names a target; first by the names alone, since links are rare and slow to follow."""
    names, folders = _names(target), {name for parent in target.parents for name in _names(parent)}
    for _output, value in _file_objects(outputs):
        location = value.get("location") or value.get("path")
        if location in names or (value["class"] == "Directory" and location in folders):
            return True
    return any(_holds(entry, target) for entry in _entries(outputs))


def _names(path: Path) -> set[str]:
    """Return what a location may call a path, without its slash at the end."""
    return {str(path), path.as_uri()}


def output_folder(dag_id: str, run_id: str, conf: dict[str, Any] | None) -> Path:
    """Return the folder that the outputs of a run go to, links resolved."""
    try:
        chosen = read_conf(conf, run_id=run_id, verify=False).output_folder
    except JobError:
        chosen = None
    return (chosen or config.outputs_folder() / dag_id / run_id).resolve()


def load(dag_id: str, run_id: str, known: dict[str, Any] | None = None) -> tuple[dict[str, Any] | None, Path]:
    """Return the output object of a run (``known``, if it is), and its output folder; raise :class:`NotFound`."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == GATHERER,
        XComModel.key == "return_value",
    )
    with create_session(scoped=False) as session:
        conf = find_run(session, dag_id, run_id).conf
        row = session.execute(query).first() if known is None else None
        value = unpacked(XComModel.deserialize_value(row)) if row else known
    folder = output_folder(dag_id, run_id, conf if isinstance(conf, dict) else None)
    return (value if isinstance(value, dict) else None), folder


def _entries(outputs: dict[str, Any] | None) -> Iterator[_Entry]:
    for output, value in _file_objects(outputs):
        path = local_path(value.get("location") or value.get("path"))
        if path is not None:
            checksum, format_ = _text(value.get("checksum")), _text(value.get("format"))
            yield _Entry(output, path, value["class"] == "Directory", checksum, format_)


def _file_objects(outputs: dict[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the Files and Directories in outputs, secondary files too, each with the id of its output."""
    for output, value in (outputs or {}).items():
        for item in _file_objects_in(value):
            yield output, item


def _file_objects_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _file_objects_in(item)
    elif isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            yield value
            yield from _file_objects_in(value.get("secondaryFiles"))
        else:
            for item in value.values():
                yield from _file_objects_in(item)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def local_path(location: Any) -> Path | None:
    """Return the path that a location of CWL means, or None where it is on no disk."""
    if not isinstance(location, str) or not location:
        return None
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def _files(entry: _Entry) -> Iterator[Path]:
    if not entry.is_folder:
        if entry.path.is_file():
            yield entry.path
        return
    for folder, names, files in os.walk(entry.path):
        names.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file():
                yield path


def inside(path: Path, folder: Path) -> str | None:
    """Return the path relative to the run's folder, or None for what leads out of it."""
    target = path.resolve()
    return target.relative_to(folder).as_posix() if target.is_relative_to(folder) else None


def _holds(entry: _Entry, target: Path) -> bool:
    place = entry.path.resolve()
    return target.is_relative_to(place) if entry.is_folder else target == place
