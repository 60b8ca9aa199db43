"""The outputs of a run: the CWL output object, and the files that it names. Nothing else in the folder is shown.

A job may choose an output folder that others use, too; so a file counts only if the output object names it, or a
Directory that it is in, and if it lies in the run's output folder. Delivery copies what links lead to and makes none;
so no link is followed: see :mod:`cwl_ui_plugin.opened`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.files import file_objects, handed_on
from cwl_ui_plugin.cwl.value_files import LongList
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.dags.folders.placement import OUTPUT_FOLDER, folders_of
from cwl_ui_plugin.dags.handing_on import shown_values
from cwl_ui_plugin.dags.names import GATHERER
from cwl_ui_plugin.dags.run_job import given
from cwl_ui_plugin.opened import Entry, Place, place_of
from cwl_ui_plugin.services.errors import NotFound, TooLarge
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.monitoring.queries import find_run
from cwl_ui_plugin.services.outputs.stored_places import stored_place, with_sizes
from cwl_ui_plugin.services.run_models import OutputFile
from cwl_ui_plugin.storing.reading import IS_FOLDER

_Look = Callable[[str], os.stat_result]
"""Tells what is known of a plain file or a folder."""
MAX_FILES = 10_000
MAX_COUNTED = 1_000_000


@dataclass(frozen=True)
class _Output:
    """A File or Directory of the output object; ``name`` is where it is in the run's output folder."""

    output: str
    name: str
    is_folder: bool
    checksum: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class FoundFile:
    """A plain file among the outputs of a run; ``path`` is where it is in the run's output folder."""

    path: str
    output: str
    size: int


def output_object(dag_id: str, run_id: str) -> dict[str, object] | None:
    """Return the CWL output object of a run, or None while there is none; raise :class:`NotFound`."""
    return load(dag_id, run_id)[0]


def output_tree(dag_id: str, run_id: str, *, offset: int = 0, limit: int = MAX_FILES) -> Page[OutputFile]:
    """Return a part of the files of a run's outputs, at most :data:`MAX_FILES`, and how many there are.

    Raises:
        NotFound: no such run.
        TooLarge: there are more files than :data:`MAX_COUNTED`.

    """
    outputs, place = load(dag_id, run_id)
    seen: set[str] = set()
    found: list[OutputFile] = []
    end = offset + min(limit, MAX_FILES)
    with place.looking() as look:
        for output, name in _all_files(outputs, place, look):
            if name in seen:
                continue
            if len(seen) == MAX_COUNTED:
                raise TooLarge(f"The run has more than {MAX_COUNTED} output files; fetch them as a zip, by folder.")
            if offset <= len(seen) < end:
                found += _output_file(output, name, look)
            seen.add(name)
    return Page(tuple(found), len(seen))


def _output_file(output: _Output, name: str, look: _Look) -> list[OutputFile]:
    """Return a file, or nothing where it is gone meanwhile."""
    with suppress(OSError):
        size = look(name).st_size
        return [OutputFile(path=name, size=size, output=output.output, checksum=output.checksum, format=output.format)]
    return []


def files_of(dag_id: str, run_id: str) -> Iterator[FoundFile]:
    """Yield the files of a run's outputs, each once: perhaps a million. Raise :class:`NotFound` at once."""
    outputs, place = load(dag_id, run_id)
    return _found(outputs, place)


def _found(outputs: Mapping[str, object] | None, place: Place) -> Iterator[FoundFile]:
    seen: set[str] = set()
    with place.looking() as look:
        for output, name in _all_files(outputs, place, look):
            if name not in seen:
                seen.add(name)
                with suppress(OSError):
                    yield FoundFile(name, output.output, look(name).st_size)


def open_output(dag_id: str, run_id: str, path: str) -> BinaryIO:
    """Open an output file; ``path`` is as in :func:`output_tree`. Raise :class:`NotFound` for any other."""
    outputs, place = load(dag_id, run_id)
    try:
        file = place.open(path)
    except (OSError, ValueError):
        raise _missing(run_id, path) from None
    if not _is_held(outputs, place, path):
        file.close()
        raise _missing(run_id, path)
    return file


