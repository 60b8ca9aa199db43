"""The lock in Airflow's database: one machine at a time, as long as it lives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.scale_out import postgresql

from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.shared import database_lock
from cwl_ui_plugin.library.shared.database_lock import changing_workflows


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from sqlalchemy import create_engine

    with postgresql(tmp_path_factory.mktemp("locks") / "postgresql") as address:
        engine = create_engine(f"postgresql+psycopg2://{address}")
        yield engine
        engine.dispose()


@pytest.fixture
def airflow_database(database: Any, airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's sessions are of that database."""
    from airflow.utils import session as of_airflow
    from sqlalchemy.orm import Session

    @contextmanager
    def create_session(scoped: bool = True) -> Iterator[Session]:
        with Session(database) as session, session.begin():
            yield session

    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_STORAGE", "s3://x@y/z")
    monkeypatch.setattr(of_airflow, "create_session", create_session)
    return database


def holding(begun: threading.Event, end: threading.Event) -> threading.Thread:
    """Hold the lock as another machine would."""

    def hold() -> None:
        with changing_workflows():
            begun.set()
            end.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(60)
    return thread


def waiting(database: Any) -> int:
    """How many wait for such a lock."""
    from sqlalchemy import text

    with database.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    return int(found)


def test_one_at_a_time(airflow_database: Any) -> None:
    end, second_end, second_begun = threading.Event(), threading.Event(), threading.Event()
    first = holding(threading.Event(), end)
    second = threading.Thread(target=lambda: holding(second_begun, second_end).join())
    second.start()
    while not waiting(airflow_database):
        assert not second_begun.wait(0.01)
    end.set()
    assert second_begun.wait(60)
    second_end.set()
    for thread in (first, second):
        thread.join(60)
    with changing_workflows(), changing_workflows():
        pass


def test_who_waits_for_too_long_is_told(airflow_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_lock, "WAIT_SECONDS", 0.1)
    end = threading.Event()
    thread = holding(threading.Event(), end)
    with pytest.raises(StoreAway, match="Another machine"), changing_workflows():
        pass
    end.set()
    thread.join(60)
    with changing_workflows():
        pass


def test_a_connection_that_is_cut_frees_the_lock_and_undoes_nothing(airflow_database: Any) -> None:
    from sqlalchemy import text

    with changing_workflows():
        with airflow_database.connect() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            )
        end = threading.Event()
        other = holding(threading.Event(), end)
        end.set()
        other.join(60)
    with pytest.raises(RuntimeError), changing_workflows():
        raise RuntimeError
    with changing_workflows():
        pass


def test_without_the_option_no_database_is_asked(monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> None:
    monkeypatch.setattr(database_lock, "_take", lambda _stack: pytest.fail("asked"))
    with changing_workflows():
        pass
