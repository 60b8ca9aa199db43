"""Noting the files of runs that have ended, some runs at a time: the table ``cwl_run_file``.

The API server's background loop does it, in a thread. It may end at any moment: a run is noted in one transaction, and
what is not noted is found again. A run that is deleted meanwhile is not noted; its rows go with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.reports.put_aside import PutAside
from cwl_ui_plugin.reports.run_files import forget_gone
from cwl_ui_plugin.reports.tables import NotedRun, RunFile
from cwl_ui_plugin.services.errors import NotFound, ServiceError
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.provenance import hashing, run_inputs
from cwl_ui_plugin.services.provenance.run_files import MAX_FILES, FoundFile, inputs_of, outputs_of, storable
from cwl_ui_plugin.services.workflows.details import cwl_dag_ids

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
RUNS_AT_ONCE = 20
ROUND_SECONDS = 5.0
REST_FACTOR = 4
IDLE_FACTOR = 50
"""For how many times as long as it has worked the thread rests: while there is something to do, and else."""
_put_aside = PutAside(seconds=600)
_NICENESS = 10
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended and is to be noted; ``key`` is the id of its row."""

    key: int
    dag_id: str
    run_id: str
    began: datetime | None
    ended: datetime


def note_some() -> int:
    """Note the files of some runs that have ended since, the newest first; return of how many."""
    runs = _runs_to_note()
    for run in runs:
        _note_or_put_aside(run)
    return len(runs)


def _note_or_put_aside(run: EndedRun) -> None:
    """Note a run; one that can't be noted keeps no other from that: it is looked at again later."""
    try:
        note_run(run)
    except Exception:
        log.exception("The files of %s %s can't be noted; it is tried again later", run.dag_id, run.run_id)
        _put_aside.put(run.key)


def note_run(run: EndedRun) -> bool:
    """Note the files of a run, instead of what was noted of it before; return whether it was still there."""
    files, is_whole = _files(run)
    return _write(run, files, is_whole)


def _files(run: EndedRun) -> tuple[list[FoundFile], bool]:
    """Return the files of a run, and whether these are all."""
    try:
        outputs, folder = output_files.load(run.dag_id, run.run_id)
        inputs = inputs_of(run_inputs.job_of(run.dag_id, run.run_id), run.began)
        made = outputs_of(outputs, folder, run.ended)
    except NotFound:
        return [], True  # it was deleted, which writing finds
    except (ServiceError, CwlError, LibraryError, OSError, ValueError, TypeError, RecursionError) as error:
        log.warning("The files of %s %s can't be noted: %s", run.dag_id, run.run_id, error)
        return [], False
    return [*inputs, *made], len(inputs) < MAX_FILES and len(made) < MAX_FILES


def _runs_to_note() -> list[EndedRun]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import or_, select

    is_news = or_(NotedRun.run_key.is_(None), NotedRun.noted_end != DagRun.end_date, NotedRun.run_id != DagRun.run_id)
    is_looked_at = DagRun.id.not_in(_put_aside.keys())
    query = (
        select(DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.start_date, DagRun.end_date)
        .outerjoin(NotedRun, NotedRun.run_key == DagRun.id)
        .where(DagRun.end_date.is_not(None), is_news, DagRun.dag_id.in_(cwl_dag_ids()), is_looked_at)
        .order_by(DagRun.id.desc())
        .limit(RUNS_AT_ONCE)
    )
    with create_session(scoped=False) as session:
        return [
            EndedRun(key, dag_id, run_id, began, ended)
            for key, dag_id, run_id, began, ended in session.execute(query)
            if ended is not None
        ]


def _write(run: EndedRun, files: list[FoundFile], is_whole: bool) -> bool:
    from airflow.utils.session import create_session
    from sqlalchemy import delete, insert

    with create_session(scoped=False) as session:
        if not _hold(session, run):
            return False
        session.execute(delete(RunFile).where(RunFile.run_key == run.key))
        session.execute(delete(NotedRun).where(NotedRun.run_key == run.key))
        known = _known_checksums(session, files)
        limit = hashing.max_size()
        rows = [_row(run, number, file, known, limit) for number, file in enumerate(files)]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            session.execute(insert(RunFile), rows[start : start + _ROWS_AT_ONCE])
        names = {"dag_id": run.dag_id, "run_id": run.run_id}
        session.execute(insert(NotedRun), [{"run_key": run.key, **names, "noted_end": run.ended, "is_whole": is_whole}])
    return True


def _hold(session: Session, run: EndedRun) -> bool:
    """Keep a run from being deleted until the transaction ends; return whether it is there, and as it was."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    keep_out_writers(session)
    where = (
        DagRun.id == run.key,
        DagRun.run_id == run.run_id,
        DagRun.dag_id == run.dag_id,
        DagRun.end_date == run.ended,
    )
    query = select(DagRun.id).where(*where).with_for_update(read=True, key_share=True, of=DagRun)
    return session.scalar(query) is not None


def _known_checksums(session: Session, files: list[FoundFile]) -> dict[str, str]:
    """Return the checksums of files that another run has had in the same state."""
    from sqlalchemy import select

    wanted = list({file.state_key for file in files if file.state_key and not file.checksum})
    known: dict[str, str] = {}
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        asked = RunFile.state_key.in_(wanted[start : start + _ROWS_AT_ONCE])
        query = select(RunFile.state_key, RunFile.checksum).where(asked, RunFile.checksum.is_not(None)).distinct()
        known |= {str(key): str(checksum) for key, checksum in session.execute(query)}
    return known


def _row(run: EndedRun, number: int, file: FoundFile, known: dict[str, str], limit: int) -> dict[str, object]:
    checksum = file.checksum or known.get(file.state_key or "")
    can_be_read = file.state_key is not None and storable(file.location) == file.location
    return {
        "run_key": run.key,
        "number": number,
        "direction": file.direction,
        "port": storable(file.port),
        "name": file.name,
        "location": storable(file.location),
        "location_key": file.location_key,
        "state_key": file.state_key,
        "checksum": checksum,
        "size": file.size,
        "waits": checksum is None and can_be_read and (file.size or 0) <= limit,
    }


class ProvenanceRound:
    """A round of the background loop that notes runs and reads their inputs, in a thread: the loop has to go on."""

    def __init__(self) -> None:
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Go on, if it is time."""
        if time.monotonic() < self._due or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._work, name="cwl-provenance", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        began = time.monotonic()
        _give_way()
        try:
            is_busy = work() > 0
        except Exception:
            is_busy = False
            log.exception("Noting the files of runs failed; it is tried again")
        taken = time.monotonic() - began
        rest = REST_FACTOR * taken if is_busy else max(ROUND_SECONDS, IDLE_FACTOR * taken)
        self._due = time.monotonic() + rest


def work() -> int:
    """Do what is to be done in a round; return how many runs and files it was."""
    return note_some() + hashing.hash_some() + forget_gone()


def _give_way() -> None:
    """Let everything else on the machine go first; on Linux this is a thread's own."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
