"""Versions of a workflow: which one new runs use, what two of them differ in, and all of one to take away."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from cwl_ui_plugin.cwl.packing import portable
from cwl_ui_plugin.cwl.plan import read_packed
from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import Conflict, NotFound, Unavailable
from cwl_ui_plugin.services.scheduling.schedules import follow_version
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store, stored
from cwl_ui_plugin.services.workflows.details import MAX_SOURCE, readable_documents, source_names, source_place
from cwl_ui_plugin.services.workflows.upload_state import finishing

MAX_LINE = 2000
MAX_LINES = 5000
"""Longer files are not compared: it may take time by the square of their lines."""
CONTEXT = 3
_SPOOLED = 8 * 1024 * 1024


@dataclass(frozen=True)
class ChangedLine:
    """A line, ``same``, ``removed`` or ``added``; ``old`` and ``new`` are its numbers in the two versions."""

    kind: str
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True)
class FileChange:
    """What became of a file: ``kind`` is ``added``, ``removed`` or ``changed``; a hunk is lines that stand together.

    ``note`` says why there are no hunks.
    """

    path: str
    kind: str
    hunks: tuple[tuple[ChangedLine, ...], ...] = ()
    added: int = 0
    removed: int = 0
    note: str = ""


def version_number(dag_id: str, digest: str | None) -> int | None:
    """Return the number of a version by order of upload, 1 for the first; None if the store does not know it.

    It stays the same, whatever is uploaded or removed later.
    """
    return open_store().version_numbers(dag_id).get(digest) if digest else None


def make_current(dag_id: str, digest: str) -> StoredVersion:
    """Let new runs use a version, which brings a deleted workflow back; runs on their way keep theirs.

    Raises:
        NotFound: there is no such version.
        Conflict: another Dag has got the name of the deleted workflow.
        Unavailable: Airflow does not take it; nothing has changed then.

    """
    store = open_store()
    with library_errors():
        version = store.version(dag_id, digest)
    store.uploads.mkdir(parents=True, exist_ok=True)
    with finishing(store.uploads):
        previous = digest_of_revision(store.manifest().get(dag_id))
        if previous is None:
            _check_free(dag_id)
        with library_errors():
            store.make_current(dag_id, digest)
        follow_version(dag_id)
        try:
            retry_on_database_lock(lambda: registration.register(dag_id), f"registering {dag_id}")
        except BaseException as error:
            if previous is None:
                store.delete(dag_id)
            else:
                store.make_current(dag_id, previous)
                follow_version(dag_id)
            if isinstance(error, RegistrationError):
                raise Unavailable(str(error)) from error
            raise
    return version


def restore(dag_id: str) -> StoredVersion:
    """Bring a deleted workflow back, in its newest version; see :func:`make_current`."""
    store = open_store()
    if not store.is_deleted(dag_id):
        raise NotFound(f"There is no deleted workflow {dag_id!r}.")
    with library_errors():
        return make_current(dag_id, store.versions(dag_id)[0].digest)


def compare(dag_id: str, old: str, new: str) -> list[FileChange]:
    """Return the files in which two versions differ; raise :class:`NotFound`."""
    versions = stored(dag_id, old), stored(dag_id, new)
    names = {name for version in versions for name in source_names(version)}
    before, after = map(source_place, versions)
    changes = (_file_change(name, _bytes(before, name), _bytes(after, name)) for name in sorted(names))
    return [change for change in changes if change is not None]


def archive(version: StoredVersion) -> IO[bytes]:
    """Return a zip of the files as they were uploaded; raise :class:`NotFound` if they are not there any more."""
    place = source_place(version)
    file = tempfile.SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 - whoever sends it closes it
    try:
        with zipfile.ZipFile(file, "w") as packed:
            for name in source_names(version):
                with place.open(name) as source, packed.open(_member(name, source), "w") as target:
                    shutil.copyfileobj(source, target)
    except OSError as error:
        file.close()
        raise NotFound(f"The files of {version.dag_id!r} can't be read: {error.strerror or error}.") from error
    file.seek(0)
    return file


def _member(name: str, source: BinaryIO) -> zipfile.ZipInfo:
    """Return what a zip says of an open file: its name, and whether it can be executed."""
    info = zipfile.ZipInfo(name)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, os.fstat(source.fileno()).st_mode << 16
    return info


def packed_document(version: StoredVersion) -> str:
    """Return the workflow as one CWL document, with all that its steps run in it."""
    with readable_documents(version.dag_id):
        return portable(read_packed(version.compiled))


def _check_free(dag_id: str) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        dag = session.get(DagModel, dag_id)
        if dag is not None and not dag.is_stale and dag.bundle_name != BUNDLE:
            raise Conflict(
                f"Airflow has another Dag {dag_id!r} by now; the workflow can't be restored under that name."
            )


def _file_change(name: str, before: bytes | None, after: bytes | None) -> FileChange | None:
    if before == after:
        return None
    kind = "added" if before is None else "removed" if after is None else "changed"
    texts = [b"" if content is None else content for content in (before, after)]
    if any(b"\0" in text or len(text) > MAX_SOURCE for text in texts):
        return FileChange(name, kind, note="It is no text, or too long to be compared.")
    lines = [text.decode("utf-8", "replace").splitlines() for text in texts]
    if max(map(len, lines)) > MAX_LINES:
        return FileChange(name, kind, note=f"It has more than {MAX_LINES} lines, too many to be compared.")
    hunks = tuple(_hunks(*lines))
    shown = [line.kind for hunk in hunks for line in hunk]
    return FileChange(name, kind, hunks, added=shown.count("added"), removed=shown.count("removed"))


def _hunks(old: list[str], new: list[str]) -> Iterator[tuple[ChangedLine, ...]]:
    for group in difflib.SequenceMatcher(None, old, new).get_grouped_opcodes(CONTEXT):
        yield tuple(line for operation in group for line in _lines(operation, old, new))


def _lines(operation: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[ChangedLine]:
    tag, old_first, old_end, new_first, new_end = operation
    if tag == "equal":
        for at in range(old_end - old_first):
            text = _cut(old[old_first + at])
            yield ChangedLine("same", old_first + at + 1, new_first + at + 1, text)
        return
    for at in range(old_first, old_end):
        yield ChangedLine("removed", at + 1, None, _cut(old[at]))
    for at in range(new_first, new_end):
        yield ChangedLine("added", None, at + 1, _cut(new[at]))


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"


def _bytes(place: Place, name: str) -> bytes | None:
    try:
        with place.open(name) as file:
            return file.read()
    except OSError:
        return None
