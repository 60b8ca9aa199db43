"""What runs leave behind: commands of tasks that were killed, and intermediate files that nobody will need.

Rounds of the API server's background loop. What no task of a run can read any more goes while the run goes on
(``unread_files``); all other files of a run go once Airflow has stored that it succeeded, and not
before: until then its last task may have to deliver again. Those of a failed run are kept for a while, so that a
cleared task can go on from them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import claims, control_files, kept_values, run_folder
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.dags.stopping import pods, stop_orders
from cwl_ui_plugin.dags.stopping.janitor import end_abandoned
from cwl_ui_plugin.reports import removals
from cwl_ui_plugin.services.cleaning.stored_deliveries import StoredDeliveries
from cwl_ui_plugin.services.cleaning.unread_files import remove_unread
from cwl_ui_plugin.services.stopping.database_state import remove_files
from cwl_ui_plugin.services.stopping.tombstone_watch import remove_tombstones
from cwl_ui_plugin.services.workers import leases

log = logging.getLogger(__name__)
UNREAD_SECONDS = 0.5
SUCCEEDED_SECONDS = 5.0
ROUND_SECONDS = 20.0
RARE_ROUND_SECONDS = 3600.0
CLAIMED_SECONDS = 3600.0
"""A claim that is younger may be of a run that is being created."""
FORGOTTEN_SECONDS = 3600.0
"""Values that are younger are kept, though Airflow does not have their run in its list."""
_ASKED_AT_ONCE = 200
_EARLIER_LEASES = "leases"
Run = tuple[str, str]
_complained: set[Run] = set()


class CleaningRound:
    """A round that cleans in a thread of its own, each kind of work in its time: the loop has to go on."""

    def __init__(self) -> None:
        self._due = dict.fromkeys(_WORK, 0.0)
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Clean, if it is time."""
        if self._thread and self._thread.is_alive():
            return
        now = time.monotonic()
        tasks = [work for work, due in self._due.items() if now >= due]
        self._due |= {work: now + _WORK[work] for work in tasks}
        if tasks:
            self._thread = threading.Thread(target=_try_all, args=(tasks,), name="cwl-cleaning", daemon=True)
            self._thread.start()


def _try_all(tasks: list[Callable[[], object]]) -> None:
    try:
        for task in tasks:
            task()
    except Exception:
        log.exception("Cleaning up after runs failed; it is tried again")


def _clean() -> None:
    end_abandoned()
    stop_orders.forget_old_janitors(stop_orders.RELAYED)
    pods.settle_some(run_folder.all_leases())
    remove_expired(config.number("keep_failed_days"))


def _clean_rarely() -> None:
    remove_tombstones()
    remove_left_behind(config.number("keep_failed_days"))
    forget_values()
    release_unused_claims()
    leases.forget_given_back()


def remove_succeeded() -> int:
    """Remove the files of runs that succeeded, but for what their commands printed; return for how many runs.

    It may be killed at any moment: the next round goes on. A run whose tasks were cleared meanwhile has not succeeded.
    """
    removed = 0
    for dag_id, run_id in _succeeded(list(runs_with_folders())):
        if not run_folder.leases(dag_id, run_id):
            run_folder.keep_logs(dag_id, run_id)
            run_folder.remove_run_tmp(dag_id, run_id)
            _complain_if_there((dag_id, run_id))
            removed += 1
    return removed


def _complain_if_there(run: Run) -> None:
    """Log, once, that files of a run can't be removed, for instance since they are another user's."""
    place = run_folder.run_tmp(*run)
    if os.path.lexists(place) and run not in _complained:
        _complained.add(run)
        log.warning("The intermediate files of a run that succeeded can't be removed; it is tried again: %s", place)


def release_unused_claims() -> int:
    """Give folders free that runs have claimed, but ended without delivering anything; return how many."""
    limit = datetime.now(timezone.utc) - timedelta(seconds=CLAIMED_SECONDS)
    unused = [claim for claim in claims.claims() if claim.created <= limit.timestamp() and not _is_needed(claim)]
    ended = set(_ended_before(limit, [(claim.dag_id, claim.run_id) for claim in unused], forgotten=limit))
    stores = StoredDeliveries()
    released = 0
    for claim in unused:
        if (claim.dag_id, claim.run_id) in ended and not stores.may_have(claim):
            claims.release(claim)
            released += 1
    return released


def _is_needed(claim: Claim) -> bool:
    """Whether there are files in a folder, or it can't be told; of a place in a store: whether it is known here."""
    try:
        return claims.is_in_use(claim.path)
    except OSError:
        return True