def output_location(dag_id: str, run_id: str, path: str) -> str:
    """Return where an output would be, its links resolved and not looked at; raise :class:`NotFound` for no name."""
    _outputs_of_run, place = load(dag_id, run_id)
    try:
        return store_paths.text_of(place.below(path).path.resolve())
    except (OSError, RuntimeError, ValueError):
        raise _missing(run_id, path) from None


def folder_entries(dag_id: str, run_id: str, path: str, most: int) -> tuple[Place, list[Entry], bool]:
    """Return the run's output folder, what a folder of the outputs has, and whether that is more than ``most``.

    Raise :class:`NotFound`.
    """
    outputs, place = load(dag_id, run_id)
    if not path or not _is_held(outputs, place, path):
        raise _missing(run_id, path)
    try:
        return place, *place.entries(path, most)
    except (OSError, ValueError):
        raise _missing(run_id, path) from None


def archive_entries(dag_id: str, run_id: str, path: str | None = None) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Return the files of a folder of the outputs, or of all outputs: names in an archive, and what opens each.

    Raise :class:`NotFound`, before the first file is asked for. There may be a million of them.
    """
    if path is None:
        outputs, place = load(dag_id, run_id)
        return _all_archived(outputs, place)
    place, _entries, _is_cut = folder_entries(dag_id, run_id, path, most=0)
    return _folder_archived(place.below(path))


def _all_archived(outputs: Mapping[str, object] | None, place: Place) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Keep in mind what the output object names, not the perhaps a million files in its folders."""
    files: set[str] = set()
    folders: set[str] = set()
    with place.looking() as look:
        for output in _outputs(outputs, place):
            if output.name in folders or not folders.isdisjoint(_above(output.name)):
                continue
            if not output.is_folder:
                if output.name not in files and _is_file(look, output.name):
                    files.add(output.name)
                    yield output.name, partial(place.open, output.name)
                continue
            for name in place.files(output.name):
                if name not in files and folders.isdisjoint(_above(name)):
                    yield name, partial(place.open, name)
            folders.add(output.name)


def _above(name: str) -> Iterator[str]:
    """Yield the folders that a file or folder is in."""
    return accumulate(name.split("/")[:-1], "{}/{}".format)


def _folder_archived(folder: Place) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    for name in folder.files():
        yield f"{folder.parts[-1]}/{name}", partial(folder.open, name)


def _missing(run_id: str, path: str) -> NotFound:
    return NotFound(f"The run {run_id!r} has no output {path!r}.")


def _is_held(outputs: Mapping[str, object] | None, place: Place, path: str) -> bool:
    """Whether the output object names a file or folder, or a Directory that it is in."""
    try:
        target = place.below(path).path
    except OSError:
        return False
    folders = [parent for parent in (target, *target.parents) if parent.is_relative_to(place.path)]
    spellings, of_folders = _spellings(target), {text for folder in folders for text in _spellings(folder)}
    for value in _files_named(outputs, spellings | of_folders):
        location = value.get("location") or value.get("path")
        if location in (of_folders if value["class"] == "Directory" else spellings):
            return True
    named = {(place.path / output.name, output.is_folder) for output in _outputs(outputs, place)}
    return (target, False) in named or any((folder, True) in named for folder in folders)


def _files_named(outputs: Mapping[str, object] | None, texts: set[str]) -> Iterator[dict[str, object]]:
    """Yield the Files and Directories in outputs; of long lists no more than those beside one that has such a text."""
    for value in (outputs or {}).values():
        for part in value.parts(texts) if isinstance(value, LongList) else (value,):
            yield from handed_on(part)


def _spellings(path: Path) -> set[str]:
    """Return what a location may call a path, without its slash at the end; most are spelled so."""
    return {str(path), path.as_uri(), store_paths.text_of(path)}


