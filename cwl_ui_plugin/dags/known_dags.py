"""Which Dags of the bundle Airflow's database knows, and having the others written: for the Dag processor.

Airflow would read each Dag file again all the time, and take a process for it. What was uploaded never changes, so here
a look at the database tells what is to be done, which usually is nothing: Airflow knows a Dag by a version of the
bundle, and that version's manifest says of which revision its Dag is. What is missing, or of another revision, is
written in bulk by a process of its own. That process also writes all Dags anew when the Dag processor starts: another
version of the plugin or of Airflow, and other settings, may make other Dags of the same workflows.

Airflow takes a Dag for gone that was not found again when its file was read. Here it stands for *found again* that it
is in the store, so the time of that is written, for all at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.dags import broken_dags, registration
from cwl_ui_plugin.dags.bundle import WORKFLOWS_FILE, CwlDagBundle, remove_dag_file
from cwl_ui_plugin.dags.names import BUNDLE, CLEAN_DAG_RUN
from cwl_ui_plugin.interpreters import module_command
from cwl_ui_plugin.library.errors import DamagedManifest, StoreAway, UnknownWorkflow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

AT_ONCE = 25
"""How many Dags are written in one transaction; an upload may wait for it."""
IN_ONE_QUERY = 500
FAILED_AGAIN_SECONDS = 60
"""How long the process that writes is not started again after it has failed."""
ALL_TRIES = 3
"""How often that is tried which is done when a Dag processor starts: one Dag may never be written."""
NICE = 5
"""What runs, and who has just uploaded something, comes first."""
log = logging.getLogger(__name__)


@dataclass
class Found:
    """What a look has found. ``settled`` are known as they are, by the version that Airflow knows them by."""

    version: str
    manifest: dict[str, str]
    settled: dict[str | None, list[Known]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)
    """The revisions of workflows whose Dag is to be written."""


@dataclass(frozen=True)
class Known:
    """A Dag that Airflow's database has."""

    dag_id: str
    version: str | None
    file: str | None
    is_stale: bool
    is_broken: bool | None
    seen: datetime | None
    """When it was found last."""


class KnownDags:
    """What one Dag processor keeps in order, look by look."""

    def __init__(self, bundle: CwlDagBundle) -> None:
        self._bundle = bundle
        self._process: subprocess.Popen[bytes] | None = None
        self._tries_of_all = ALL_TRIES
        self._is_writing_all = False
        self._failed_at: float | None = None
        self._seen: tuple[str, float] | None = None

    def look(self) -> None:
        """Let the bundle follow the store, and the database as far as that costs nothing; have the rest written.

        What goes wrong with the database is tried again, and keeps the Dag processor from nothing.

        Raises:
            OSError: the store can't be read, or its disk is full; nothing is taken for gone because of that.

        """
        try:
            manifest = self._bundle.track()
        except (OSError, StoreAway):
            self._seen = None
            keep_alive()
            raise
        version, now = self._bundle.files_version(), time.monotonic()
        if self._seen and self._seen[0] == version and now - self._seen[1] < _patience().total_seconds() / 4:
            return
        self._seen = (version, now)
        is_writing = self._is_writing()
        try:
            found = look(self._bundle)
            settle(found, self._bundle)
            self._bundle.store.fill_soon()
            if (self._tries_of_all and manifest) or found.pending:
                self._seen = None
                if not is_writing:
                    self._have_written()
        except StoreAway as error:
            self._seen = None
            log.warning("What other machines have changed can't be told; nothing is taken for gone: %s", error)
            keep_alive()
        except Exception:
            self._seen = None
            log.exception("Whether Airflow knows all workflows can't be told; it is tried again")

    def _have_written(self) -> None:
        if self._failed_at is not None and time.monotonic() - self._failed_at <= FAILED_AGAIN_SECONDS:
            return
        log.info("Dags of workflows are written in a process of their own")
        self._is_writing_all = self._tries_of_all > 0
        command = module_command("cwl_ui_plugin.dags.known_dags", *(["--all"] if self._is_writing_all else []))
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _is_writing(self) -> bool:
        """Whether the process that writes goes on; if it has ended, note how."""
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        self._process = None
        if self._is_writing_all:
            self._tries_of_all = self._tries_of_all - 1 if code else 0
        if code:
            log.warning("The process that writes Dags of workflows has ended with %s", code)
            self._failed_at = time.monotonic()
        return False


