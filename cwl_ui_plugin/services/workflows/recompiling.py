"""Stored workflows after an upgrade: the round that compiles them again, how far it is, and what became of each.

Of all API servers one does the rounds of the background loop; a version is compiled by whoever claims it first
(``library.recompile``). Current versions come first, then those that unfinished runs are pinned to, then the documents
of Dag files. All stay usable meanwhile: tasks read what the earlier engine has made.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library import catalog, compilations
from cwl_ui_plugin.library.documents import stored_documents
from cwl_ui_plugin.library.errors import DamagedManifest, StoreAway, UnknownWorkflow
from cwl_ui_plugin.library.recompile import recompile
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.reports.loop import wake
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store
from cwl_ui_plugin.services.workflow_models import Compilation
from cwl_ui_plugin.services.workflows.compilation_state import NEEDS_UPLOAD, Progress, compilation_of, keep_progress

log = logging.getLogger(__name__)
ROUND_SECONDS = 15.0
WANTED_FILE = ".recompile"
"""Touched to have a round done soon."""


class RecompileRound:
    """Compiles what another version of the plugin or of cwltool has compiled, in a thread: the loop has to go on."""

    def __init__(self) -> None:
        self._due = 0.0
        self._wanted: int | None = None
        self._settled: set[Path] = set()
        self._thread: threading.Thread | None = None
        self._unshared: set[tuple[str, str]] = set()

    def __call__(self) -> None:
        """Look for something to do, if it is time."""
        if self._thread and self._thread.is_alive():
            return
        store = open_store()
        wanted = _wanted_at(store)
        if time.monotonic() < self._due and wanted == self._wanted:
            return
        if wanted != self._wanted:
            self._settled.clear()
        self._due, self._wanted = time.monotonic() + ROUND_SECONDS, wanted
        self._thread = threading.Thread(target=self._look, args=(store,), name="cwl-recompile", daemon=True)
        self._thread.start()

    def wait(self, seconds: float = 60) -> None:
        """Wait until nothing is being compiled."""
        if self._thread:
            self._thread.join(timeout=seconds)

    def _look(self, store: WorkflowStore) -> None:
        try:
            for dag_id, digest in sorted(self._unshared):
                with suppress(UnknownWorkflow):
                    self._share(store, store.version(dag_id, digest))
            if versions := [version for version in _in_use(store) if self._is_due(version)]:
                self._compile(store, versions)
        except Exception:
            log.exception("Compiling workflows again failed; it is tried again")

    def _is_due(self, version: StoredVersion) -> bool:
        """Whether a version is to be compiled; each is looked at once, and what may pass is tried once by a server."""
        if version.folder in self._settled:
            return False
        failed = compilations.failure(version.folder)
        if failed is not None and not failed.may_pass:
            return False
        self._settled.add(version.folder)
        if compilations.is_compiled_here(version.folder):
            return False
        compilations.forget_failure(version.folder)
        return True

    def _compile(self, store: WorkflowStore, versions: list[StoredVersion]) -> None:
        """Compile versions one after the other; what the machine keeps from it is tried again in a later round."""
        log.info("%d workflows were compiled by another version, and are compiled again", len(versions))
        state = Progress(total=len(versions))
        try:
            for version in versions:
                state = replace(state, dag_id=version.dag_id, folder=str(version.folder))
                failed = self._is_failed(store, version, state)
                state = replace(state, done=state.done + 1, failed=state.failed + failed)
        finally:
            keep_progress(None)
        log.info("%d workflows are compiled again; %d of them need a new upload", state.done, state.failed)

    def _is_failed(self, store: WorkflowStore, version: StoredVersion, state: Progress) -> bool:
        """Compile one version; return whether its source does not compile any more."""
        before = store.manifest().get(version.dag_id)

        def tell(message: str) -> None:
            keep_progress(replace(state, message=message))

        try:
            tell("Waiting")
            recompile(version, tell)
        except DocumentError as error:
            problems = "".join(f"\n  {problem}" for problem in error.problems)
            log.warning("The workflow %s %s: %s%s", version.dag_id, NEEDS_UPLOAD, error.message, problems)
            return True
        except OSError as error:
            log.warning("The workflow %s can't be compiled again now; it is tried later: %s", version.dag_id, error)
            self._settled.discard(version.folder)
            return False
        self._share(store, version)
        if store.manifest().get(version.dag_id) != before:
            _register(version.dag_id)
        return False

    def _share(self, store: WorkflowStore, version: StoredVersion) -> None:
        """Let other machines have what was compiled; where that can't be done now, in a later round."""
        self._unshared.discard((version.dag_id, version.digest))
        if not version.folder.is_relative_to(store.workflows):
            return
        try:
            store.keep_compilation(version.dag_id, version.digest)
        except StoreAway as error:
            log.warning("What %s was compiled to is given to other machines later: %s", version.dag_id, error)
            self._unshared.add((version.dag_id, version.digest))


def compile_again(dag_id: str) -> Compilation:
    """Have a workflow compiled again soon, where another version has compiled it or it could not be; return its state.

    Raises:
        NotFound: there is no such workflow.

    """
    store = open_store()
    with library_errors():
        version = store.current(dag_id)
    compilations.forget_failure(version.folder)
    (store.root / WANTED_FILE).touch()
    wake()
    return compilation_of(version, is_current=True)


def _in_use(store: WorkflowStore) -> Iterator[StoredVersion]:
    """Yield the versions that are or may be run, the most wanted first."""
    for entry in catalog.entries(store).values():
        yield from _found(store, entry.dag_id, entry.digest)
    for dag_id, digest in _pinned(store):
        yield from _found(store, dag_id, digest)
    yield from stored_documents()


def _found(store: WorkflowStore, dag_id: str, digest: str) -> Iterator[StoredVersion]:
    with suppress(UnknownWorkflow):  # deleted meanwhile
        yield store.version(dag_id, digest)


def _pinned(store: WorkflowStore) -> Iterator[tuple[str, str]]:
    """Yield name and digest of what unfinished runs are pinned to."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import select

    query = (
        select(DagRun.dag_id, DagRun.bundle_version)
        .where(DagRun.state.in_(State.unfinished_dr_states), DagRun.bundle_version.is_not(None))
        .distinct()
    )
    with create_session(scoped=False) as session:
        found = [(dag_id, str(bundle_version)) for dag_id, bundle_version in session.execute(query)]
    for dag_id, bundle_version in found:
        with suppress(UnknownWorkflow, DamagedManifest):  # of another bundle, or lost
            if digest := digest_of_revision(store.kept_manifest(bundle_version).get(dag_id)):
                yield dag_id, digest


def _register(dag_id: str) -> None:
    """Let Airflow know of a workflow whose tasks have other names by now; its Dag processor would soon, too."""
    try:
        retry_on_database_lock(lambda: registration.register(dag_id), f"registering {dag_id}")
    except RegistrationError as error:
        log.warning("Airflow will learn of the workflow %s when it reads its Dag file: %s", dag_id, error)


def _wanted_at(store: WorkflowStore) -> int:
    try:
        return (store.root / WANTED_FILE).stat().st_mtime_ns
    except OSError:
        return 0