def output_place(dag_id: str, run_id: str, conf: Mapping[str, object] | None) -> Place:
    """Return the folder that the outputs of a run go to, below the folder that the site allows for it."""
    conf = conf or {}
    job = given(conf)
    try:
        place = folders_of(dag_id, run_id, job).outputs
    except JobError:  # such a run has failed at once
        place = Place(config.outputs_folder(), (dag_id, *Path(run_id).parts))
    if store_paths.is_stored(place.path):
        return stored_place(place)
    if GRANT in conf or os.path.lexists(place.path):
        return place
    return _earlier_place(job) or place


def output_folder(dag_id: str, run_id: str) -> str:
    """Return the address of the folder that the outputs of a run go to; raise :class:`NotFound` for no run."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        conf = find_run(session, dag_id, run_id).conf
    path = output_place(dag_id, run_id, conf if isinstance(conf, dict) else None).path
    return store_paths.address_of(path) or path.as_uri()


def _earlier_place(job: Mapping[str, object]) -> Place | None:
    """Return where a run without a grant has delivered to, if its job names a folder: it is from before grants.

    A relative folder was below ``outputs_folder`` then. A newer run without a grant may name none, and has no outputs.
    """
    given = next((job[name] for name in OUTPUT_FOLDER if job.get(name)), None)
    if not isinstance(given, str) or "\0" in given:
        return None
    try:
        path = (config.outputs_folder() / given).resolve()
    except (OSError, RuntimeError):
        return None
    return place_of(path, tuple(root.resolve() for root in config.output_roots()))


def load(dag_id: str, run_id: str, known: Mapping[str, object] | None = None) -> tuple[dict[str, object] | None, Place]:
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
    value = shown_values((dag_id, run_id), XComModel.deserialize_value(row)) if row else known
    place = output_place(dag_id, run_id, conf if isinstance(conf, dict) else None)
    outputs = value if isinstance(value, dict) else None
    return outputs, with_sizes(place, sizes_in(outputs, place))


def sizes_in(outputs: Mapping[str, object] | None, place: Place) -> Iterator[tuple[str, int]]:
    """Yield names and sizes of files, as the output object has them."""
    if store_paths.is_stored(place.path):
        for item in file_objects(outputs):
            name, size = name_in(place, item.get("location")), item.get("size")
            size = IS_FOLDER if item["class"] == "Directory" else size
            if name is not None and isinstance(size, int):
                yield name, size


def _outputs(outputs: Mapping[str, object] | None, place: Place) -> Iterator[_Output]:
    for output, value in _file_objects(outputs):
        name = name_in(place, value.get("location") or value.get("path"))
        if name is not None:
            checksum, format_ = _text(value.get("checksum")), _text(value.get("format"))
            yield _Output(output, name, value["class"] == "Directory", checksum, format_)


def _file_objects(outputs: Mapping[str, object] | None) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the Files and Directories in outputs, secondary files too, each with the id of its output."""
    for output, value in (outputs or {}).items():
        for item in handed_on(value):
            yield output, item


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def local_path(location: object) -> Path | None:
    """Return the path that a location of CWL means, or None where it is on no disk."""
    if not isinstance(location, str) or not location:
        return None
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def name_in(place: Place, location: object) -> str | None:
    """Return what a location of CWL is called in the run's output folder, or None for what is not in there."""
    path = store_paths.path_of(location) or local_path(location)
    if path is None or ".." in path.parts or not path.is_relative_to(place.path) or path == place.path:
        return None
    return path.relative_to(place.path).as_posix()


def _all_files(outputs: Mapping[str, object] | None, place: Place, look: _Look) -> Iterator[tuple[_Output, str]]:
    """Yield the names of the plain files of all outputs that are there, each with its output."""
    for output in _outputs(outputs, place):
        if output.is_folder:
            yield from ((output, name) for name in place.files(output.name))
        elif _is_file(look, output.name):
            yield output, output.name


def _is_file(look: _Look, name: str) -> bool:
    try:
        return stat.S_ISREG(look(name).st_mode)
    except (OSError, ValueError):
        return False
