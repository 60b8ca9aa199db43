"""What runs leave behind: commands of tasks that were killed, and intermediate files that nobody will need.

Rounds of the API server's background loop. A run that succeeded has removed its files itself; those of a failed run are
kept for a while, so that a cleared task can go on from them.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import control_files, run_folder
from cwl_ui_plugin.dags.janitor import end_abandoned
from cwl_ui_plugin.runs import signing
from cwl_ui_plugin.runs.stop_word import remove_tombstones

log = logging.getLogger(__name__)
ROUND_SECONDS = 20.0
LOGS_ROUND_SECONDS = 3600.0
_ASKED_AT_ONCE = 200
_EARLIER_LEASES = "leases"
Run = tuple[str, str]


class CleaningRound:
    """A round that cleans in a thread of its own, every :data:`ROUND_SECONDS`: the loop has to go on."""

    def __init__(self) -> None:
        self._due = self._logs_due = 0.0
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Clean, if it is time."""
        if time.monotonic() < self._due or (self._thread and self._thread.is_alive()):
            return
        self._due = time.monotonic() + ROUND_SECONDS
        tasks = [_clean]
        if time.monotonic() >= self._logs_due:
            self._logs_due = time.monotonic() + LOGS_ROUND_SECONDS
            tasks += [_clean_logs, _clean_signatures]
        self._thread = threading.Thread(target=_try_all, args=(tasks,), name="cwl-cleaning", daemon=True)
        self._thread.start()


def _try_all(tasks: list[Callable[[], None]]) -> None:
    try:
        for task in tasks:
            task()
    except Exception:
        log.exception("Cleaning up after runs failed; it is tried again")


def _clean() -> None:
    end_abandoned()
    remove_expired(config.number("keep_failed_days"))


def _clean_logs() -> None:
    remove_old_logs(config.number("keep_logs_days"))
    remove_tombstones()


def _clean_signatures() -> None:
    signing.forget_expired(datetime.now(timezone.utc))


def remove_expired(days: float) -> int:
    """Remove the files of runs that ended ``days`` ago, and of those that Airflow has forgotten; return how many."""
    limit = datetime.now(timezone.utc) - timedelta(days=days)
    removed = 0
    for dag_id, run_id in _ended_before(limit, list(_runs_with_folders())):
        if not run_folder.leases(dag_id, run_id):
            run_folder.remove_run_tmp(dag_id, run_id)
            removed += 1
    return removed


def remove_old_logs(days: float) -> int:
    """Remove what is kept of runs that succeeded ``days`` ago; return of how many."""
    limit = time.time() - days * 86_400
    removed = 0
    for folder in run_folder.runs_with_kept_logs():
        with suppress(FileNotFoundError):  # another API server removes, too
            if folder.stat().st_mtime <= limit:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


def _runs_with_folders() -> Iterator[Run]:
    """Yield the runs that have files, or an empty folder of control files; a task has written a lease in each."""
    for run in control_files.runs():
        if os.path.lexists(run_folder.run_tmp(*run)) or not control_files.listed(control_files.run_control(*run)):
            yield run
    # An earlier version had its leases among the intermediate files. They are not read any more.
    for path in config.tmp_folder().glob(f"[!.]*/*/{_EARLIER_LEASES}"):
        yield control_files.named_by(path.parent.parent.name), control_files.named_by(path.parent.name)


def _ended_before(limit: datetime, runs: list[Run]) -> Iterable[Run]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    for start in range(0, len(runs), _ASKED_AT_ONCE):
        asked = runs[start : start + _ASKED_AT_ONCE]
        query = select(DagRun.dag_id, DagRun.run_id, DagRun.end_date)
        with create_session(scoped=False) as session:
            rows = session.execute(query.where(tuple_(DagRun.dag_id, DagRun.run_id).in_(asked))).all()
        ends = {(dag_id, run_id): end for dag_id, run_id, end in rows}
        for run in asked:
            end = ends[run] if run in ends else _last_change(run)
            if end is not None and end <= limit:
                yield run


def _last_change(run: Run) -> datetime | None:
    """When a task of a run began or ended last; None if its folder is gone."""
    for folder in (control_files.run_control(*run), run_folder.run_tmp(*run) / _EARLIER_LEASES):
        with suppress(FileNotFoundError):
            return datetime.fromtimestamp(folder.stat().st_mtime, timezone.utc)
    return None
