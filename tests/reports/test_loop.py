"""Of several API servers one does the rounds, and another takes over when it is gone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cwl_ui_plugin.reports import lease as lease_module
from cwl_ui_plugin.reports.lease import LeaderLease
from cwl_ui_plugin.reports.loop import Loop, wake

NAME = "tested"


@pytest.fixture
def two(airflow_home: Path) -> Iterator[tuple[LeaderLease, LeaderLease]]:
    change(remove=True)
    yield LeaderLease(NAME), LeaderLease(NAME)
    change(remove=True)


def change(remove: bool = False, holder: str | None = None, seconds: float = -1) -> None:
    """Let the lease be another one, or take it away."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import Lease as Row

    with create_session() as session:
        row = session.get(Row, NAME)
        if row is not None and remove:
            session.delete(row)
        elif row is not None:
            row.holder = holder or row.holder
            row.expires_at = datetime.now(timezone.utc) + timedelta(seconds=seconds)


def test_one_holds_the_lease(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert [first.take(), second.take(), first.take()] == [True, False, True]
    assert [first.is_held(), second.is_held()] == [True, False]


def test_another_takes_over_a_lease_that_is_not_renewed(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert first.take()
    change()
    assert second.take()
    assert not first.take()
    assert not first.is_held()


def test_another_takes_over_at_once_from_one_that_has_ended(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert first.take()
    first.release()
    assert second.take()


def test_the_lease_of_a_process_that_was_killed_is_not_waited_for(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert first.take()
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    holder = f"{lease_module.this_machine()}/{killed.pid}/{lease_module._started(killed.pid)}/x"
    change(holder=holder, seconds=60)
    assert not second.take()
    killed.kill()
    killed.wait()
    assert second.take()


def test_a_holder_elsewhere_is_waited_for(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert first.take()
    change(holder="other-machine/1/2.00/x", seconds=60)
    assert not second.take()


def test_a_lease_ends_for_its_holder_before_others_may_take_it(
    two: tuple[LeaderLease, LeaderLease], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert two[0].take()
    now = time.monotonic()
    monkeypatch.setattr(lease_module.time, "monotonic", lambda: now + lease_module.SECONDS - 0.5)
    assert not two[0].is_held()


def test_a_wake_up_during_a_round_is_not_lost(two: tuple[LeaderLease, LeaderLease]) -> None:
    rounds = threading.Semaphore(0)

    def one_round() -> None:
        wake()
        rounds.release()

    loop = Loop([one_round], interval=3600, lease=two[0])
    loop.start()
    try:
        assert all(rounds.acquire(timeout=30) for _round in range(3))
    finally:
        loop.stop()
    assert two[1].take()
