"""Waiting until a run has ended, for calls that want to know: one question to the database for all who wait.

It is asked when word was given that a run has ended (see ``created_runs``), so that who waits knows within some
hundredths of a second; and once a second, where that word does not reach this machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from weakref import WeakKeyDictionary

from cwl_ui_plugin.dags import created_runs

MAX_SECONDS = 5.0
"""A server that is to stop waits for calls that are being answered."""
MAX_WAITING = 1000
"""Calls that wait at a time in a process; further ones are answered at once."""
LOOK_SECONDS = 0.05
ASK_SECONDS = 1.0
log = logging.getLogger(__name__)
RunKey = tuple[str, str]
"""The dag_id and the run_id."""


class RunEnds:
    """Wakes those that wait in one event loop; ``going_on`` returns which of some runs have not ended."""

    def __init__(
        self,
        going_on: Callable[[Collection[RunKey]], set[RunKey]],
        told_at: Callable[[], int] = created_runs.end_told_at,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._going_on = going_on
        self._told_at = told_at
        self._clock = clock
        self._waiting: dict[asyncio.Event, RunKey] = {}
        self._is_asked = False
        self._task: asyncio.Task[None] | None = None

    async def wait(self, dag_id: str, run_id: str, seconds: float) -> None:
        """Return when a run has ended or is not there, at the latest after some seconds."""
        if len(self._waiting) >= MAX_WAITING:
            return
        over = asyncio.Event()
        self._waiting[over], self._is_asked = (dag_id, run_id), False
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), min(seconds, MAX_SECONDS))
        finally:
            del self._waiting[over]

    async def _look(self) -> None:
        """Ask as long as somebody waits: at first, when a run has ended, and when it is time to."""
        seen, asked_at = 0, float("-inf")
        while self._waiting:
            told = await asyncio.to_thread(self._told_at)
            if not self._is_asked or told != seen or self._clock() - asked_at >= ASK_SECONDS:
                self._is_asked, seen, asked_at = True, told, self._clock()
                await self._ask()
            await asyncio.sleep(LOOK_SECONDS)

    async def _ask(self) -> None:
        asked = dict(self._waiting)
        try:
            left = await asyncio.to_thread(self._going_on, set(asked.values()))
        except Exception:
            log.debug("Whether runs have ended can't be told; it is asked again", exc_info=True)
            return
        for over, run in asked.items():
            if run not in left:
                over.set()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, RunEnds] = WeakKeyDictionary()


async def wait_for_end(dag_id: str, run_id: str, seconds: float) -> None:
    """Return when a run has ended or is not there, at the latest after some seconds, 5 at most."""
    if seconds > 0:
        ends = _of_loop.setdefault(asyncio.get_running_loop(), RunEnds(_unfinished))
        await ends.wait(dag_id, run_id, seconds)


def _unfinished(runs: Collection[RunKey]) -> set[RunKey]:
    """Return which of some runs Airflow's database has as ones that wait or go on."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    dag_ids, run_ids = ({run[place] for run in runs} for place in (0, 1))
    query = select(DagRun.dag_id, DagRun.run_id).where(
        DagRun.dag_id.in_(dag_ids),
        DagRun.run_id.in_(run_ids),
        DagRun.state.in_((DagRunState.RUNNING, DagRunState.QUEUED)),
    )
    with create_session(scoped=False) as session:
        found = {(dag_id, run_id) for dag_id, run_id in session.execute(query)}
    return found & set(runs)
