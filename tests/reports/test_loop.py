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

from cwl_ui_plugin.dags import wake_files
from cwl_ui_plugin.reports import lease as lease_module
from cwl_ui_plugin.reports import loop as loop_module
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


def test_a_lease_is_free_again_where_its_name_can_not_be_told(two: tuple[LeaderLease, LeaderLease]) -> None:
    """Holders of earlier versions, or of no process, are waited for until their time is over."""
    for holder in ("x", "a/b/c/d", f"{lease_module.this_machine()}/none/1/x", f"{lease_module.this_machine()}/1/2"):
        assert two[0].take()
        change(holder=holder, seconds=60)
        assert not two[1].take()
        change(holder=holder, seconds=-1)
        assert two[1].take()
        two[1].release()


def test_only_the_holder_gives_a_lease_back(two: tuple[LeaderLease, LeaderLease]) -> None:
    first, second = two
    assert first.take()
    second.release()
    assert not second.take()
    first.release()
    assert not first.is_held()
    first.release()
    assert second.take()


def test_leases_of_different_names_are_held_side_by_side(two: tuple[LeaderLease, LeaderLease]) -> None:
    other = LeaderLease("another")
    assert two[0].take()
    assert other.take()
    other.release()


class Held:
    """A lease that somebody has, or not."""

    name = "tested"

    def __init__(self, *, is_held: bool = True) -> None:
        self.held = is_held
        self.released = 0

    def take(self) -> bool:
        return self.held

    def is_held(self) -> bool:
        return self.held

    def release(self) -> None:
        self.released += 1


def test_a_round_that_fails_keeps_no_other_from_its_turn_and_is_logged_once(
    airflow_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    error: list[Exception] = [ValueError("a")]

    def fail() -> None:
        raise error[0]

    loop = Loop([fail, lambda: done.append("second")], 1, Held())  # type: ignore[arg-type]
    for told, raised in ((1, ValueError("a")), (1, ValueError("a")), (2, ValueError("b"))):
        error[0] = raised
        loop._do_rounds()
        assert caplog.text.count("A round of the loop tested failed") == told
    loop.rounds = [lambda: None]
    loop._do_rounds()
    loop.rounds = [fail]
    loop._do_rounds()
    assert caplog.text.count("A round of the loop tested failed") == 3, "it had gone well meanwhile"
    assert done == ["second"] * 3


def test_one_without_the_lease_does_nothing(airflow_home: Path) -> None:
    rounds: list[int] = []
    asked = threading.Semaphore(0)

    class Elsewhere(Held):
        def is_held(self) -> bool:
            asked.release()
            return False

    loop = Loop([lambda: rounds.append(1)], 0.01, Elsewhere(is_held=False))  # type: ignore[arg-type]
    loop.start()
    assert all(asked.acquire(timeout=30) for _look in range(2))
    loop.stop()
    assert rounds == []


def test_a_loop_that_stops_says_so_and_gives_its_lease_back(airflow_home: Path) -> None:
    lease, ended = Held(), []
    rounds = threading.Semaphore(0)
    loop = Loop([rounds.release], 3600, lease, ending=lambda: ended.append(1))  # type: ignore[arg-type]
    loop.start()
    threads = list(loop._threads)
    loop.start()
    assert loop._threads == threads, "it goes already"
    assert rounds.acquire(timeout=30)
    loop.stop()
    assert not any(thread.is_alive() for thread in threads)
    assert (lease.released, ended) == (1, [1])
    assert loop._woken not in loop_module._woken
    loop.start()
    assert rounds.acquire(timeout=30), "it can start again"
    loop.stop()


def test_waking_never_fails(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wake()
    assert wake_files.touched_at(loop_module.WAKE_FILE) > 0
    (folders / "file").touch()
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(folders / "file"))
    wake()
