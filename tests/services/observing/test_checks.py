"""Checks: what is wrong is told in words, and what hangs is not waited for."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.reports import pulse
from cwl_ui_plugin.reports.pulse import Pulse
from cwl_ui_plugin.services.observing import bounded, checks, disks
from cwl_ui_plugin.services.observing.bounded import TimedOut, within
from cwl_ui_plugin.services.observing.disks import Disk


@pytest.fixture(autouse=True)
def folders(airflow_home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("workflows", "inputs", "outputs", "tmp"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
        (tmp_path / name).mkdir()
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    checks.forget()
    yield tmp_path
    checks.forget()


def found(name: str) -> checks.Check:
    checks.forget()
    return next(check for check in checks.checks() if check.name == name)


@pytest.fixture
def lease() -> Iterator[None]:
    """Somebody holds the lease of the reporter."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import Lease

    with create_session() as session:
        session.merge(
            Lease(name="reports", holder="somebody", expires_at=datetime.now(timezone.utc) + timedelta(hours=1))
        )
    yield
    with create_session() as session:
        session.query(Lease).filter_by(name="reports").delete()


def test_a_loop_without_a_holder_is_told() -> None:
    assert found("loop reports").status == "warn"
    assert "No API server" in found("loop reports").message


def test_a_loop_that_goes_is_told_with_who_does_it(lease: None) -> None:
    beat = Pulse("reports", 1)
    beat.end(beat.begin())
    check = found("loop reports")
    assert check.status == "ok"
    assert check.details["host"]
    assert check.details["since"]


def test_a_loop_that_hangs_is_told(lease: None, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = Pulse("reports", 1)
    beat.end(beat.begin())
    monkeypatch.setattr(pulse.control_files, "age", lambda _path: 90.0)
    check = found("loop reports")
    assert (check.status, check.details["seconds_since_round"]) == ("warn", 90.0)


def test_the_lag_of_a_loop_is_what_the_round_before_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock[0])
    beat = Pulse("reports", 2)
    assert beat.begin() == 0
    clock[0] += 12
    assert beat.begin() == 10
    beat.lose()
    clock[0] += 500
    assert beat.begin() == 0


@pytest.mark.parametrize(("free", "status"), [(10 * 1024**2, "fail"), (900 * 1024**2, "warn"), (5 * 1024**3, "ok")])
def test_a_disk_is_low_before_it_is_full(monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(checks, "disk_of", lambda folder: Disk(folder, Path("/x"), free, 100 * 1024**3))
    assert found("disk tmp").status == status


def test_a_small_disk_is_low_by_its_share() -> None:
    assert not checks._is_low(Disk("tmp", Path("/x"), free=600 * 1024**2, total=10 * 1024**3))


def test_a_folder_that_is_none_is_told(folders: Path) -> None:
    (folders / "tmp").rename(folders / "elsewhere")
    (folders / "tmp").write_text("")
    assert disks.disk_of("tmp").problem == f"{folders / 'tmp'} is no folder"


def test_the_reuse_folder_need_not_be_there(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REUSE_FOLDER", str(folders / "none" / "reuse"))
    assert disks.disk_of("reuse").total > 0


def test_janitors_are_known_by_their_machines() -> None:
    assert found("janitors").status == "warn"
    stop_orders.announce_janitor(("this-host",))
    check = found("janitors")
    assert check.status == "ok"
    assert check.details["machines"][0]["hosts"] == ["this-host"]


def test_a_machine_without_common_folders_is_missed_no_more_than_its_tasks_are() -> None:
    stop_orders.announce_janitor(("this-host",))
    for name in ("a-pod", "relayed-a-pod"):
        stop_orders.announce_janitor((name,), machine=name)
        (file,) = (config.control_folder() / "orders").glob(f"{name}.janitor")
        os.utime(file, (1, 1))
    assert found("janitors").message == "Not heard of for a while: a-pod. See these workers."


def test_what_hangs_is_not_waited_for_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    name, goes_on, asked = f"test-{uuid.uuid4()}", threading.Event(), []

    def hanging() -> str:
        asked.append(1)
        goes_on.wait(60)
        return "answer"

    try:
        with pytest.raises(TimedOut):
            within(0.01, name, hanging)
        with pytest.raises(TimedOut):
            within(0.01, name, hanging)
        assert asked == [1]
    finally:
        goes_on.set()
    bounded._asked[name].result(60)
    assert within(60, name, hanging) == "answer"


@pytest.mark.parametrize(
    ("place", "status", "message"), [("", "fail", "disks hang"), ("s3://outputs@results/runs", "warn", "object store")]
)
def test_a_check_that_hangs_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, place: str, status: str, message: str
) -> None:
    """A silent store takes no server out of service."""
    if place:
        monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", place)
    goes_on = threading.Event()

    def hanging() -> tuple[checks.Check, ...]:
        goes_on.wait(60)
        return ()

    monkeypatch.setattr(checks, "_OF_FOLDERS", {"disk outputs": hanging})
    monkeypatch.setattr(checks, "_OF_AIRFLOW", {})
    monkeypatch.setattr(checks, "ANSWER_SECONDS", 0.01)
    try:
        check = found("disk outputs")
        assert check.status == status
        assert message in check.message
    finally:
        goes_on.set()
        bounded._asked["check disk outputs"].result(60)


def test_a_database_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def broken() -> tuple[checks.Check, ...]:
        raise OperationalError("SELECT 1", {}, Exception("no connection"))

    monkeypatch.setitem(checks._OF_AIRFLOW, "database", broken)
    check = found("database")
    assert check.status == "fail"
    assert "no connection" in check.message


def test_several_who_ask_at_the_same_time_get_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first: to it, a check that goes on is none that hangs."""
    made, may_end, begun = [], threading.Event(), threading.Event()

    def slow() -> tuple[checks.Check, ...]:
        made.append(1)
        begun.set()
        may_end.wait(60)
        return (checks.Check("reports", "ok", "fine"),)

    monkeypatch.setitem(checks._OF_AIRFLOW, "reports", slow)
    monkeypatch.setattr(checks, "ANSWER_SECONDS", 60)
    checks.forget()
    answers: list[tuple[checks.Check, ...]] = []
    callers = [threading.Thread(target=lambda: answers.append(checks.checks())) for _caller in range(3)]
    for caller in callers:
        caller.start()
    assert begun.wait(60)
    may_end.set()
    for caller in callers:
        caller.join(60)
    assert made == [1]
    assert len(answers) == 3
    assert len(set(map(id, answers))) == 1
