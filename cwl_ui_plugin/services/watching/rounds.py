"""The round of the API server that looks at all watched folders, each in a thread: one that hangs holds up no other."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from cwl_ui_plugin.cwl.jobs.file_sets import WatchProblems, read_watch
from cwl_ui_plugin.dags.scheduling import FOLDER
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.stored_workflows import open_store
from cwl_ui_plugin.services.watching import states
from cwl_ui_plugin.services.watching.looking import WatchedFolder
from cwl_ui_plugin.services.workflows.details import stored_version

log = logging.getLogger(__name__)
SECONDS = 5.0
PATIENCE_SECONDS = 2.0
"""How long a round waits for its threads; those that take longer go on."""
SLOW_SECONDS = 60.0
REST_FACTOR = 10
"""A folder is left alone for this many times as long as a look at it takes."""


@dataclass
class _Watched:
    schedule: str
    folder: WatchedFolder
    thread: threading.Thread | None = None
    began: float = 0.0
    next_look: float = 0.0
    is_told_slow: bool = False


class WatchRound:
    """Looks at the folder of each workflow whose schedule is of the kind ``folder``."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._has_looked = False

    def __call__(self) -> None:
        """Do one round."""
        self._follow_schedules()
        now = time.monotonic()
        for dag_id, watched in self._watched.items():
            if watched.thread is not None and watched.thread.is_alive():
                self._tell_slow(dag_id, watched, now)
            elif now >= watched.next_look:
                self._begin(dag_id, watched, now)
        deadline = now + PATIENCE_SECONDS
        for watched in self._watched.values():
            if watched.thread is not None:
                watched.thread.join(max(0.0, deadline - time.monotonic()))

    def _follow_schedules(self) -> None:
        store, seen = open_store(), set()
        for dag_id in store.dag_ids():
            digest = store.schedules(dag_id).current_digest()
            if digest is None:
                continue
            known = self._watched.get(dag_id)
            if known is not None and known.schedule == digest:
                seen.add(dag_id)
            elif (folder := _watched_folder(dag_id)) is not None:
                self._watched[dag_id] = _Watched(digest, folder)
                seen.add(dag_id)
        if self._watched.keys() - seen or not self._has_looked:
            self._watched = {dag_id: watched for dag_id, watched in self._watched.items() if dag_id in seen}
            states.forget_all_but(seen)
        self._has_looked = True

    def _begin(self, dag_id: str, watched: _Watched, now: float) -> None:
        watched.began, watched.is_told_slow = now, False
        watched.thread = threading.Thread(
            target=_look, args=(dag_id, watched), name=f"cwl-folder-{dag_id}", daemon=True
        )
        watched.thread.start()

    def _tell_slow(self, dag_id: str, watched: _Watched, now: float) -> None:
        if now - watched.began > SLOW_SECONDS and not watched.is_told_slow:
            watched.is_told_slow = True
            words = (
                f"Looking into {watched.folder.watch.folder} takes longer than {SLOW_SECONDS:.0f} seconds: is it away?"
            )
            states.keep(dag_id, states.FolderState(problem=words, seconds=now - watched.began))


def _watched_folder(dag_id: str) -> WatchedFolder | None:
    """Return what a workflow's schedule has watched; None for another kind, or one that can't be read."""
    version = stored_version(dag_id)
    try:
        schedule = open_store().schedules(dag_id).current()
        if version is None or schedule is None or schedule.kind != FOLDER:
            return None
        return WatchedFolder(dag_id, schedule, read_watch(schedule.settings, version.plan))
    except (LibraryError, WatchProblems) as error:
        log.warning("The watched folder of %s can't be looked at: %s", dag_id, error)
        return None


def _look(dag_id: str, watched: _Watched) -> None:
    try:
        state = watched.folder.look(obstacle(dag_id, watched.folder.schedule))
        watched.next_look = time.monotonic() + max(SECONDS, REST_FACTOR * state.seconds)
        states.keep(dag_id, state)
    except Exception:
        log.exception("Looking into the watched folder of %s failed; it is tried again", dag_id)


def obstacle(dag_id: str, schedule: Schedule) -> str:
    """Return why a schedule starts nothing now; empty if it does."""
    version = stored_version(dag_id)
    if schedule.problem:
        return schedule.problem
    if schedule.is_paused or _is_paused(dag_id):
        return "It is paused: sets that are complete wait."
    if version is None or not schedule.starts(version.digest):
        return "The workflow has another version than the one that this was saved for: save it again."
    return ""


def _is_paused(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        dag = session.get(DagModel, dag_id)
        return dag is not None and bool(dag.is_paused)
