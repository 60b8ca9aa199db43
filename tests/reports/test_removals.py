"""What was removed of a run is told as long as it is so, and forgotten with the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import removals, run_files
from cwl_ui_plugin.reports.tables import NotedRun, Removal, RunFile

NOW = datetime.now(timezone.utc)


@pytest.fixture(autouse=True)
def _nothing_noted(airflow_home: Any) -> Iterator[None]:
    from airflow.utils.session import create_session

    yield
    with create_session() as session:
        for table in (Removal, NotedRun, RunFile):
            session.query(table).delete()


def add_run(run_id: str, ended: datetime | None = NOW - timedelta(hours=1)) -> int:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        run = DagRun(dag_id="d", run_id=run_id, run_type=DagRunType.MANUAL, state="success")  # type: ignore[arg-type]
        run.end_date = ended
        session.add(run)
        session.flush()
        return int(run.id)


def change(run_id: str, **values: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(run_id=run_id).one()
        for name, value in values.items():
            setattr(run, name, value)


def told(run_id: str) -> list[tuple[str, str]]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = removals.removals_of(session, session.query(DagRun).filter_by(run_id=run_id).one())
        assert all(datetime.fromisoformat(entry.at) >= NOW for entry in found)
        return [(entry.what, entry.option) for entry in found]


def delete(run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter_by(run_id=run_id).delete()


def test_it_is_told_of_the_runs_in_the_list_and_of_no_other() -> None:
    add_run("r")
    add_run("other")
    removals.note([("d", "r"), ("d", "none"), ("e", "other")], removals.OUTPUTS, "keep_outputs_days")
    removals.note([("d", "r")], removals.LOGS, "keep_logs_days")
    assert told("r") == [("outputs", "keep_outputs_days"), ("logs", "keep_logs_days")]
    assert told("other") == []


def test_what_a_run_has_made_since_is_not_gone() -> None:
    add_run("r")
    removals.note([("d", "r")], removals.LOGS, "keep_logs_days")
    change("r", end_date=None)
    assert told("r") == []
    change("r", end_date=NOW + timedelta(hours=1))
    assert told("r") == []


def test_many_runs_are_noted_and_forgotten_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removals, "_AT_ONCE", 2)
    names = [f"r{number}" for number in range(5)]
    for name in names:
        add_run(name)
    removals.note([("d", name) for name in names], removals.LOGS, "keep_logs_days")
    assert [told(name) for name in names] == [[("logs", "keep_logs_days")]] * 5
    assert removals.forget_gone() == 0
    for name in names[1:]:
        delete(name)
    assert removals.forget_gone() == 4
    assert removals.forget_gone() == 0
    assert told(names[0]) == [("logs", "keep_logs_days")]


def note_files(run_key: int, run_id: str, count: int = 2, dag_id: str = "d") -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(NotedRun(run_key=run_key, dag_id=dag_id, run_id=run_id, noted_end=NOW, is_whole=True))
        for number in range(count):
            where = {"location": "file:///x", "location_key": "k", "name": "x", "port": "p", "direction": "out"}
            session.add(RunFile(run_key=run_key, number=number, waits=False, **where))


def noted() -> tuple[set[int], set[int]]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return set(session.scalars(select(NotedRun.run_key))), set(session.scalars(select(RunFile.run_key)))


def test_the_files_of_a_run_are_forgotten_with_it_or_when_it_was_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "_AT_ONCE", 2)
    there, renamed, moved = (add_run(name) for name in ("there", "renamed", "moved"))
    note_files(there, "there")
    note_files(renamed, "with another name")
    note_files(moved, "moved", dag_id="another")
    for key in range(10**6, 10**6 + 4):
        note_files(key, "gone")
    assert run_files.forget_gone() == 6
    assert noted() == ({there}, {there})
    assert run_files.forget_gone() == 0
