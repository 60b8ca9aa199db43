"""One revision of a workflow as an archive: what a task of it reads of the store, for a machine that sees no store.

What arrives is a store of its own, with that revision and nothing else, so that whoever reads it needs to know nothing
of this. Its sources are what their digest says, or it is not there.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import shutil
import tarfile
import uuid
import zlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cwl_ui_plugin.library.compilations import COMPILED_FOLDER
from cwl_ui_plugin.library.errors import DamagedArchive, LibraryError
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.store import VERSION_FILE, WorkflowStore
from cwl_ui_plugin.library.versions import digest_of, is_dag_id, is_digest

MAX_FILES = 20_000
"""Files and folders of one revision; an upload may have less."""
MAX_HEADERS = 1024 * 1024
"""Bytes of all that an archive says of one member before its content, which tarfile has in memory at once."""
MAX_VERSION_FILE = 1024 * 1024
_HEADERS_OF_ALL = 8 * 1024 * MAX_FILES
_LONGEST_NAME = 4096
_TOP = len(("workflows", "dag_id", "versions", "digest"))
_NO_NAME = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""What the operating system says of names that can't be, or that two members have."""
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
        _check(building, dag_id, digest)
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


class _Forward:
    """A packed archive as tarfile reads it: forward only, and no more at a time than ``left`` says.

    tarfile believes the sizes in headers: it reads what it takes for a name at once, and goes back if one is negative.
    """

    def __init__(self, content: BinaryIO, most: int) -> None:
        self._unpacked = gzip.GzipFile(fileobj=content, mode="rb")
        self._most = most
        self.left = MAX_HEADERS

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise DamagedArchive("The archive of a workflow has a member with too much in its headers.")
        return self._unpacked.read(size)

    def seek(self, place: int) -> int:
        if not self.tell() <= place <= self._most:
            raise DamagedArchive("The archive of a workflow has a member of a size that can't be.")
        return self._unpacked.seek(place)

    def tell(self) -> int:
        return self._unpacked.tell()


def _extract(content: BinaryIO, folder: Path, dag_id: str, most: int) -> None:
    """Write the files of an archive, by names below the workflow's own folder only."""
    size, names = 0, set[PurePosixPath]()
    source = _Forward(content, most + _HEADERS_OF_ALL)
    try:
        with tarfile.open(fileobj=source, mode="r:") as archive:  # type: ignore[call-overload]
            for member in archive:
                path = _checked_path(member, dag_id)
                _add_names(path, names)
                size += member.size if member.isreg() else 0
                if len(names) > MAX_FILES or size > most:
                    raise DamagedArchive(f"The archive of a workflow has more than {MAX_FILES} files or {most} bytes.")
                source.left = member.size + MAX_HEADERS
                _write(archive, member, folder / path)
                source.left = MAX_HEADERS
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, zlib.error) as error:
        raise DamagedArchive(f"The archive of a workflow can't be read: {error}.") from error
    except OSError as error:
        if error.errno not in _NO_NAME and not isinstance(error, gzip.BadGzipFile):
            raise
        raise DamagedArchive(f"The archive of a workflow can't be read: {error.strerror or error}.") from error


def _checked_path(member: tarfile.TarInfo, dag_id: str) -> PurePosixPath:
    path = PurePosixPath(member.name)
    is_below = path.parts[:2] == ("workflows", dag_id) and ".." not in path.parts
    is_plain = (member.isreg() and member.size >= 0) or member.isdir()
    if not is_below or not is_plain or len(member.name) > _LONGEST_NAME:
        raise DamagedArchive("The archive of a workflow has a member that does not belong there.")
    return path


def _add_names(path: PurePosixPath, names: set[PurePosixPath]) -> None:
    """Note what a member makes: itself, and the folders on the way to it that are not there yet."""
    for found in (path, *path.parents):
        if found in names or len(found.parts) <= _TOP:
            return
        names.add(found)


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


def _check(root: Path, dag_id: str, digest: str) -> None:
    version = root / "workflows" / dag_id / "versions" / digest
    try:
        if (version / VERSION_FILE).stat().st_size > MAX_VERSION_FILE:
            raise ValueError("what is told of it is too long")
        told = WorkflowStore(root).version(dag_id, digest)
        texts = (told.main, told.filename, told.uploaded_by)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("what is told of it is no text")
        datetime.fromisoformat(told.uploaded_at)
        found = digest_of(told.source, told.main)
    except (LibraryError, OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedArchive("The archive of a workflow lacks its version.") from error
    if found != digest:
        raise DamagedArchive(f"What was fetched as the version {digest} of a workflow is another one.")
