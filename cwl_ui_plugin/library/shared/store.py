"""The store of workflows whose truth is a bucket: what changes is changed there first, and then here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.fetching.storage_roots import StorageRoot
from cwl_ui_plugin.library import approvals, schedules
from cwl_ui_plugin.library.errors import StoreAway, UnknownWorkflow
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.schedules import Schedule, ScheduleFolder
from cwl_ui_plugin.library.shared import contents, tidying
from cwl_ui_plugin.library.shared.changes import change
from cwl_ui_plugin.library.shared.copies import Copies
from cwl_ui_plugin.library.shared.index import Entry, Index, Removed
from cwl_ui_plugin.library.shared.objects import Bucket
from cwl_ui_plugin.library.store import assemble
from cwl_ui_plugin.library.versions import StoredVersion, check_dag_id, digest_of, is_digest

TIDY_SECONDS = 3600.0
log = logging.getLogger(__name__)


class _ChangedMeanwhileError(Exception):
    """What was to be replaced is another one by now."""


class SharedStore(Copies):
    """The store of a machine that has copies.

    Methods raise :class:`StoreAway` besides what those of a ``WorkflowStore`` raise: where the bucket must be asked,
    and does not answer. Nothing has changed then.
    """

    _tidied = float("-inf")

    @classmethod
    def of(cls, root: Path) -> SharedStore:
        """Return the store below a folder, with the bucket of the site."""
        place = site.workflows_root()
        if place is None:
            raise ConfigError("[cwl] workflows_storage names no place.")
        return _store_of(root, place)

    def set_approvals(self, dag_id: str, task_ids: Iterable[str]) -> None:
        """Ask before these steps of a workflow from now on; raise :class:`UnknownWorkflow`."""
        self._current_digest(dag_id)
        text = approvals.text_of(task_ids)
        digest = approvals.digest_of_text(text) if text else None
        if text:
            self.bucket.put_small(f"approvals/{dag_id}/{digest}.json", text.encode())
        self._change(dag_id, lambda entry: replace(_alive(dag_id, entry), approvals=digest))
        if text:
            self.approvals(dag_id).keep(text)

    def set_schedule(self, dag_id: str, schedule: Schedule | None, *, instead_of: str | None) -> bool:
        """Let a workflow have a schedule, or none, unless it has changed; raise :class:`UnknownWorkflow`."""
        self._current_digest(dag_id)
        text = schedule.to_json() if schedule else None
        digest = schedules.digest_of_text(text) if text else None
        if text:
            self.bucket.put_small(f"schedules/{dag_id}/{digest}.json", text.encode())

        def changed(entry: Entry | None) -> Entry:
            now = _alive(dag_id, entry)
            if now.schedule != instead_of:
                raise _ChangedMeanwhileError
            return replace(now, schedule=digest)

        try:
            self._change(dag_id, changed)
        except _ChangedMeanwhileError:
            return False
        if text:
            ScheduleFolder(self.workflows / dag_id).keep(text)
        return True

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
        """Put a compiled upload into the bucket, and make it current there; then move it in."""
        digest = digest_of(source, main)
        check_dag_id(dag_id)
        assemble(source, compiled, main=main, filename=filename, uploaded_by=uploaded_by, origin=origin)
        archive = contents.put_version(self.bucket, dag_id, digest, compiled)
        layout = contents.layout_of(compiled)

        def changed(entry: Entry | None) -> Entry:
            now = entry or Entry()
            there = now if digest in now.versions else now.with_version(digest, archive)
            return replace(there, current=digest, layout=layout)

        self._change(dag_id, changed)
        contents.move_in(self, dag_id, digest, compiled, self.index().archive(dag_id, digest) or archive)
        contents.point(self, dag_id)
        self._touch(dag_id, digest)
        return self.version(dag_id, digest)

    def make_current(self, dag_id: str, digest: str) -> StoredVersion:
        """Let new runs use an earlier version, or bring a deleted workflow back; raise :class:`UnknownWorkflow`."""
        version = self.version(dag_id, digest)

        def changed(entry: Entry | None) -> Entry:
            if entry is None or digest not in entry.versions:
                raise UnknownWorkflow(f"There is no version {digest!r} of the workflow {dag_id!r}.")
            return replace(entry, current=digest, layout=contents.layout_of(version.folder))

        before = self.manifest_of(dag_id)
        self._change(dag_id, changed)
        for used in {digest, before or digest}:
            self._touch(dag_id, used)
        return version

    def discard(self, dag_id: str, digest: str, *, previous: str | None) -> None:
        """Take back a version just added; ``previous`` becomes current again, or the workflow goes."""

        def changed(entry: Entry | None) -> Entry | None:
            if entry is None or digest not in entry.versions:
                return None
            left = entry.without_version(digest)
            numbers = {name: number for name, number in left.numbers.items() if name != digest}
            if entry.current != digest:
                return replace(left, numbers=numbers)
            layout = contents.layout_of(self._version_folder(dag_id, previous)) if previous else entry.layout
            return replace(left, numbers=numbers, current=previous, layout=layout)

        self._change(dag_id, changed)
        self.known.forget([(dag_id, digest)])
        self.drop(dag_id, digest)

    def delete(self, dag_id: str, *, unused_since: float | None = None) -> bool:
        """Take a workflow out of the store, and its schedule; raise :class:`UnknownWorkflow`."""
        digest = self._current_digest(dag_id)
        if unused_since is not None and self.version(dag_id, digest).folder.stat().st_mtime > unused_since:
            return False
        self._change(dag_id, lambda entry: replace(_alive(dag_id, entry), current=None, schedule=None))
        self._touch(dag_id, digest)
        return True

    def remove_version(self, dag_id: str, digest: str, *, unused_since: float) -> bool:
        """Take a version out of the store; return False for one that is current, or was used here since a time."""
        folder = self._version_folder(dag_id, digest)
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime > unused_since:
                return False

        def changed(index: Index) -> Index | None:
            entry = index.entries.get(dag_id)
            if entry is None or entry.current == digest or digest not in entry.versions:
                return None
            gone = Removed(dag_id, digest, entry.versions[digest], time.time())
            left = entry.without_version(digest)
            kept = index.having(dag_id, left if left.versions else None)
            return kept.next(kept.entries, (*index.removed, gone))

        if change(self, changed) is None:
            return False
        self.known.forget([(dag_id, digest)])
        self.drop(dag_id, digest)
        return True

    def keep_compilation(self, dag_id: str, digest: str) -> None:
        """Put a version anew, with what it was compiled to here."""
        if digest not in self._entry(dag_id).versions:
            return
        folder = self._version_folder(dag_id, digest)
        archive = contents.put_version(self.bucket, dag_id, digest, folder)

        def changed(entry: Entry | None) -> Entry | None:
            if entry is None or digest not in entry.versions:
                return None
            layout = contents.layout_of(folder) if entry.current == digest else entry.layout
            return replace(entry.with_version(digest, archive), layout=layout)

        self._change(dag_id, changed)
        self.known.bring(dag_id, digest, archive.sha256)

    def put_grant_key(self, name: str, key: bytes) -> None:
        """Let all machines have a public key of grants."""
        self.bucket.put_small(f"grants/{name}.pem", key)

    def tell_upload(self, upload_id: str, state: str) -> None:
        """Let other machines know how an upload is; what can't be told now is told with its next step."""
        try:
            self.bucket.put_small(f"uploads/{upload_id}.json", state.encode())
        except StoreAway as error:
            log.info("How the upload %s is can't be told to other machines: %s", upload_id, error)

    def told_upload(self, upload_id: str) -> str | None:
        """Return how an upload is that another machine works on, or has ended; nothing in it is checked."""
        content = self.bucket.small(f"uploads/{upload_id}.json", "")
        return None if content is None else content.decode("utf-8", "replace")

    def manifests(self) -> Iterator[tuple[str, float]]:
        """Yield the names of the manifests that are kept, with when each was put."""
        for name, moment in self.bucket.listed("manifests"):
            stem = name.removeprefix("manifests/").removesuffix(".json")
            if is_digest(stem):
                yield stem, moment

    def remove_manifest(self, name: str, *, unused_since: float) -> bool:
        """Take a manifest out of the store, here and in the bucket; return False for one used here since a time."""
        if self.manifest_file(name).exists() and not super().remove_manifest(name, unused_since=unused_since):
            return False
        self.bucket.remove([f"manifests/{name}.json"])
        return True

    def tidy(self) -> None:
        """Remove objects that no index names any more, a day after they were written or removed; once in an hour."""
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            tidying.tidy(self)
            self._tidied = time.monotonic()

    def _change(self, dag_id: str, changed: Callable[[Entry | None], Entry | None]) -> Index | None:
        """Let a workflow be as ``changed`` says of how it is in the bucket now; None where that is as it should be."""

        def next_index(index: Index) -> Index | None:
            entry = index.entries.get(dag_id)
            found = changed(entry)
            if found is None or found == entry:
                return None
            return index.having(dag_id, found if found.versions else None)

        made = change(self, next_index)
        contents.point(self, dag_id)
        return made


@cache
def _store_of(root: Path, place: StorageRoot) -> SharedStore:
    return SharedStore(root, Bucket(place))


def _alive(dag_id: str, entry: Entry | None) -> Entry:
    if entry is None or entry.current is None:
        raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
    return entry
