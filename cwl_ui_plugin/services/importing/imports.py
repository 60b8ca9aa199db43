"""Importing a workflow: fetched from elsewhere, and then an upload like any other, which keeps where it came from."""

from __future__ import annotations

import io
import re
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cwl_ui_client.closure import TooManyFiles, closure

from cwl_ui_plugin.fetching.errors import FetchError, OtherContent
from cwl_ui_plugin.fetching.fetch import name_in, shown
from cwl_ui_plugin.library import intake
from cwl_ui_plugin.library.errors import BadUpload
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.services.errors import BadRequest, Unavailable
from cwl_ui_plugin.services.full_disk import full_disk_told
from cwl_ui_plugin.services.importing import registry, repository
from cwl_ui_plugin.services.importing.addresses import GitSource, Source, TrsSource, WebSource, source_of
from cwl_ui_plugin.services.importing.budget import Budget, as_service_error
from cwl_ui_plugin.services.workflow_models import Upload, UploadRights
from cwl_ui_plugin.services.workflows import uploads
from cwl_ui_plugin.services.workflows.uploads import UploadedFile

AT_ONCE = 4
MAX_LOOKED_AT = 8 * 1024 * 1024
"""Bytes of documents in which it is looked what they refer to, in this process; those of people have less."""
_fetching = threading.BoundedSemaphore(AT_ONCE)
_ZIP = b"PK"
_COMMIT = re.compile(rb"[0-9a-f]{40}")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class FetchedWorkflow:
    """One file, a document or a zip, that :func:`uploads.start_upload` takes; ``main`` is the document in it."""

    file: UploadedFile
    main: str | None
    origin: Origin


def import_workflow(
    address: str,
    *,
    user: str,
    rights: UploadRights,
    ref: str | None = None,
    path: str | None = None,
    dag_id: str | None = None,
    replace: bool = False,
) -> Upload:
    """Fetch a workflow and begin its upload; see :func:`fetched` and :func:`uploads.start_upload`."""
    with fetched(address, ref=ref, path=path) as found:
        return uploads.start_upload(
            [found.file], user=user, rights=rights, dag_id=dag_id, main=found.main, replace=replace, origin=found.origin
        )


@contextmanager
def fetched(address: str, *, ref: str | None = None, path: str | None = None) -> Iterator[FetchedWorkflow]:
    """Yield a workflow that is somewhere else; see ``addresses`` for what an address may be.

    Raises:
        BadRequest: it can't be understood, or what is there is no workflow.
        NotAllowed: the site does not fetch from that host.
        NotFound: it is not there.
        TooLarge: it has more bytes, or takes more time, than an upload may.
        Unavailable: its host does not answer now, or too many are being fetched.
        NoRoom: the disk is full.

    """
    source = source_of(address, ref=ref, path=path)
    if not _fetching.acquire(blocking=False):
        raise Unavailable("Too many workflows are being fetched; try again in a minute.")
    try:
        with full_disk_told("the workflow"), tempfile.TemporaryDirectory(prefix="cwl-import-") as folder:
            yield _fetched(source, path, Path(folder))
    except FetchError as error:
        raise as_service_error(error) from error
    except (BadUpload, TooManyFiles) as error:
        raise BadRequest(str(error)) from error
    finally:
        _fetching.release()


def _fetched(source: Source, path: str | None, folder: Path) -> FetchedWorkflow:
    budget = Budget()
    if isinstance(source, TrsSource):
        return _from_registry(source, budget)
    if isinstance(source, GitSource):
        return _from_repository(source, budget, folder / "tree")
    return _from_web(source, budget, folder / "content")


def _from_registry(source: TrsSource, budget: Budget) -> FetchedWorkflow:
    found = registry.descriptors(source, budget)
    origin = Origin("trs", source.url, found.version, path=found.main, verified=found.verified)
    packed = _zip(found.files.items())
    return FetchedWorkflow(UploadedFile(f"{_name(source.id)}.zip", packed), found.main, origin)


def _from_repository(source: GitSource, budget: Budget, folder: Path) -> FetchedWorkflow:
    folder.mkdir()
    commit = repository.fetch_tree(source.url, source.ref, folder, budget)
    names = sorted(item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file())
    main = intake.find_main(folder, names, source.path)
    needed = closure(folder / main.partition("#")[0], folder, MAX_LOOKED_AT)
    packed = _zip((item.relative_to(folder).as_posix(), item.read_bytes()) for item in needed)
    origin = Origin("git", shown(source.url), source.ref, commit, main)
    return FetchedWorkflow(UploadedFile(f"{_name(main.partition('#')[0])}.zip", packed), main, origin)


def _from_web(source: WebSource, budget: Budget, path: Path) -> FetchedWorkflow:
    budget.file(source.url, path)
    content = path.read_bytes()
    name = name_in(source.url) or "workflow.cwl"
    is_zip = content.startswith(_ZIP)
    if is_zip and not name.lower().endswith(".zip"):
        name = f"{name}.zip"
    main = source.path if is_zip else f"{name}#{source.path}" if source.path else None
    if not is_zip and b"cwlVersion" not in content:
        raise OtherContent(f"{shown(source.url)} is neither a zip nor a CWL document: there is no cwlVersion in it.")
    origin = Origin("zip" if is_zip else "http", shown(source.url), None, _commit_of(content) if is_zip else None, main)
    return FetchedWorkflow(UploadedFile(name, io.BytesIO(content)), main, origin)


def _commit_of(content: bytes) -> str | None:
    """Return the commit that a zip was made from by git, which writes it into the comment."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.comment.decode() if _COMMIT.fullmatch(archive.comment) else None
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None  # unpacking it says what is wrong


def _zip(files: Iterable[tuple[str, bytes]]) -> BinaryIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)
    packed.seek(0)
    return packed


def _name(path: str) -> str:
    """Return what a workflow may be called: the last part of an id or a path that is more than a number."""
    name = PurePosixPath(path.rstrip("/").replace(":", "/")).name.removesuffix(".cwl")
    return f"workflow-{name}" if name.isdecimal() else name or "workflow"
