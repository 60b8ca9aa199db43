"""Calls that wait for the end of a run are woken, and ask the database together."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection

import pytest

from cwl_ui_plugin.services.monitoring import end_waiting
from cwl_ui_plugin.services.monitoring.end_waiting import RunEnds, RunKey

LONG = 4.0
"""Seconds; a test that takes them has failed."""


class World:
    """Runs that go on, and word that one has ended; the clock stands, so that nobody asks because it is time to."""

    def __init__(self, *going_on: RunKey) -> None:
        self.going_on = set(going_on)
        self.asked: list[set[RunKey]] = []
        self.told = 1
        self.now = 0.0
        self.ends = RunEnds(self.look_up, lambda: self.told, lambda: self.now)

    def look_up(self, runs: Collection[RunKey]) -> set[RunKey]:
        self.asked.append(set(runs))
        return self.going_on & set(runs)

    def end(self, run: RunKey) -> None:
        self.going_on.discard(run)
        self.told += 1

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(LONG) if hasattr(asyncio, "timeout") else _nothing():
            while len(self.asked) < times:
                await asyncio.sleep(0.005)

    def waits(self, run_id: str, seconds: float = LONG) -> asyncio.Task[None]:
        return asyncio.create_task(self.ends.wait("d", run_id, seconds))


class _nothing:  # Python 3.10 has no asyncio.timeout
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_error: object) -> None: ...


def test_who_waits_is_woken_by_word_of_the_end_and_asks_no_more_often() -> None:
    world = World(("d", "a"), ("d", "b"))

    async def act() -> None:
        first, second = world.waits("a"), world.waits("b")
        await world.until_asked(1)
        await asyncio.sleep(5 * end_waiting.LOOK_SECONDS)
        assert len(world.asked) <= 2, "once, and again where the second came later; not at each look"
        count = len(world.asked)
        world.end(("d", "a"))
        await asyncio.wait_for(first, LONG)
        assert not second.done()
        assert world.asked[count:] == [{("d", "a"), ("d", "b")}], "one question for all"
        world.end(("d", "b"))
        await asyncio.wait_for(second, LONG)

    asyncio.run(act())


def test_without_word_it_is_asked_once_in_a_while() -> None:
    world = World(("d", "a"))

    async def act() -> None:
        waiting = world.waits("a")
        await world.until_asked(1)
        world.going_on.clear()
        world.now += end_waiting.ASK_SECONDS
        await asyncio.wait_for(waiting, LONG)

    asyncio.run(act())


def test_a_run_that_has_ended_or_is_not_there_is_not_waited_for() -> None:
    world = World()

    async def act() -> None:
        await asyncio.wait_for(world.ends.wait("d", "a", LONG), LONG / 2)

    asyncio.run(act())
    assert world.asked == [{("d", "a")}]


def test_waiting_ends_after_the_time_that_was_given_and_leaves_nothing_behind() -> None:
    world = World(("d", "a"))

    async def act() -> None:
        await world.ends.wait("d", "a", 0.05)
        assert not world.ends._waiting
        await asyncio.sleep(3 * end_waiting.LOOK_SECONDS)
        assert world.ends._task is not None and world.ends._task.done(), "nobody looks where nobody waits"

    asyncio.run(act())


def test_too_many_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_waiting, "MAX_WAITING", 1)
    world = World(("d", "a"))

    async def act() -> None:
        waiting = world.waits("a")
        await world.until_asked(1)
        await asyncio.wait_for(world.ends.wait("d", "a", LONG), LONG / 2)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(act())


def test_the_database_says_which_runs_go_on(airflow_home: object) -> None:
    from datetime import datetime, timezone

    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    dag_id = f"ends-{uuid.uuid4().hex[:8]}"
    now = datetime.now(timezone.utc)
    with create_session() as session:
        for state in ("queued", "running", "success", "failed"):
            session.add(DagRun(dag_id=dag_id, run_id=state, run_type="manual", state=state, run_after=now))
    asked = [(dag_id, state) for state in ("queued", "running", "success", "failed", "none")] + [("other", "running")]
    assert end_waiting._unfinished(asked) == {(dag_id, "queued"), (dag_id, "running")}
