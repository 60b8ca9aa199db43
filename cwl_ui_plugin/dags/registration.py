"""Writing Dags of stored workflows into Airflow's database: the same writing as the Dag processor's.

The API server does it for a workflow that was just uploaded, since its user wants to run it now; the Dag processor has
all others written by ``known_dags``.
"""

from __future__ import annotations

import fcntl
import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import last_use
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.names import BUNDLE, CLEAN_DAG_RUN
from cwl_ui_plugin.library.errors import DamagedArchive, StoreAway
from cwl_ui_plugin.library.shared.database_lock import changing_workflows

if TYPE_CHECKING:
    from airflow.sdk import DAG
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.dags.bundle import CwlDagBundle

log = logging.getLogger(__name__)
LOCK_FOLDER = "registering"
"""In the store: its lock is held while Dags are made and written, so that none is replaced by an older one."""


@dataclass(frozen=True)
class Problem:
    """Why a Dag could not be made or written, as Airflow shows errors of Dag files.

    ``may_pass`` if that is the trouble of the database, or of a bucket, and not the Dag's.
    """

    text: str
    may_pass: bool = False

    @property
    def sentence(self) -> str:
        """What is to be said in one line."""
        return (self.text.strip().splitlines() or ["no reason was given"])[-1]


def register(dag_id: str) -> None:
    """Write the Dag of a stored workflow into Airflow's database: when this returns, it can be triggered.

    Raises:
        RegistrationError: the bundle is not configured, or its Dag can't be made or written.

    """
    try:
        _register(dag_id, known_bundle())
    except StoreAway as error:
        raise RegistrationError(str(error)) from error


def _register(dag_id: str, bundle: CwlDagBundle) -> None:
    bundle.initialize()
    with registering(bundle, fcntl.LOCK_SH):
        bundle.store.refresh()
        manifest = bundle.track()
        version = bundle.files_version()
        dags, problems = make({dag_id: manifest.get(dag_id, "")}, bundle)
        problems |= write(dags, bundle, version)
        if problems:
            raise RegistrationError(problems[dag_id].sentence)
        _set_bundle_version(version)


def known_bundle() -> CwlDagBundle:
    """Return the bundle as Airflow's configuration has it; raise :class:`RegistrationError` if it has none."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    try:
        bundle: CwlDagBundle = DagBundlesManager().get_bundle(BUNDLE)  # type: ignore[no-untyped-call, assignment]
    except ValueError as error:
        raise RegistrationError(
            f"Airflow has no Dag bundle {BUNDLE!r}: add it to [dag_processor] dag_bundle_config_list "
            "(`cwl-ui-plugin init` does that)."
        ) from error
    return bundle


@contextmanager
def registering(bundle: CwlDagBundle, how: int) -> Iterator[None]:
    """Hold the lock of registering: ``fcntl.LOCK_SH`` for what was uploaded now, ``LOCK_EX`` for what is there.

    Where machines share no folder, one of them at a time has it, and which Dags it writes is as the bucket says.

    A user who may only read the store does without: should a Dag be replaced by an older one, the next look sees it.
    """
    with changing_workflows(), ExitStack() as held:
        try:
            folder = bundle.store.root / LOCK_FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(last_use.locked(folder, how))
        except OSError as error:
            log.debug("The lock of registering can't be had: %s", error)
        yield


def unregister(dag_id: str) -> None:
    """Take the Dag of a deleted workflow out of Airflow's lists; its runs stay in the database."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_stale=True))


def make(revisions: Mapping[str, str], bundle: CwlDagBundle) -> tuple[dict[str, DAG], dict[str, Problem]]:
    """Make the Dags of workflows; return them, and why some could not be made.

    The Dag that stops runs may be among the names.
    """
    dags, problems = {}, {}
    for dag_id, revision in revisions.items():
        try:
            dags[dag_id] = _dag(dag_id, revision, bundle)
        except Exception as error:
            problems[dag_id] = _problem(error)
    return dags, problems


def write(dags: Mapping[str, DAG], bundle: CwlDagBundle, version: str) -> dict[str, Problem]:
    """Write Dags, in one transaction; return why some could not be written.

    ``version`` is the bundle's, with the revisions that they were made of.
    """
    problem = _written(dags, bundle, version) if dags else None
    if problem is None:
        return {}
    if len(dags) == 1:
        return dict.fromkeys(dags, problem)
    problems: dict[str, Problem] = {}
    for dag_id, dag in dags.items():  # one of them keeps all of them from being written
        problems |= write({dag_id: dag}, bundle, version)
    return problems


