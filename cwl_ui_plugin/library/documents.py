"""Documents that a Dag file names: compiled when they are new or were changed, kept in the store.

::

    <workflows_folder>/dag-files/<digest>/       the same as a version of an uploaded workflow
    <workflows_folder>/dag-files/index/<key>     which files a document consisted of, and their state, at last look

Dag files are read every few seconds, so an unchanged document must cost a few ``stat`` calls only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from cwl_ui_client.names import absolute

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.cwl.plan import PLAN_FILE
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.library.paths import copy
from cwl_ui_plugin.library.recompile import usable
from cwl_ui_plugin.library.versions import SOURCE_FOLDER, StoredVersion, digest_of

_DIGEST = re.compile(r"[0-9a-f]+")


def local_document(document: Path, dag_id: str) -> StoredVersion:
    """Return the compiled version of a document on this machine; compile it first if it is new or was changed.

    Raises:
        DocumentError: it does not exist or can't be used.

    """
    document = absolute(document)
    if not document.is_file():
        raise DocumentError(f"There is no CWL document {str(document)!r}.")
    config.make_folders()
    root = config.workflows_folder() / "dag-files"
    index = root / "index" / hashlib.sha256(str(document).encode()).hexdigest()
    entry = _unchanged(index)
    if entry is None or not (root / entry["digest"]).is_dir():
        entry = _compile(document, root)
        write_text(index, json.dumps(entry))
    return usable(_version(root, entry, dag_id, document.name))


def kept_document(digest: str) -> StoredVersion:
    """Return a document as a Dag file has named it once; raise :class:`DocumentError` if it is not kept any more."""
    root = config.workflows_folder() / "dag-files"
    if not _DIGEST.fullmatch(digest) or not (root / digest).is_dir():
        raise DocumentError(f"The document {digest[:80]!r} of a Dag file is not kept any more.")
    return usable(_version(root, {"digest": digest, "main": _chosen_main(root / digest)}))


def stored_documents() -> Iterator[StoredVersion]:
    """Yield the compiled versions of all documents that Dag files have named at last look."""
    root = config.workflows_folder() / "dag-files"
    for index in sorted((root / "index").glob("[0-9a-f]*")):
        with suppress(OSError, ValueError, KeyError):  # removed meanwhile
            version = _version(root, json.loads(index.read_text(encoding="utf-8")))
            if version.source.is_dir():
                yield version


class _Compiled(TypedDict):
    """A compilation: its name, and the main file within it."""

    digest: str
    main: str


class _Entry(_Compiled):
    """What the index keeps of a document: ``files`` are its own by path, as :func:`_state` tells of them."""

    files: dict[str, list[int]]


def _version(root: Path, entry: _Compiled, dag_id: str = "", filename: str = "") -> StoredVersion:
    return StoredVersion(
        dag_id=dag_id,
        digest=entry["digest"],
        folder=root / entry["digest"],
        main=entry["main"],
        filename=filename or entry["main"],
        uploaded_by="",
        uploaded_at="",
    )


def _unchanged(index: Path) -> _Entry | None:
    try:
        entry: _Entry = json.loads(index.read_text(encoding="utf-8"))
        return entry if all(_state(path) == state for path, state in entry["files"].items()) else None
    except FileNotFoundError:
        return None


def _state(path: str) -> list[int]:
    status = os.stat(path)  # noqa: PTH116 - many calls on a path that Airflow takes every few seconds
    return [status.st_mtime_ns, status.st_size]


def _compile(document: Path, root: Path) -> _Entry:
    from cwl_ui_client.closure import TooManyFiles, closure, common_folder

    try:
        files = closure(document)
    except TooManyFiles as error:
        raise DocumentError(str(error)) from error
    states = {str(path): _state(str(path)) for path in files}
    folder = common_folder(files)
    main = document.relative_to(folder).as_posix()
    staging = root / "staging" / uuid.uuid4().hex
    source = staging / SOURCE_FOLDER
    try:
        for path in files:
            target = source / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            copy(path, target)
        digest = digest_of(source, main)
        if not (root / digest).exists():
            _compile_staged(staging, main, root / digest)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {"digest": digest, "main": _chosen_main(root / digest), "files": states}


def _chosen_main(compiled: Path) -> str:
    """Return the main file with the process that was chosen; it stands in plans of all formats."""
    return str(json.loads((compiled / PLAN_FILE).read_text(encoding="utf-8"))["main"])


def _compile_staged(staging: Path, main: str, target: Path) -> None:
    from cwl_ui_plugin.cwl.compile_process import compile_in_process

    compiled = staging / "compiled"
    compile_in_process(
        staging / SOURCE_FOLDER,
        main,
        compiled,
        fetch_hosts=config.fetch_hosts(),
        allow_drafts=config.flag("allow_draft_versions"),
        timeout=config.number("compile_timeout"),
        progress=lambda _message: None,
    )
    (staging / SOURCE_FOLDER).rename(compiled / SOURCE_FOLDER)
    try:
        compiled.rename(target)
    except OSError:
        if not target.exists():  # another process was faster with the same content
            raise
