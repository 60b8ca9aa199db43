"""The store of uploaded workflows: a folder tree in which a version is complete or not there.

::

    <root>/workflows/<dag_id>/current               digest of the current version
    <root>/workflows/<dag_id>/versions/<digest>/    version.json, source/, and its compilations (``compilations``)
    <root>/workflows/<dag_id>/schedule, schedules/  when Airflow starts it by itself (``schedules``)
    <root>/workflows/<dag_id>/approvals, approval-choices/  before which steps somebody is asked (``approvals``)
    <root>/workflows/<dag_id>/numbers.json          how people call its versions: v1, v2 (``numbering``)
    <root>/manifests/<bundle version>.json          {dag_id: revision} for each state that runs may be pinned to

A *revision* names a version, a compilation of it, and a schedule (``revisions``).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from cwl_ui_plugin import last_use
from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.approvals import ApprovalFolder
from cwl_ui_plugin.library.errors import BadDagId, LibraryError, NotCompiled, UnknownWorkflow
from cwl_ui_plugin.library.files import write_json, write_text
from cwl_ui_plugin.library.manifests import ManifestFolder
from cwl_ui_plugin.library.numbering import NumberFile
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.schedules import Schedule, ScheduleFolder
from cwl_ui_plugin.library.versions import (
    SOURCE_FOLDER,
    StoredVersion,
    check_dag_id,
    digest_of,
    is_dag_id,
    is_digest,
)

VERSION_FILE = "version.json"


class WorkflowStore(ManifestFolder):
    """The store below one folder. Safe to use from many processes; writers take a lock."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.workflows = root / "workflows"

    @property
    def uploads(self) -> Path:
        """Where uploads are staged: on the store's file system, so that one rename moves a version in."""
        return self.root / "uploads"

    def dag_ids(self) -> list[str]:
        """Return the names of all workflows, sorted."""
        return sorted(name for name in self.all_dag_ids() if name in self)

    def __contains__(self, dag_id: object) -> bool:
        return isinstance(dag_id, str) and is_dag_id(dag_id) and self._current_file(dag_id).is_file()

    def current(self, dag_id: str) -> StoredVersion:
        """Return the current version of a workflow; raise :class:`UnknownWorkflow`."""
        return self.version(dag_id, self._current_digest(dag_id))

    def current_here(self, dag_id: str) -> StoredVersion:
        """Return the current version, if this machine has it already; raise :class:`UnknownWorkflow`."""
        return self.current(dag_id)

    def version(self, dag_id: str, digest: str) -> StoredVersion:
        """Return one version of a workflow; raise :class:`UnknownWorkflow`."""
        folder = self._version_folder(dag_id, digest)
        try:
            data = json.loads((folder / VERSION_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UnknownWorkflow(f"There is no version {digest!r} of the workflow {dag_id!r}.") from None
        origin = Origin(**data.pop("origin")) if "origin" in data else None
        return StoredVersion(dag_id=dag_id, digest=digest, folder=folder, origin=origin, **data)

    def pinned(self, dag_id: str, revision: str) -> StoredVersion:
        """Return the version that runs of a revision use; raise :class:`UnknownWorkflow`."""
        pinned = Revision.parse(revision)
        schedule = self.schedules(dag_id).kept(pinned.schedule) if pinned.schedule else None
        asked = self.approvals(dag_id).kept(pinned.approvals) if pinned.approvals else ()
        version = self.version(dag_id, pinned.digest)
        return replace(version, layout=pinned.layout, schedule=schedule, approvals=pinned.approvals, asked=asked)

    def approvals(self, dag_id: str) -> ApprovalFolder:
        """Return before which steps of a workflow somebody is asked; raise :class:`UnknownWorkflow`."""
        if not is_dag_id(dag_id):
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
        return ApprovalFolder(self.workflows / dag_id)

    def set_approvals(self, dag_id: str, task_ids: Iterable[str]) -> None:
        """Ask before these steps of a workflow from now on; raise :class:`UnknownWorkflow`."""
        with self._lock():
            self._current_digest(dag_id)
            self.approvals(dag_id).set(task_ids)

    def schedules(self, dag_id: str) -> ScheduleFolder:
        """Return the schedules of a workflow, to read them; raise :class:`UnknownWorkflow`."""
        if not is_dag_id(dag_id):
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
        return ScheduleFolder(self.workflows / dag_id)

    def set_schedule(self, dag_id: str, schedule: Schedule | None, *, instead_of: str | None) -> bool:
        """Let a workflow have a schedule, or none; see ``ScheduleFolder.replace``. Raise :class:`UnknownWorkflow`."""
        with self._lock():
            self._current_digest(dag_id)
            return self.schedules(dag_id).replace(schedule, instead_of)

    def versions(self, dag_id: str) -> list[StoredVersion]:
        """Return all versions of a workflow, a deleted one's too, newest first; raise :class:`UnknownWorkflow`."""
        found = [self.version(dag_id, folder.name) for folder in self._version_folders(dag_id)]
        if not found:
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
        return sorted(found, key=lambda version: (version.uploaded_at, version.digest), reverse=True)

    def digests(self, dag_id: str) -> list[str]:
        """Return the digests of all versions of a workflow, a deleted one's too."""
        return [folder.name for folder in self._version_folders(dag_id)]

    def has_version(self, dag_id: str, digest: str) -> bool:
        """Whether a version is there."""
        try:
            return self._version_folder(dag_id, digest).is_dir()
        except UnknownWorkflow:
            return False

    def use(self, dag_id: str, digest: str) -> bool:
        """Note that a version is used now; return whether it is there: it is not removed before it is old again."""
        if not self.has_version(dag_id, digest):
            return False
        return last_use.use(self._version_folder(dag_id, digest), self.root)

    def superseded(self) -> Iterator[tuple[str, str, float]]:
        """Yield the versions that are not current, with when each was used last, in seconds since 1970.

        A version was current at least until the next one was uploaded.
        """
        for dag_id in sorted(self.all_dag_ids()):
            until, current = 0.0, self.manifest_of(dag_id)
            for version in self._readable_versions(dag_id):
                uploaded = datetime.fromisoformat(version.uploaded_at).timestamp()
                if version.digest != current:
                    with suppress(FileNotFoundError):
                        yield dag_id, version.digest, max(until or uploaded, version.folder.stat().st_mtime)
                until = uploaded

    def remove_version(self, dag_id: str, digest: str, *, unused_since: float) -> bool:
        """Take a version out of the store; return False for one that is current, or was used since a time.

        With the last version of a deleted workflow nothing is left of it.
        """
        folder = self._version_folder(dag_id, digest)
        with self._lock():
            try:
                if self.manifest_of(dag_id) == digest or folder.stat().st_mtime > unused_since:
                    return False
            except FileNotFoundError:
                return False
            self._numbers_file(dag_id).keep(self._by_upload(dag_id))
            last_use.move_away(folder, self.root)
            with suppress(OSError):  # where there are others
                folder.parent.rmdir()
                self.schedules(dag_id).forget()
                self.approvals(dag_id).forget()
                self._numbers_file(dag_id).forget()
                folder.parent.parent.rmdir()
        return True

    def manifest_of(self, dag_id: str) -> str | None:
        """Return the digest of the current version of a workflow; None for a deleted one."""
        try:
            return self._current_digest(dag_id)
        except UnknownWorkflow:
            return None

    def version_numbers(self, dag_id: str) -> dict[str, int]:
        """Return the number of each version of a workflow, those of removed ones included: 1 is the first."""
        if not is_dag_id(dag_id):
            return {}
        numbers = self._numbers_file(dag_id)
        known = numbers.kept()
        is_whole = all(folder.name in known for folder in self._version_folders(dag_id))
        return known if is_whole else numbers.with_others(self._by_upload(dag_id))

    def stamps(self) -> dict[str, str]:
        """Return, for each workflow, what tells its current version from the next."""
        found = {}
        try:
            with os.scandir(self.workflows) as folders:
                for folder in folders:
                    try:
                        state = Path(folder.path, "current").stat()
                    except (FileNotFoundError, NotADirectoryError):
                        continue  # deleted
                    found[folder.name] = f"{state.st_mtime_ns}.{state.st_ino}"
        except FileNotFoundError:
            return {}
        return found

    def version_count(self, dag_id: str) -> int:
        """Return how many versions a workflow has."""
        return len(self._version_folders(dag_id))

    def deleted(self) -> list[str]:
        """Return the names of workflows that were deleted and can be restored, sorted."""
        return sorted(name for name in self.all_dag_ids() if self.is_deleted(name))

    def is_deleted(self, dag_id: str) -> bool:
        """Whether a workflow was deleted, and can be restored."""
        return dag_id not in self and bool(self._version_folders(dag_id))

    def add(
        self,
        dag_id: str,
        *,
        source: Path,
        compiled: Path,
        main: str,
        filename: str,
        uploaded_by: str,
        origin: Origin | None = None,
    ) -> StoredVersion:
        """Move a compiled upload in and make it current; a version that is there only becomes current.

        ``source`` and ``compiled`` must be folders on the store's file system (see :attr:`uploads`). What fails, as on
        a disk that is full, leaves the store as it was.
        """
        digest = digest_of(source, main)
        folder = self._version_folder(check_dag_id(dag_id), digest)
        with self._lock(), self._restored(dag_id, digest):
            if not folder.exists():
                assemble(source, compiled, main=main, filename=filename, uploaded_by=uploaded_by, origin=origin)
                folder.parent.mkdir(parents=True, exist_ok=True)
                compiled.rename(folder)
                self._numbers_file(dag_id).keep(self._by_upload(dag_id))
            self._set_current(dag_id, digest)
        return self.version(dag_id, digest)

    @contextmanager
    def _restored(self, dag_id: str, digest: str) -> Iterator[None]:
        """Take back what was done of adding a version, if that fails; who calls has the lock."""
        existed, previous = self.has_version(dag_id, digest), self.manifest_of(dag_id)
        try:
            yield
        except BaseException:
            if previous is not None and self.manifest_of(dag_id) != previous:
                self._set_current(dag_id, previous)
            if not existed:
                self._remove(self._version_folder(dag_id, digest))
                self._numbers_file(dag_id).take_back(digest)
                with suppress(OSError):  # where there are others
                    self._version_folder(dag_id, digest).parent.rmdir()
                    self._numbers_file(dag_id).forget()
                    (self.workflows / dag_id).rmdir()
            raise

    def make_current(self, dag_id: str, digest: str) -> StoredVersion:
        """Let new runs use an earlier version, or bring a deleted workflow back; raise :class:`UnknownWorkflow`."""
        with self._lock():
            version = self.version(dag_id, digest)
            self._set_current(dag_id, digest)
        return version

    def discard(self, dag_id: str, digest: str, *, previous: str | None) -> None:
        """Take back a version just added; ``previous`` becomes current again, or the workflow goes."""
        with self._lock():
            if previous is None:
                self._remove(self.workflows / check_dag_id(dag_id))
                return
            self._set_current(dag_id, previous)
            self._remove(self._version_folder(dag_id, digest))
            self._numbers_file(dag_id).take_back(digest)

    def delete(self, dag_id: str, *, unused_since: float | None = None) -> bool:
        """Take a workflow out of the store, and its schedule; raise :class:`UnknownWorkflow`.

        Its versions stay on disk: runs that use one go on to their end. With ``unused_since``, return False where its
        current version was used since that time.
        """
        digest = self._current_digest(dag_id)
        with self._lock():
            if unused_since is not None and self._version_folder(dag_id, digest).stat().st_mtime > unused_since:
                return False
            self._current_file(dag_id).unlink(missing_ok=True)
            self.schedules(dag_id).clear()
            self._touch(dag_id, digest)
        return True

    def manifest(self) -> dict[str, str]:
        """Return ``{dag_id: revision}`` of the current versions."""
        return {dag_id: self.current_revision(dag_id) for dag_id in self.dag_ids()}

    def current_revision(self, dag_id: str) -> str:
        """Return what new runs of a workflow are pinned to; raise :class:`UnknownWorkflow`."""
        digest, schedule = self._current_digest(dag_id), self.schedules(dag_id).current_digest()
        approvals = self.approvals(dag_id).current_digest()
        try:
            layout = compilations.chosen(self._version_folder(dag_id, digest)).layout
        except NotCompiled:
            return str(Revision(digest, schedule=schedule, approvals=approvals))
        return str(Revision(digest, layout, schedule, approvals))

    def _current_file(self, dag_id: str) -> Path:
        return self.workflows / dag_id / "current"

    def _current_digest(self, dag_id: str) -> str:
        try:
            return self._current_file(check_dag_id(dag_id)).read_text(encoding="ascii", errors="replace").strip()
        except (FileNotFoundError, NotADirectoryError, BadDagId):
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.") from None

    def _version_folder(self, dag_id: str, digest: str) -> Path:
        if not is_dag_id(dag_id) or not is_digest(digest):
            raise UnknownWorkflow(f"There is no version {digest!r} of a workflow {dag_id!r}.")
        return self.workflows / dag_id / "versions" / digest

    def _version_folders(self, dag_id: str) -> list[Path]:
        if not is_dag_id(dag_id):
            return []
        try:
            folders = list((self.workflows / dag_id / "versions").iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [folder for folder in folders if is_digest(folder.name)]

    def _set_current(self, dag_id: str, digest: str) -> None:
        """Make a version current; both it and the one before were used last now."""
        before = self.manifest_of(dag_id)
        write_text(self._current_file(dag_id), digest)
        for used in {digest, before or digest}:
            self._touch(dag_id, used)

    def _touch(self, dag_id: str, digest: str) -> None:
        with suppress(OSError):
            os.utime(self._version_folder(dag_id, digest))

    def all_dag_ids(self) -> list[str]:
        """Return the names of all workflows, deleted ones too, in no order."""
        try:
            return [folder.name for folder in self.workflows.iterdir() if is_dag_id(folder.name)]
        except FileNotFoundError:
            return []

    def _numbers_file(self, dag_id: str) -> NumberFile:
        return NumberFile(self.workflows / dag_id)

    def _by_upload(self, dag_id: str) -> list[str]:
        """Return the digests of the versions that are there, in the order of their upload."""
        return [version.digest for version in reversed(self._readable_versions(dag_id))]

    def _readable_versions(self, dag_id: str) -> list[StoredVersion]:
        try:
            return self.versions(dag_id)
        except (LibraryError, OSError, ValueError, TypeError):
            return []

    def _remove(self, folder: Path) -> None:
        """Take a folder out of sight with one rename, then delete it."""
        shutil.rmtree(last_use.move_away(folder, self.root), ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with last_use.locked(self.root, fcntl.LOCK_EX):
            yield

    # Where machines share no folder these do something: see ``shared.store``.

    def refresh(self) -> None:
        """See what other machines have changed; raise :class:`StoreAway` where that can't be told now."""

    def freshen(self) -> None:
        """See what other machines have changed, unless that was done a moment ago, or takes too long."""

    def fill_soon(self) -> None:
        """Begin to fetch what other machines have, and this one has not."""

    def told_manifest(self) -> dict[str, str] | None:
        """Return the manifest, where it need not be read from folders."""
        return None

    def keep_compilation(self, dag_id: str, digest: str) -> None:
        """Let other machines have what a version was compiled to now."""

    def grant_key(self, name: str) -> bytes | None:
        """Return a public key of grants that another machine has put."""
        return None

    def put_grant_key(self, name: str, key: bytes) -> None:
        """Let other machines have a public key of grants."""

    def tell_upload(self, upload_id: str, state: str) -> None:
        """Let other machines know how an upload is that this one works on."""

    def told_upload(self, upload_id: str) -> str | None:
        """Return how an upload is that another machine works on, or has ended."""
        return None

    def tidy(self) -> None:
        """Remove what nobody needs any more, and no folder shows."""


def assemble(
    source: Path, compiled: Path, *, main: str, filename: str, uploaded_by: str, origin: Origin | None
) -> None:
    """Make a folder of a compiled upload that of a version, with its source in it."""
    write_json(
        compiled / VERSION_FILE,
        {
            "main": main,
            "filename": filename,
            "uploaded_by": uploaded_by,
            "uploaded_at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            **({"origin": asdict(origin)} if origin else {}),
        },
    )
    source.rename(compiled / SOURCE_FOLDER)
