"""Which logs receivers of CWL-Airflow 1.2 are told of: of what failed, and of what that had read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.run_facts import run, task

from cwl_ui_plugin.reports import task_logs

SESSION: Any = None


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of logs, with a template that names them by all that is known of a try."""
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    template = (
        "{{ ti.dag_id }}.{{ ti.run_id }}.{{ ti.task_id }}.{{ ti.map_index }}.{{ ti.try_number }}.{{ try_number }}"
    )
    monkeypatch.setenv("AIRFLOW__LOGGING__LOG_FILENAME_TEMPLATE", template)
    return tmp_path


def found(*tasks: Any) -> list[str]:
    return [made.log for made in task_logs.with_logs(run(*tasks, state="failed"), SESSION).tasks]


def test_logs_of_what_failed_and_of_what_it_comes_after(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []

    def upstream(_run: Any, task_ids: Any, _session: Any) -> dict[str, tuple[str, ...]]:
        asked.append(set(task_ids))
        return {"c": ("a",)}

    monkeypatch.setattr(task_logs, "_upstream", upstream)
    for name in ("a.-1.1.1", "b.-1.1.1", "c.4.2.2", "c.4.1.1"):
        (logs / f"d.r.{name}").touch()
    earlier = replace(task("c", 2, 3, "failed", is_last=False), map_index=4)
    last = replace(task("c", 4, 5, "failed", try_number=2), map_index=4)
    told = found(task("a", 0, 1), task("b", 0, 1), earlier, last)
    assert told == [str(logs / "d.r.a.-1.1.1"), "", "", str(logs / "d.r.c.4.2.2")]
    assert asked == [{"c"}]


def test_where_nothing_failed_no_dag_is_read(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_logs, "_upstream", lambda *_: pytest.fail("read"))
    (logs / "d.r.a.-1.1.1").touch()
    assert found(task("a", 0, 1), task("b", 0, 1, "failed", is_last=False)) == ["", ""]


def test_a_log_that_is_elsewhere_or_a_folder_is_not_told(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_logs, "_upstream", lambda *_: {})
    (logs / "d.r.a.-1.1.1").mkdir()
    assert found(task("a", 0, 1, "failed"), task("b", 0, 1, "failed")) == ["", ""]


def test_what_a_task_comes_after_is_told_by_the_version_of_the_run(workflow: str, run_id: str, airflow: Any) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.facts import facts_of, run_row

    airflow.set_task(workflow, run_id, "count", state="failed")
    with create_session() as session:
        row = run_row(session, workflow, run_id)
        assert row is not None
        (facts,) = facts_of([row], session)
        assert task_logs.with_logs(facts, session).upstream == {"count": ("sort",)}
        gone = replace(facts, run_key=facts.run_key + 1)
        assert task_logs.with_logs(gone, session).upstream == {}
