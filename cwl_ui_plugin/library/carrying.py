"""One revision of a workflow as an archive: what a task of it reads of the store, for a machine that sees no store.

What arrives is a store of its own, with that revision and nothing else, so that whoever reads it needs to know nothing
of this. Its sources are what their digest says, or it is not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import uuid
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cwl_ui_plugin.library.compilations import COMPILED_FOLDER
from cwl_ui_plugin.library.errors import DamagedArchive
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.store import VERSION_FILE, WorkflowStore
from cwl_ui_plugin.library.versions import SOURCE_FOLDER, digest_of, is_dag_id, is_digest

MAX_FILES = 20_000
"""Of one revision; an upload may have less."""
_OWN = (".", "failed=")
"""What names in a folder of compilations begin with that are of this machine only."""


def key_of(dag_id: str, revision: str) -> str:
    """Return a name for the store of one revision."""
    return hashlib.sha256(f"{dag_id}\0{revision}".encode()).hexdigest()[:32]


def pack(store: WorkflowStore, dag_id: str, revision: str, target: BinaryIO) -> None:
    """Write what a revision has as an archive; raise :class:`UnknownWorkflow` where the store does not have it."""
    store.pinned(dag_id, revision)
    pinned, workflow = Revision.parse(revision), store.workflows / dag_id
    files = [
        workflow / folder / f"{digest}.json"
        for digest, folder in ((pinned.schedule, "schedules"), (pinned.approvals, "approval-choices"))
        if digest
    ]
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        _add_version(archive, dag_id, pinned.digest, workflow / "versions" / pinned.digest)
        for path in files:
            archive.add(path, path.relative_to(store.root).as_posix(), recursive=False, filter=_plain)


def pack_version(dag_id: str, digest: str, folder: Path, target: BinaryIO) -> None:
    """Write the folder of a version, wherever it is, as an archive."""
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        _add_version(archive, dag_id, digest, folder)


def _add_version(archive: tarfile.TarFile, dag_id: str, digest: str, folder: Path) -> None:
    top = PurePosixPath("workflows", dag_id, "versions", digest)
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not (inner.parts[0] == COMPILED_FOLDER and len(inner.parts) > 1 and inner.parts[1].startswith(_OWN)):
            archive.add(path, str(top / inner.as_posix()), recursive=False, filter=_plain)


def unpack(content: BinaryIO, root: Path, dag_id: str, revision: str, *, most: int) -> None:
    """Make ``root`` the store of one revision, from an archive of at most ``most`` bytes; it is whole, or not there.

    Raises:
        DamagedArchive: it is no archive of that revision.
        OSError: it can't be written.

    """
    digest = Revision.parse(revision).digest
    if not is_dag_id(dag_id) or not is_digest(digest):
        raise DamagedArchive(f"{dag_id!r} {revision!r} is no revision of a workflow.")
    root.parent.mkdir(parents=True, exist_ok=True)
    building = root.with_name(f".{uuid.uuid4().hex}")
    try:
        building.mkdir(mode=0o700)
        _extract(content, building, dag_id, most)
        _check(building / "workflows" / dag_id / "versions" / digest, digest)
        try:
            building.rename(root)
        except OSError:
            if not root.is_dir():  # else another process was faster with the same
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what is neither a file nor a folder, and whose it is here."""
    if not (member.isreg() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _extract(content: BinaryIO, folder: Path, dag_id: str, most: int) -> None:
    """Write the files of an archive, by names below the workflow's own folder only."""
    size = count = 0
    try:
        with tarfile.open(fileobj=content, mode="r|gz") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                count, size = count + 1, size + member.size
                if parts[:2] != ("workflows", dag_id) or ".." in parts or not (member.isreg() or member.isdir()):
                    raise DamagedArchive("The archive of a workflow has a member that does not belong there.")
                if count > MAX_FILES or size > most:
                    raise DamagedArchive(f"The archive of a workflow has more than {MAX_FILES} files or {most} bytes.")
                _write(archive, member, folder.joinpath(*parts))
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise DamagedArchive(f"The archive of a workflow can't be read: {error}.") from error


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is None:
        raise DamagedArchive("The archive of a workflow is cut off.")
    with path.open("xb") as target:
        shutil.copyfileobj(source, target)


def _check(version: Path, digest: str) -> None:
    try:
        main = json.loads((version / VERSION_FILE).read_text(encoding="utf-8"))["main"]
        found = digest_of(version / SOURCE_FOLDER, main)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArchive("The archive of a workflow lacks its version.") from error
    if found != digest:
        raise DamagedArchive(f"What was fetched as the version {digest} of a workflow is another one.")
