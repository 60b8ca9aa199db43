"""Which workflow a WES request means: one that is stored, or a document that is attached or elsewhere, to be stored.

The dag_id of such a document is made of its name and a digest of it and all files that it refers to, so that sending
the same again makes no second workflow, and a changed one never takes the place of another.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cwl_ui_client.closure import TooManyFiles, closure, common_folder

from cwl_ui_plugin import config
from cwl_ui_plugin.library.intake import UploadedFile, propose_dag_id
from cwl_ui_plugin.library.versions import digest_of_files
from cwl_ui_plugin.services.errors import BadRequest, TooLarge
from cwl_ui_plugin.services.importing import imports
from cwl_ui_plugin.services.stored_workflows import WES_DIGITS, WES_PREFIX, open_store
from cwl_ui_plugin.services.wes.attachments import Attachments
from cwl_ui_plugin.services.workflow_models import Upload, UploadRights
from cwl_ui_plugin.services.workflows import uploads

_NAME = 150


@dataclass(frozen=True)
class Stored:
    """A workflow of the store, or the Dag of a Dag file; ``version`` is a digest, None for the current one."""

    dag_id: str
    version: str | None = None


@dataclass(frozen=True)
class Document:
    """A document among the attachments: ``files`` are all that it needs, in ``folder``."""

    folder: Path
    files: tuple[Path, ...]
    main: str
    dag_id: str
    digest: str

    @property
    def is_stored(self) -> bool:
        """Whether it is there already, and can be run, be it as an earlier version: somebody may have replaced it."""
        store = open_store()
        return self.dag_id in store and store.has_version(self.dag_id, self.digest)

    def start_upload(self, user: str, rights: UploadRights) -> Upload:
        """Begin to store it; raise what ``uploads.start_upload`` does."""
        files = [
            UploadedFile(path.relative_to(self.folder).as_posix(), cast("BinaryIO", _OnDemand(path)))
            for path in self.files
        ]
        return uploads.start_upload(files, user=user, rights=rights, dag_id=self.dag_id, main=self.main)


@dataclass(frozen=True)
class Remote:
    """A workflow elsewhere: an address of a document, a zip, a repository or a registry; see ``services.importing``."""

    address: str

    def start_upload(self, user: str, rights: UploadRights) -> Upload:
        """Fetch it and begin to store it; raise what ``imports.fetched`` and ``uploads.start_upload`` do."""
        with imports.fetched(self.address) as found:
            content = hashlib.sha256(found.file.stream.read()).hexdigest()
            found.file.stream.seek(0)
            digest = hashlib.sha256(f"{found.main}\0{content}".encode()).hexdigest()
            return uploads.start_upload(
                [found.file],
                user=user,
                rights=rights,
                dag_id=_dag_id(found.main or found.file.name, digest),
                main=found.main,
                origin=found.origin,
            )


def find(workflow_url: str, attachments: Attachments) -> Stored | Document | Remote:
    """Return what a ``workflow_url`` means: an attachment, an address, ``dag_id`` or ``dag_id@version`` of the store.

    Raises:
        BadRequest: it is none of these.
        TooLarge: the document refers to too many files.

    """
    path, hash_sign, fragment = workflow_url.partition("#")
    found = attachments.find(path)
    if found is not None and found.is_file():
        return _document(found, hash_sign + fragment, attachments.folder)
    if "://" in workflow_url:
        return Remote(workflow_url)
    dag_id, _, version = workflow_url.partition("@")
    if "/" in dag_id or not dag_id:
        raise BadRequest(f"There is no attachment {path[:80]!r}, which the workflow_url names.")
    return Stored(dag_id, version or None)


def _document(path: Path, fragment: str, within: Path) -> Document:
    limit = int(config.number("max_upload_size"))
    try:
        files = closure(path, within, imports.MAX_LOOKED_AT)
    except TooManyFiles as error:
        raise TooLarge(f"The workflow {path.name} refers to too many files.") from error
    if sum(file.stat().st_size for file in files) > limit:
        raise TooLarge(f"The workflow {path.name} and what it refers to is too large ([cwl] max_upload_size).")
    folder = common_folder(files)
    main = path.relative_to(folder).as_posix() + fragment
    digest = digest_of_files(folder, files, main)
    return Document(folder, tuple(files), main, _dag_id(main, digest), digest)


def _dag_id(main: str, digest: str) -> str:
    return f"{WES_PREFIX}-{propose_dag_id('', main)[:_NAME]}-{digest[:WES_DIGITS]}"


class _OnDemand(io.RawIOBase):
    """A file that is open only while it is read: there may be thousands of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            content = file.read(size)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place of the file, counted from its start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        self._at = offset
        return offset