def _dag(dag_id: str, revision: str, bundle: CwlDagBundle) -> DAG:
    from cwl_ui_plugin.dags.bundle import WORKFLOWS_FILE, file_name
    from cwl_ui_plugin.dags.clean_dag_run import clean_dag_run_dag
    from cwl_ui_plugin.dags.stored import stored_dag

    if dag_id == CLEAN_DAG_RUN:
        dag: DAG = clean_dag_run_dag()
        file = file_name(CLEAN_DAG_RUN)
    else:
        dag, file = stored_dag(dag_id, revision, store=str(bundle.store.root)), WORKFLOWS_FILE
    dag.fileloc, dag.relative_fileloc = str(bundle.path / file), file
    return dag


def _written(dags: Mapping[str, DAG], bundle: CwlDagBundle, version: str) -> Problem | None:
    """Write Dags, all or none; return why none was."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    from cwl_ui_plugin.dags.whole_runs import write_after_runs

    bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=BUNDLE, collect_dags=False)
    try:
        for dag in dags.values():
            _put_in(bag, dag)
        # What was wrong with them is not any more.
        bag.file_last_changed = {str(bundle.broken_file(dag_id)): datetime.now(timezone.utc) for dag_id in dags}
        with create_session() as session:
            write_after_runs(session, dags.keys())
            _ensure_bundle_row(DagBundlesManager(), session)  # type: ignore[no-untyped-call]
            files = {str(dag.relative_fileloc) for dag in dags.values()}
            before = _errors(session, files)
            sync_bag_to_db(bag, BUNDLE, version, session=session)
            if new := _errors(session, files) - before:
                _time, text = new.pop()
                raise RegistrationError(text)
            _store_now(bag, version, session)
    except Exception as error:
        return _problem(error)
    return None


def _put_in(bag: Any, dag: DAG) -> None:
    """Do to a Dag what Airflow does to one that it finds in a file; raise whatever its checks and policies raise."""
    from airflow.dag_processing import dagbag

    dag.validate()  # type: ignore[no-untyped-call]
    check_executors = getattr(dagbag, "_validate_executor_fields", None)
    if check_executors:
        check_executors(dag, BUNDLE)
    bag.bag_dag(dag=dag)


def _errors(session: Session, files: set[str]) -> set[tuple[datetime | None, str]]:
    """Return what Airflow says of Dag files, and since when.

    What it can't write of a Dag, it says of the Dag's file, which is that of all workflows. Another error may stand
    there already, such as of a Dag processor that had no time to read the file.
    """
    from airflow.models.errors import ParseImportError
    from sqlalchemy import select

    session.flush()
    found = select(ParseImportError.timestamp, ParseImportError.stacktrace).where(
        ParseImportError.bundle_name == BUNDLE, ParseImportError.filename.in_(files)
    )
    return {(time, str(text)) for time, text in session.execute(found)}


def _problem(error: Exception) -> Problem:
    from airflow.configuration import conf
    from sqlalchemy.exc import SQLAlchemyError

    text = str(error)
    if conf.getboolean("core", "dagbag_import_error_tracebacks"):
        depth = conf.getint("core", "dagbag_import_error_traceback_depth")
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-depth))
    return Problem(text, may_pass=isinstance(error, (SQLAlchemyError, StoreAway, DamagedArchive)))


def _store_now(bag: Any, version: str, session: Session) -> None:
    """Store the Dags themselves also where Airflow puts that off, as it has stored them a short time ago.

    A run would else have the tasks of one version and be pinned to another
    (``[core] min_serialized_dag_update_interval``).
    """
    from airflow.configuration import conf
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    if conf.getint("core", "min_serialized_dag_update_interval", fallback=0) <= 0:
        return
    session.flush()
    for dag in bag.dags.values():
        SerializedDagModel.write_dag(
            LazyDeserializedDAG.from_dag(dag), bundle_name=BUNDLE, bundle_version=version, session=session
        )


def _ensure_bundle_row(manager: Any, session: Session) -> None:
    from airflow.models.dagbundle import DagBundleModel

    if session.get(DagBundleModel, BUNDLE) is None:
        manager.sync_bundles_to_db(session=session)
        session.flush()


def _set_bundle_version(version: str) -> None:
    """Let the Dag processor see that the bundle has moved on; it then looks again by itself."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagBundleModel).where(DagBundleModel.name == BUNDLE).values(version=version))
