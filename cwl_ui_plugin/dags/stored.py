"""What the generated Dag files of the bundle call."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.sdk import get_parsing_context

from cwl_ui_plugin.dags.dag import CWLDAG
from cwl_ui_plugin.dags.names import VERSION_FILE
from cwl_ui_plugin.dags.preload import is_dag_processor
from cwl_ui_plugin.dags.relaying.control import control
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.recompile import usable
from cwl_ui_plugin.library.site_store import store_at
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

log = logging.getLogger(__name__)


def stored_dags(dag_file: str, *, store: str) -> dict[str, CWLDAG]:
    """Make those Dags of the bundle's version with a Dag file that are asked for, by name.

    A task's process asks for the Dag of its task. The Dag processor asks for none, unless one has callbacks to run:
    what is new it has written already, see ``known_dags``. Everybody else gets all that can be made.
    """
    workflows = _store_at(Path(store))
    version = (Path(dag_file).parent / VERSION_FILE).read_text(encoding="ascii")
    asked, is_for_callbacks = get_parsing_context().dag_id, is_dag_processor()
    if not asked and not is_for_callbacks:
        return _made(workflows.kept_manifest(version), store)
    revisions = {}
    for dag_id in [asked] if asked else _with_callbacks():
        try:
            revisions[dag_id] = workflows.kept_revision(version, dag_id)
        except UnknownWorkflow:  # where it is nowhere, Airflow says that the Dag is not there
            if not is_for_callbacks and (found := control().document(dag_id, version)):
                root, revision = found
                return {dag_id: stored_dag(dag_id, revision, store=str(root))}
    if not asked:  # an error here would be one of the Dag file of all
        return _made(revisions, store)
    return {dag_id: stored_dag(dag_id, revision, store=store) for dag_id, revision in revisions.items()}


def stored_dag(dag_id: str, revision: str, *, store: str) -> CWLDAG:
    """Make the Dag of one revision of a stored workflow. Reads its plan, nothing else, if there is one.

    In the process of a task the Dag has that task, and of the others few: each would have to make all of them again.
    """
    version = usable(_store_at(Path(store)).pinned(dag_id, revision))
    context = get_parsing_context()
    only = context.task_id if context.dag_id == dag_id else None
    return CWLDAG(dag_id, version=version, only=only, **_scheduling(version))


def _store_at(root: Path) -> WorkflowStore:
    """Return the store below a folder; a worker that shares no folder asks the API server for what it does not have."""
    return store_at(root) if shares_folders() or is_dag_processor() else WorkflowStore(root)


def _with_callbacks() -> set[str]:
    """Return for which Dags Airflow's Dag processor has callbacks to run.

    It says so nowhere but to its own function that reads the file.
    """
    frame = sys._getframe(1)
    while frame.f_back:
        frame = frame.f_back
        if requests := getattr(frame.f_locals.get("msg"), "callback_requests", None):
            return {getattr(request, "dag_id", None) or request.ti.dag_id for request in requests}
    return set()


def _made(revisions: Mapping[str, str], store: str) -> dict[str, CWLDAG]:
    """Return the Dags of those workflows that one can be made of."""
    dags = {}
    with _without_timeout():
        for dag_id, revision in revisions.items():
            try:
                dags[dag_id] = stored_dag(dag_id, revision, store=store)
            except Exception:  # of one workflow; the others have nothing to do with it
                log.exception("The Dag of the workflow %s can't be made", dag_id)
    return dags


@contextmanager
def _without_timeout() -> Iterator[None]:
    """Take off the time that Airflow gives one Dag file: here it has the Dags of thousands."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    left, _interval = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


def _scheduling(version: StoredVersion) -> dict[str, Any]:
    if version.schedule is None:  # as most; nothing is imported for it
        return {}
    from cwl_ui_plugin.dags.scheduling import dag_arguments

    return dag_arguments(version)
