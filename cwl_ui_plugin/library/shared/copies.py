"""Reading the workflows of a bucket: by the index as this machine knows it, and from the copies that it has.

What the index names and this machine does not have is fetched when it is needed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from cwl_ui_plugin.library.approvals import ApprovalFolder
from cwl_ui_plugin.library.errors import DamagedArchive, NotCompiled, UnknownWorkflow
from cwl_ui_plugin.library.files import write_json
from cwl_ui_plugin.library.schedules import ScheduleFolder
from cwl_ui_plugin.library.shared import contents, looking
from cwl_ui_plugin.library.shared.folders import SharedApprovals, SharedSchedules
from cwl_ui_plugin.library.shared.index import Archive, Entry, Index
from cwl_ui_plugin.library.shared.known import Known
from cwl_ui_plugin.library.shared.objects import Bucket
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion, is_dag_id, is_digest

FRESH_SECONDS = 10.0
"""A look that is no longer ago than this will do for a page."""
PAGE_SECONDS = 2.0
"""How long a page waits for a look."""
JUST_NOW_SECONDS = 1.0
"""After a look that was so short a time ago nobody looks again for a version that he does not find."""
MISSING_SECONDS = 600.0
"""How long the bucket is not asked again for a manifest that it does not have."""
_MAX_MISSING = 10_000
_GRANT_KEY = re.compile(r"[0-9a-f]{64}")


class Copies(WorkflowStore):
    """What a machine has of the workflows of a bucket, as its index says. Safe to use from many processes and threads.

    Methods raise :class:`StoreAway` besides what those of a ``WorkflowStore`` raise: where the bucket must be asked,
    and does not answer.
    """

    def __init__(self, root: Path, bucket: Bucket) -> None:
        super().__init__(root)
        self.bucket = bucket
        self.known = Known(root)
        self._missing: dict[str, float] = {}
        self._looking: threading.Thread | None = None
        self.filled = ""
        """Which index this process has fetched all of, as it names who wrote it."""

    def index(self) -> Index:
        """Return the index as this machine knows it; where it knows none yet, the bucket is asked."""
        seen = self.known.seen()
        return seen.index if seen else looking.look(self)

    def refresh(self) -> None:
        """Ask the bucket whether there is another index: one request where there is none."""
        looking.look(self, may_join=True)

    def freshen(self) -> None:
        """Look as :meth:`refresh` does, in another thread, and fetch what is new; a page waits a moment for it."""
        is_fresh = self.known.seconds_since_look() < FRESH_SECONDS
        if not is_fresh and not self.bucket.is_left_alone():
            done = threading.Event()
            self._begin(partial(contents.look_and_fill, self, done))
            done.wait(PAGE_SECONDS)

    def fill_soon(self) -> None:
        """Begin to fetch what this machine does not have yet, in another thread."""
        if self.filled != self.index().written:
            self._begin(partial(contents.fill_quietly, self))

    def _begin(self, work: Callable[[], None]) -> None:
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=work, name="cwl-workflows", daemon=True)
            self._looking.start()

    def told_manifest(self) -> dict[str, str] | None:
        """Return the manifest, as the index has it."""
        return dict(self.index().manifest)

    def manifest(self) -> dict[str, str]:
        """Return ``{dag_id: revision}`` of the current versions."""
        return dict(self.index().manifest)

    def all_dag_ids(self) -> list[str]:
        """Return the names of all workflows, deleted ones too, in no order."""
        return list(self.index().entries)

    def stamps(self) -> dict[str, str]:
        """Return, for each workflow, what tells its current version from the next."""
        return {dag_id: str(one.current) for dag_id, one in self.index().entries.items() if one.current}

    def __contains__(self, dag_id: object) -> bool:
        entry = self.index().entries.get(dag_id) if isinstance(dag_id, str) else None
        return entry is not None and entry.current is not None

    def current_revision(self, dag_id: str) -> str:
        """Return what new runs of a workflow are pinned to; raise :class:`UnknownWorkflow`."""
        revision = self.index().manifest.get(dag_id)
        if revision is None:
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
        return revision

    def version_numbers(self, dag_id: str) -> dict[str, int]:
        """Return the number of each version of a workflow, those of removed ones included: 1 is the first."""
        return dict(self._entry(dag_id).numbers)

    def schedules(self, dag_id: str) -> ScheduleFolder:
        """Return the schedules of a workflow, to read them; raise :class:`UnknownWorkflow`."""
        super().schedules(dag_id)
        fetch = partial(contents.small_text, self.bucket, f"schedules/{dag_id}")
        return SharedSchedules(self.workflows / dag_id, self._entry(dag_id).schedule, fetch)

    def approvals(self, dag_id: str) -> ApprovalFolder:
        """Return before which steps of a workflow somebody is asked; raise :class:`UnknownWorkflow`."""
        super().approvals(dag_id)
        fetch = partial(contents.small_text, self.bucket, f"approvals/{dag_id}")
        return SharedApprovals(self.workflows / dag_id, self._entry(dag_id).approvals, fetch)

    def current_here(self, dag_id: str) -> StoredVersion:
        """Return the current version, if this machine has it already; raise :class:`UnknownWorkflow`."""
        return super().version(dag_id, self._current_digest(dag_id))

    def version(self, dag_id: str, digest: str) -> StoredVersion:
        """Return one version of a workflow, fetched if it is not here; raise :class:`UnknownWorkflow`."""
        try:
            return super().version(dag_id, digest)
        except UnknownWorkflow:
            archive = self._archive(dag_id, digest)
            if archive is None:
                raise
        contents.bring(self, dag_id, digest, archive)
        return super().version(dag_id, digest)

    def pinned(self, dag_id: str, revision: str) -> StoredVersion:
        """Return the version that runs of a revision use, with tasks as these know them."""
        version = super().pinned(dag_id, revision)
        with suppress(NotCompiled):  # whoever uses it compiles it
            if version.compilation.layout == version.layout:
                return version
        archive = self._archive(dag_id, version.digest)
        if archive is None or self.known.brought().get(dag_id, {}).get(version.digest) == archive.sha256:
            return version
        contents.bring(self, dag_id, version.digest, archive)
        return super().pinned(dag_id, revision)

    def kept_manifest(self, name: str) -> dict[str, str]:
        """Return a manifest kept earlier, fetched if it is not here."""
        try:
            return super().kept_manifest(name)
        except UnknownWorkflow:
            if not self._bring_manifest(name):
                raise
        return super().kept_manifest(name)

    def kept_revision(self, name: str, dag_id: str) -> str:
        """Return the revision of one workflow in a manifest; that is fetched if it is not here."""
        if not self.manifest_file(name).is_file():
            self._bring_manifest(name)
        return super().kept_revision(name, dag_id)

    def keep_manifest(self, manifest: dict[str, str]) -> str:
        """Keep a manifest here; and in the bucket one that is not that of an index, which has it already."""
        if manifest != self.index().manifest:
            contents.put_manifest(self.bucket, manifest)
        return super().keep_manifest(manifest)

    def drop(self, dag_id: str, digest: str) -> None:
        """Remove a version from this machine; with it all of a workflow that is not there any more."""
        place = self._version_folder(dag_id, digest) if self._entry(dag_id).versions else self.workflows / dag_id
        with self._lock(), suppress(FileNotFoundError):
            self._remove(place)

    def grant_key(self, name: str) -> bytes | None:
        """Return the public key of grants of a name; None where the bucket has none."""
        return self.bucket.small(f"grants/{name}.pem", name) if _GRANT_KEY.fullmatch(name) else None

    def _entry(self, dag_id: str) -> Entry:
        return self.index().entries.get(dag_id) or Entry()

    def _current_digest(self, dag_id: str) -> str:
        entry = self._entry(dag_id)
        if entry.current is None:
            raise UnknownWorkflow(f"There is no CWL workflow {dag_id!r}.")
        return entry.current

    def _version_folders(self, dag_id: str) -> list[Path]:
        if not is_dag_id(dag_id):
            return []
        return [self.workflows / dag_id / "versions" / digest for digest in self._entry(dag_id).versions]

    def has_version(self, dag_id: str, digest: str) -> bool:
        """Whether there is a version; it is fetched if it is not here."""
        if digest not in self._entry(dag_id).versions:
            return False
        with suppress(UnknownWorkflow, DamagedArchive):
            return self.version(dag_id, digest).folder.is_dir()
        return False

    def _archive(self, dag_id: str, digest: str) -> Archive | None:
        """Return where a version is; the bucket is asked where this machine does not know of it."""
        if not is_dag_id(dag_id) or not is_digest(digest):
            return None
        found = self.index().archive(dag_id, digest)
        if found is None and self.known.seconds_since_look() > JUST_NOW_SECONDS:
            self.refresh()
            found = self.index().archive(dag_id, digest)
        return found

    def _bring_manifest(self, name: str) -> bool:
        if not is_digest(name) or self._missing.get(name, 0.0) > time.monotonic():
            return False
        manifest = contents.manifest(self.bucket, name)
        if manifest is None:
            if len(self._missing) >= _MAX_MISSING:
                self._missing.clear()
            self._missing[name] = time.monotonic() + MISSING_SECONDS
            return False
        write_json(self.manifest_file(name), manifest)
        return True