def remove_expired(days: float) -> int:
    """Remove the files of runs that ended ``days`` ago, and of those that Airflow has forgotten; return how many."""
    limit = datetime.now(timezone.utc) - timedelta(days=days)
    removed = 0
    for dag_id, run_id in _ended_before(limit, list(runs_with_folders())):
        note = partial(removals.note, [(dag_id, run_id)], removals.INTERMEDIATE, "keep_failed_days")
        try:
            if not run_folder.leases(dag_id, run_id) and remove_files(dag_id, run_id, note):
                removed += 1
        except OSError as error:  # the next round tries again
            if (dag_id, run_id) not in _complained:
                _complained.add((dag_id, run_id))
                log.warning("The intermediate files of %s %s can't be removed yet: %s", dag_id, run_id, error)
    return removed


def forget_values() -> int:
    """Remove the large values of runs that Airflow does not have in its list any more; return of how many runs.

    Of all others, those that are not whole: who wrote or fetched them was killed.
    """
    limit, forgotten = time.time() - FORGOTTEN_SECONDS, 0
    kept = dict(kept_values.runs_with_values())
    for folder in (kept_values.values_folder(), *kept.values()):
        kept_values.forget_half_made(folder, limit)
    listed = {run for run, _state, _end in known_runs(sorted(kept))}
    for run, folder in kept.items():
        with suppress(FileNotFoundError):
            if run not in listed and folder.stat().st_mtime <= limit:
                kept_values.forget(folder)
                forgotten += 1
    return forgotten


def remove_left_behind(days: float) -> int:
    """Remove what came back after the files of a run were removed: something else has written there; return how many.

    Only what looks like the folder of a run is touched, and only what has not changed for ``days``.
    """
    limit = time.time() - days * 86_400
    known, removed = set(control_files.runs()), 0
    for place in config.tmp_folder().glob("[!.]*/[!.]*"):
        dag_id, run_id = control_files.named_by(place.parent.name), control_files.named_by(place.name)
        with suppress(FileNotFoundError):
            if (dag_id, run_id) not in known and place.lstat().st_mtime <= limit and _has_tries(place):
                run_folder.remove_run_tmp(dag_id, run_id)
                removed += 1
    return removed


def _has_tries(folder: Path) -> bool:
    """Whether a folder has what tasks of a run have made: ``<task_id>/<map_index>/<try_number>``."""
    tries = (path for path in folder.glob("*/*/*") if path.name.isdigit() and path.is_dir())
    return any(path.parent.name.removeprefix("-").isdigit() for path in tries)


def runs_with_folders() -> Iterator[Run]:
    """Yield the runs that have files, or an empty folder of control files; a task has written a lease in each."""
    for run in control_files.runs():
        if os.path.lexists(run_folder.run_tmp(*run)) or not control_files.listed(control_files.run_control(*run)):
            yield run
    # An earlier version had its leases among the intermediate files. They are not read any more.
    for path in config.tmp_folder().glob(f"[!.]*/*/{_EARLIER_LEASES}"):
        yield control_files.named_by(path.parent.parent.name), control_files.named_by(path.parent.name)


def _ended_before(limit: datetime, runs: list[Run], forgotten: datetime | None = None) -> Iterable[Run]:
    """Yield the runs that ended before a moment; those that Airflow does not know ended when ``forgotten`` says."""
    ends = {run: end for run, _state, end in known_runs(runs)}
    for run in runs:
        end = ends[run] if run in ends else forgotten or _last_change(run)
        if end is not None and end <= limit:
            yield run


def _succeeded(runs: list[Run]) -> Iterable[Run]:
    from airflow.utils.state import DagRunState

    return (run for run, state, _end in known_runs(runs) if state == DagRunState.SUCCESS)


def known_runs(runs: list[Run]) -> Iterator[tuple[Run, str, datetime | None]]:
    """Yield runs that Airflow knows, with their state and when they ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    for start in range(0, len(runs), _ASKED_AT_ONCE):
        asked = runs[start : start + _ASKED_AT_ONCE]
        query = select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.end_date)
        with create_session(scoped=False) as session:
            rows = session.execute(query.where(tuple_(DagRun.dag_id, DagRun.run_id).in_(asked))).all()
        for dag_id, run_id, state, end in rows:
            yield (dag_id, run_id), str(state), end


def _last_change(run: Run) -> datetime | None:
    """When a task of a run began or ended last; None if its folder is gone."""
    for folder in (control_files.run_control(*run), run_folder.run_tmp(*run) / _EARLIER_LEASES):
        with suppress(FileNotFoundError):
            return datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
    return None


_WORK: dict[Callable[[], object], float] = {
    remove_unread: UNREAD_SECONDS,
    remove_succeeded: SUCCEEDED_SECONDS,
    _clean: ROUND_SECONDS,
    _clean_rarely: RARE_ROUND_SECONDS,
}
"""What there is to do, and after how many seconds again."""