def look(bundle: CwlDagBundle) -> Found:
    """Compare Airflow's database with the store. The database is read first: it may be behind, never ahead.

    Raises:
        StoreAway: what other machines have put into the store can't be told now.

    """
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        known, broken = _known(session), broken_dags.known(session)
    bundle.store.refresh()
    manifest = bundle.track()
    found = Found(bundle.files_version(), manifest)
    kept: dict[str | None, Mapping[str, str]] = {}
    for dag in known:
        if dag.dag_id not in manifest:
            if not dag.is_stale:
                found.gone.append(dag.dag_id)
            continue
        if dag.version not in kept:
            kept[dag.version] = _kept_manifest(bundle, dag.version)
        if not dag.is_broken and kept[dag.version].get(dag.dag_id) == manifest[dag.dag_id]:
            found.settled.setdefault(dag.version, []).append(dag)
    settled = {dag.dag_id for dags in found.settled.values() for dag in dags}
    for dag_id, revision in manifest.items():
        if dag_id not in settled and not (dag_id in broken and broken_dags.was_tried(bundle, dag_id, revision)):
            found.pending[dag_id] = revision
    return found


def is_settled(dag_id: str) -> bool:
    """Whether Airflow knows the Dag of a workflow as it is in the store now, so that it need not be written again.

    Raises:
        RegistrationError: the bundle is not configured.

    """
    from airflow.utils.session import create_session

    bundle = registration.known_bundle()
    bundle.initialize()
    with create_session(scoped=False) as session:
        known = _known(session, dag_id)
    if not known or known[0].is_stale or known[0].is_broken:
        return False
    revision = bundle.track().get(dag_id)
    return revision is not None and _kept_manifest(bundle, known[0].version).get(dag_id) == revision


def settle(found: Found, bundle: CwlDagBundle) -> None:
    """Write what is known of Dags without making them: that they are there, or gone, and the newest version.

    Each is written only if it is still known by the version that it was found with.
    """
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    now = datetime.now(timezone.utc)
    values: dict[str, Any] = {
        "bundle_version": found.version,
        "is_stale": False,
        "last_parsed_time": now + _ahead(bundle),
        "relative_fileloc": WORKFLOWS_FILE,
        "fileloc": str(bundle.path / WORKFLOWS_FILE),
    }
    with create_session(scoped=False) as session:
        for version, dags in found.settled.items():
            if not any(_is_due(dag, found.version, now) for dag in dags):
                continue
            for some in _parts([dag.dag_id for dag in dags]):
                row = update(DagModel).where(DagModel.dag_id.in_(some), DagModel.bundle_name == BUNDLE)
                session.execute(row.where(DagModel.bundle_version == version).values(**values), **_UNSYNCED)
        for some in _parts(found.gone):
            row = update(DagModel).where(DagModel.dag_id.in_(some), DagModel.bundle_name == BUNDLE)
            session.execute(row.values(is_stale=True), **_UNSYNCED)
        # Whoever has mended a workflow may have been another machine, or have died before it could say so.
        fine = {dag.dag_id for dags in found.settled.values() for dag in dags}
        for dag_id in (broken_dags.known(session) | bundle.broken()) - (found.manifest.keys() - fine):
            broken_dags.forget(dag_id, bundle, session)


