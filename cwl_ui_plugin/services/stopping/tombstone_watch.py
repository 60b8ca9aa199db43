"""The tombstones of stopped runs, as the API server sees to them: written, watched until all is quiet, removed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.services.stopping.database_state import FoundRun, fail_revived, last_instance

log = logging.getLogger(__name__)
LOOK_SECONDS = 2.0
QUIET_SECONDS = 60.0
"""What the scheduler has in hand it writes within that time; a transaction of it takes seconds at most."""
MAX_SECONDS = 900.0
KEEP_SECONDS = 86_400.0
_ASKED_AT_ONCE = 200
_GREATEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
Run = tuple[str, str]


def leave_word(dag_id: str, run_id: str, user: str, found: FoundRun) -> None:
    """Write the tombstone of a run as a stop found it, unless it is there."""
    now = time.time()
    earlier = tombstones.find(dag_id, run_id)
    if found.which is None:
        if earlier is None:  # tasks of it may be starting still; a run of that name can come later
            tombstones.write(Tombstone(dag_id, run_id, user, now, last=tombstones.last_before(now)))
        return
    who = found.stopped_by if found.stopped_by and not found.stopped else user
    stone = Tombstone(dag_id, run_id, who, now, found.clear_number, found.which.run_after, found.which.row)
    is_there = earlier is not None and (earlier.row, earlier.clear_number) == (stone.row, stone.clear_number)
    is_quiet = found.had_ended and not found.stopped
    if not (is_there and earlier and (earlier.last is None or is_quiet)):
        tombstones.write(stone)


class StopWatch:
    """A round of the API server: fail what Airflow's scheduler writes late of runs that were stopped just now."""

    def __init__(self) -> None:
        self._due = 0.0
        self._first: dict[Tombstone, float] = {}
        self._quiet: dict[Tombstone, float] = {}

    def __call__(self) -> None:
        """Look, if it is time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_SECONDS
        stones = list(tombstones.watched())
        self._first = {stone: self._first.get(stone, time.monotonic()) for stone in stones}
        self._quiet = {stone: self._quiet.get(stone, time.monotonic()) for stone in stones}
        for stone, state in _states(stones):
            self._look(stone, state)

    def _look(self, stone: Tombstone, state: _RunState | None) -> None:
        now = time.monotonic()
        if state is None or state.row != stone.row:
            tombstones.close(stone, tombstones.last_before(stone.at))
        elif state.clear_number > stone.clear_number:
            tombstones.close(stone, _GREATEST)
        elif now - self._first[stone] > MAX_SECONDS:
            log.warning("Tasks of %s %s, which was stopped, come again and again", stone.dag_id, stone.run_id)
            tombstones.close(stone, state.last or tombstones.last_before(stone.at))
        elif state.is_unfinished:
            again = fail_revived(stone)
            log.info(
                "%s %s, which was stopped, was revived; failed again: %s", stone.dag_id, stone.run_id, again.stopped
            )
            self._quiet[stone] = now
        elif now - self._quiet[stone] > QUIET_SECONDS:
            tombstones.close(stone, state.last or tombstones.last_before(stone.at))


def remove_tombstones(age: float = KEEP_SECONDS) -> int:
    """Remove the tombstones that matter no more: of runs that are deleted, or were cleared and have succeeded."""
    limit = time.time() - age
    old = [stone for stone in tombstones.all_of_them() if stone.last is not None and stone.at < limit]
    removed = 0
    for stone, state in _states(old):
        is_other = state is None or state.row != stone.row
        if is_other or (state and state.clear_number > stone.clear_number and state.has_succeeded):
            tombstones.forget(stone.dag_id, stone.run_id)
            removed += 1
    return removed


@dataclass(frozen=True)
class _RunState:
    """A run as the database has it; ``last`` is the greatest id of its task instances, where that was asked for."""

    row: int
    clear_number: int
    is_unfinished: bool
    has_succeeded: bool
    last: str | None = None


def _states(stones: Iterable[Tombstone]) -> Iterator[tuple[Tombstone, _RunState | None]]:
    stones = list(stones)
    for start in range(0, len(stones), _ASKED_AT_ONCE):
        asked = stones[start : start + _ASKED_AT_ONCE]
        states = _asked(list({(stone.dag_id, stone.run_id) for stone in asked}))
        for stone in asked:
            yield stone, states.get((stone.dag_id, stone.run_id))


def _asked(runs: list[Run]) -> dict[Run, _RunState]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, State
    from sqlalchemy import exists, or_, select, tuple_

    unfinished = exists().where(
        TaskInstance.dag_id == DagRun.dag_id,
        TaskInstance.run_id == DagRun.run_id,
        or_(TaskInstance.state.is_(None), TaskInstance.state.not_in(State.finished)),
    )
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.id, DagRun.clear_number, DagRun.state, unfinished)
    query = select(*columns).where(tuple_(DagRun.dag_id, DagRun.run_id).in_(runs))
    with create_session(scoped=False) as session:
        found = {
            (dag_id, run_id): _RunState(
                row=row,
                clear_number=number,
                is_unfinished=bool(has_unfinished) or state not in State.finished_dr_states,
                has_succeeded=state == DagRunState.SUCCESS,
            )
            for dag_id, run_id, row, number, state, has_unfinished in session.execute(query)
        }
        return {run: replace(state, last=last_instance(session, *run)) for run, state in found.items()}
