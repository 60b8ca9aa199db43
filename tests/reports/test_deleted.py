"""Thousands of runs are deleted at once: in small transactions, with statements in proportion, and not all at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from cwl_ui_plugin.reports import deleted, outbox
from cwl_ui_plugin.reports.deleted import AT_ONCE, Deletions

NOW = datetime.now(timezone.utc)
TOLD = '{"tries":{"sort|-1|1":"running"},"end":"","progress":40,"clear_number":0}'


def remember(count: int, *, ended: bool) -> None:
    """Let there be reports of runs that Airflow has no more."""
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    from cwl_ui_plugin.reports.tables import ReportState

    row = {"dag_id": "gone", "run_key": 7, "recorded": TOLD, "sequence": 3, "delivered": 3, "failures": 0}
    row |= {"settled_end": NOW if ended else None, "settled_state": "success" if ended else None, "updated_at": NOW}
    with create_session() as session:
        session.execute(insert(ReportState), [{**row, "run_id": f"r{number:06}"} for number in range(count)])


def left() -> int:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import GONE, ReportState

    with create_session() as session:
        return int(session.scalar(select(func.count()).where(ReportState.run_key != GONE)))


@pytest.fixture
def commits() -> Iterator[list[str]]:
    from airflow import settings
    from sqlalchemy import event

    seen: list[str] = []

    def note(_connection: Any) -> None:
        seen.append("commit")

    event.listen(settings.engine, "commit", note)
    yield seen
    event.remove(settings.engine, "commit", note)


@pytest.mark.parametrize("ended", [True, False])
def test_the_work_is_in_proportion_and_in_small_transactions(
    airflow_home: Any, statements: list[str], commits: list[str], monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    monkeypatch.setattr(deleted, "ROUND_SECONDS", 600)
    batches = 6
    remember(batches * AT_ONCE, ended=ended)
    statements.clear()
    commits.clear()
    assert Deletions().round(late=True) == (0 if ended else batches * AT_ONCE)
    assert left() == 0
    assert batches <= len(commits) <= batches + 4
    assert len(statements) <= 4 * (batches + 3)
    assert outbox.backlog().reports == (0 if ended else batches * AT_ONCE)


def test_what_takes_longer_goes_on_in_the_next_rounds(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(3 * AT_ONCE, ended=True)
    deletions = Deletions()
    clock = iter(range(100))
    monkeypatch.setattr(deleted.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(deleted, "ROUND_SECONDS", 3)
    counts = []
    while left():
        deletions.round(late=not counts)
        counts.append(left())
    assert counts == [2 * AT_ONCE, AT_ONCE, 0]


def test_old_reports_are_removed_in_parts(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "REMOVED_AT_ONCE", 100)
    remember(250, ended=True)
    Deletions().round(late=True)
    removed = []
    while not removed or removed[-1]:
        removed.append(outbox.remove_old(days=0))
    assert removed == [100, 100, 50, 0]