def keep_alive() -> None:
    """See that Airflow takes no Dag of the bundle for gone, as long as nobody can say which are; never raises."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    now = datetime.now(timezone.utc)
    row = update(DagModel).where(DagModel.bundle_name == BUNDLE, DagModel.is_stale.is_(False))
    try:
        with create_session(scoped=False) as session:
            due = row.where(DagModel.last_parsed_time < now - _patience() / 2)
            session.execute(due.values(last_parsed_time=now), **_UNSYNCED)
    except Exception:
        log.exception("Airflow may take workflows for gone until their store can be read again")


_UNSYNCED: dict[str, Any] = {"execution_options": {"synchronize_session": False}}


def write_pending(bundle: CwlDagBundle, *, everything: bool, is_wanted: Callable[[], bool] = lambda: True) -> bool:
    """Write the Dags that Airflow does not know, then with ``everything`` all others anew.

    Return whether the database has done all that it was asked to. Workflows that no Dag can be made of are told to
    Airflow as import errors. ``is_wanted`` is asked in between.
    """
    tried: set[str] = set()
    is_well = True
    while is_wanted():
        found = look(bundle)
        settle(found, bundle)
        todo = {dag_id: revision for dag_id, revision in found.pending.items() if dag_id not in tried}
        if not todo and everything:
            todo = {dag_id: revision for dag_id, revision in found.manifest.items() if dag_id not in tried}
        if not todo:
            break
        for some in _parts(list(todo), AT_ONCE):
            if not is_wanted():
                return is_well
            tried.update(some)
            is_well &= _write_some({dag_id: todo[dag_id] for dag_id in some}, bundle, found.version)
    return is_well


def _write_some(revisions: Mapping[str, str], bundle: CwlDagBundle, version: str) -> bool:
    dags, problems = registration.make(revisions, bundle)
    with registration.registering(bundle, fcntl.LOCK_EX):
        bundle.store.refresh()
        current = {dag_id for dag_id, revision in revisions.items() if _is_current(bundle, dag_id, revision)}
        dags = {dag_id: dag for dag_id, dag in dags.items() if dag_id in current}
        problems = {dag_id: problem for dag_id, problem in problems.items() if dag_id in current}
        problems |= registration.write(dags, bundle, version)
        for dag_id in dags.keys() - problems.keys():
            remove_dag_file(bundle.broken_file(dag_id))
        errors = {dag_id: problem.text for dag_id, problem in problems.items() if not problem.may_pass}
        if errors:
            broken_dags.tell(errors, revisions, bundle, version)
    for dag_id, problem in problems.items():
        log.error("The Dag of the workflow %s can't be written: %s", dag_id, problem.sentence)
    return len(errors) == len(problems)


def _is_current(bundle: CwlDagBundle, dag_id: str, revision: str) -> bool:
    try:
        return bundle.store.current_revision(dag_id) == revision
    except (UnknownWorkflow, OSError, ValueError):
        return False


def _known(session: Session, dag_id: str | None = None) -> list[Known]:
    from airflow.models.dag import DagModel
    from sqlalchemy import select

    columns = (
        DagModel.dag_id,
        DagModel.bundle_version,
        DagModel.relative_fileloc,
        DagModel.is_stale,
        DagModel.has_import_errors,
        DagModel.last_parsed_time,
    )
    is_wanted = DagModel.dag_id != CLEAN_DAG_RUN if dag_id is None else DagModel.dag_id == dag_id
    found = select(*columns).where(DagModel.bundle_name == BUNDLE, is_wanted)
    return [Known(*row) for row in session.execute(found)]


def _kept_manifest(bundle: CwlDagBundle, version: str | None) -> Mapping[str, str]:
    try:
        return bundle.store.kept_manifest(version) if version else {}
    except (UnknownWorkflow, DamagedManifest):
        return {}


def _is_due(dag: Known, version: str, now: datetime) -> bool:
    """Whether what Airflow's database says of a Dag is to be renewed."""
    is_as_it_should_be = dag.version == version and dag.file == WORKFLOWS_FILE and not dag.is_stale
    return not is_as_it_should_be or dag.seen is None or dag.seen < now - _patience() / 2


def _patience() -> timedelta:
    """Return how long Airflow's Dag processor waits for a Dag before it takes it for gone."""
    from airflow.configuration import conf

    return timedelta(seconds=conf.getint("dag_processor", "stale_dag_threshold", fallback=50))


def _ahead(bundle: CwlDagBundle) -> timedelta:
    """Return how far ahead the time is that is written: not at all, unless the next look may come too late."""
    from airflow.configuration import conf

    check = conf.getint("dag_processor", "bundle_refresh_check_interval", fallback=5)
    next_look = timedelta(seconds=check + bundle.refresh_interval)
    return next_look if next_look > _patience() / 4 else timedelta()


def _parts(names: list[str], size: int = IN_ONE_QUERY) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def main() -> int:
    """Write what is pending, for the Dag processor that has started this process, as long as that is there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # of a terminal: the Dag processor says enough
    parent = os.getppid()
    os.nice(NICE)
    bundle = registration.known_bundle()
    bundle.initialize()
    try:
        is_well = write_pending(bundle, everything="--all" in sys.argv, is_wanted=lambda: os.getppid() == parent)
    except StoreAway as error:
        log.warning("Dags are written later: %s", error)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("airflow").setLevel(logging.WARNING)  # it has three lines to say of each Dag
    sys.exit(main())
