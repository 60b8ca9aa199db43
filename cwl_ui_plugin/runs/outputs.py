"""The outputs of a run: the CWL output object, and the files that it names. Nothing else in the folder is shown.

A job may choose an output folder that others use, too; so a file counts only if the output object names it, or a
Directory that it is in, and if it lies in the run's output folder with all links resolved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.conf import read_conf
from cwl_ui_plugin.dags.names import GATHERER
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
    return _load(dag_id, run_id)[0]


def output_tree(dag_id: str, run_id: str) -> list[OutputFile]:
    """Return the files of a run's outputs, at most :data:`MOST_FILES`; raise :class:`NotFound`."""
    outputs, folder = _load(dag_id, run_id)
    found: dict[str, OutputFile] = {}
    for entry in _entries(outputs):
        for path in _files(entry):
            inside = _inside(path, folder)
            if inside is None or inside in found:
                continue
            if len(found) == MOST_FILES:
                return list(found.values())
            found[inside] = OutputFile(
                path=inside,
                size=path.stat().st_size,
                output=entry.output,
                checksum=entry.checksum,
                format=entry.format,
            )
    return list(found.values())


def output_path(dag_id: str, run_id: str, path: str) -> Path:
    """Return where an output file is; ``path`` is as in :func:`output_tree`. Raise :class:`NotFound` for any other."""
    outputs, folder = _load(dag_id, run_id)
    missing = NotFound(f"The run {run_id!r} has no output file {path!r}.")
    try:
        target = (folder / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise missing from None
    if not target.is_file() or not target.is_relative_to(folder):
        raise missing
    if not any(_holds(entry, target) for entry in _entries(outputs)):
        raise missing
    return target


def output_folder(dag_id: str, run_id: str, conf: dict[str, Any] | None) -> Path:
    """Return the folder that the outputs of a run go to, links resolved."""
    try:
        chosen = read_conf(conf, run_id=run_id, verify=False).output_folder
    except JobError:
        chosen = None
    return (chosen or config.outputs_folder() / dag_id / run_id).resolve()


def _load(dag_id: str, run_id: str) -> tuple[dict[str, Any] | None, Path]:
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
        row = session.execute(query).first()
        value = XComModel.deserialize_value(row) if row else None
    folder = output_folder(dag_id, run_id, conf if isinstance(conf, dict) else None)
    return (value if isinstance(value, dict) else None), folder


def _entries(outputs: dict[str, Any] | None) -> Iterator[_Entry]:
    for output, value in (outputs or {}).items():
        yield from _entries_of(output, value)


def _entries_of(output: str, value: Any) -> Iterator[_Entry]:
    if isinstance(value, list):
        for item in value:
            yield from _entries_of(output, item)
    elif isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            path = _local_path(value.get("location") or value.get("path"))
            if path is not None:
                yield _Entry(
                    output,
                    path,
                    value["class"] == "Directory",
                    _text(value.get("checksum")),
                    _text(value.get("format")),
                )
            yield from _entries_of(output, value.get("secondaryFiles"))
        else:
            for item in value.values():
                yield from _entries_of(output, item)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _local_path(location: Any) -> Path | None:
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


def _inside(path: Path, folder: Path) -> str | None:
    """Return the path relative to the run's folder, or None for what leads out of it."""
    target = path.resolve()
    return target.relative_to(folder).as_posix() if target.is_relative_to(folder) else None


def _holds(entry: _Entry, target: Path) -> bool:
    place = entry.path.resolve()
    return target.is_relative_to(place) if entry.is_folder else target == place
