"""What the tests of retention share: making things old, runs that end and are deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.services.retention.items import DAY

OPTIONS = ("outputs", "listed_outputs", "uploads", "reuse", "versions", "logs")


@pytest.fixture(autouse=True)
def own_folders(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of [cwl], that for reuse too; all other options as they are by default."""
    monkeypatch.setenv("AIRFLOW__CWL__REUSE_FOLDER", str(folders / "reuse"))
    return folders


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set options: ``keep(uploads=3)`` is keep_uploads_days = 3."""

    def set_options(**days: float) -> None:
        for name, value in days.items():
            assert name in OPTIONS
            monkeypatch.setenv(f"AIRFLOW__CWL__KEEP_{name.upper()}_DAYS", str(value))

    return set_options


@pytest.fixture
def age() -> Callable[..., None]:
    """Make files or folders so many days old: ``age(days, *paths)``."""

    def make_old(days: float, *paths: Path) -> None:
        moment = time.time() - days * DAY
        for path in paths:
            os.utime(path, (moment, moment))

    return make_old


class Runs:
    """What happens to runs in Airflow's list."""

    @staticmethod
    def end(run_id: str, *, days_ago: float = 0, state: str = "success") -> None:
        _update(run_id, state=state, end_date=datetime.now(timezone.utc) - timedelta(days=days_ago))

    @staticmethod
    def begin_again(run_id: str) -> None:
        _update(run_id, state="running", end_date=None, start_date=datetime.now(timezone.utc))

    @staticmethod
    def set_conf(run_id: str, conf: Any) -> None:
        _update(run_id, conf=conf)

    @staticmethod
    def delete(run_id: str) -> None:
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            session.delete(session.scalar(select(DagRun).where(DagRun.run_id == run_id)))


def _update(run_id: str, **values: Any) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(**values))


@pytest.fixture
def runs() -> Iterator[Runs]:
    yield Runs()
