"""A server of a new version whose database was not migrated says so, instead of that the database is busy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def revision(airflow_home: Path) -> Iterator[str]:
    """The database says that its tables are those of an earlier version; the value is what it said before."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    from cwl_ui_plugin.services import health

    table = "alembic_version_cwl_ui_plugin"

    def say(revision: str) -> str:
        with create_session(scoped=False) as session:
            before = str(session.scalar(text(f"SELECT version_num FROM {table}")))
            session.execute(text(f"UPDATE {table} SET version_num = :revision"), {"revision": revision})
        health._check_migrated.cache_clear()
        return before

    before = say("c0004")
    yield before
    say(before)


def test_the_pages_and_the_health_say_that_the_tables_are_old(revision: str) -> None:
    from cwl_ui_plugin.services import health

    assert health.NOT_MIGRATED in health.problems()


def test_a_write_is_refused_at_once_with_what_to_do(revision: str) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import text

    from cwl_ui_plugin.services import health
    from cwl_ui_plugin.services.database import retry_on_database_lock
    from cwl_ui_plugin.services.errors import Unavailable

    calls = []

    def write() -> None:
        calls.append(1)
        with create_session(scoped=False) as session:
            session.execute(text("INSERT INTO cwl_of_tomorrow VALUES (1)"))

    with pytest.raises(Unavailable, match="airflow db migrate"):
        retry_on_database_lock(write, "a test")
    assert len(calls) == 1
    assert health.NOT_MIGRATED in health.problems()


def test_nothing_is_said_of_tables_of_this_version(airflow_home: Path) -> None:
    from cwl_ui_plugin.services import health

    health._check_migrated.cache_clear()
    assert health.is_migrated()
    assert health.NOT_MIGRATED not in health.problems()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('[{"set": {"executor": "NoExecutor"}}]', "'NoExecutor' is none of those of [core] executor"),
        ('[{"set": {"pool": "no-such-pool"}}]', "Airflow has no pool 'no-such-pool'"),
    ],
)
def test_rules_for_tasks_that_can_not_be_followed_are_told(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, rules: str, words: str
) -> None:
    from cwl_ui_plugin.services import health
    from cwl_ui_plugin.services.settings import site_options

    monkeypatch.setenv("AIRFLOW__CWL__TASK_RULES", '[{"set": {"pool": "default_pool"}}]')
    assert not [problem for problem in health.problems() if "task_rules" in problem]
    monkeypatch.setenv("AIRFLOW__CWL__TASK_RULES", rules)
    assert [problem for problem in health.problems() if words in problem]
    (shown,) = [switch for switch in site_options.switches() if switch.name == "task_rules"]
    assert words in shown.problem


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("uploads_storage", "gs://bucket/x", "[cwl] uploads_storage: "),
        ("uploads_origin", "a.example", "[cwl] uploads_origin must be"),
        ("storage_roots", "nothing", "[cwl] storage_roots: "),
    ],
)
def test_places_in_stores_that_are_none_are_told_once(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str, words: str
) -> None:
    from cwl_ui_plugin.services import health

    assert health.storage_problems() == []
    monkeypatch.setenv(f"AIRFLOW__CWL__{option.upper()}", value)
    (problem,) = health.storage_problems()
    assert problem.startswith(words)
    assert problem in health.problems()
