"""Where no run goes on the loops look less often, and at once when they are woken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from cwl_ui_plugin.reports import quiet as quiet_module
from cwl_ui_plugin.reports.loop import Loop
from cwl_ui_plugin.reports.quiet import ASK_SECONDS, LAST_SECONDS, Quiet


class Lease:
    name = "tested"

    def take(self) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        pass


def test_it_is_quiet_a_while_after_the_last_run(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    runs: list[tuple[int | None, bool]] = [(None, False)]
    monkeypatch.setattr(quiet_module, "_runs", lambda: runs[0])
    is_quiet = Quiet(lambda: now[0])

    def after(seconds: float, newest: int | None, has_runs: bool) -> bool:
        now[0] += seconds
        runs[0] = (newest, has_runs)
        return is_quiet()

    assert after(0, None, False) is True
    assert after(ASK_SECONDS, 1, True) is False
    assert after(LAST_SECONDS * 2, 1, True) is False
    assert after(LAST_SECONDS, 1, False) is False
    assert after(1, 1, False) is True
    assert after(ASK_SECONDS, 2, False) is False, "one came and went between two looks"


def test_the_runs_of_the_database_are_what_it_looks_at(airflow_home: object) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    def add(state: str) -> None:
        with create_session() as session:
            run = DagRun(dag_id="any", run_id=state, run_type=DagRunType.MANUAL, state=state)  # type: ignore[arg-type]
            session.add(run)

    with create_session() as session:
        session.execute(delete(DagRun))
    assert quiet_module._runs() == (None, False)
    add("success")
    assert quiet_module._runs()[1] is False
    add("queued")
    assert quiet_module._runs()[1] is True
    with create_session() as session:
        session.execute(delete(DagRun))


def test_a_quiet_loop_does_its_rounds_when_it_is_woken(eventually: Callable[..., Any]) -> None:
    rounds = threading.Semaphore(0)
    asked = []

    def is_quiet() -> bool:
        asked.append(1)
        return True

    loop = Loop(
        [rounds.release],
        0.01,
        Lease(),  # type: ignore[arg-type]
        is_quiet=is_quiet,
    )
    loop.start()
    try:
        assert rounds.acquire(timeout=30), "the first one comes in any case"
        eventually(lambda: len(asked) > 2)
        while rounds.acquire(blocking=False):
            pass
        loop.wake()
        assert rounds.acquire(timeout=30)
    finally:
        loop.stop()
