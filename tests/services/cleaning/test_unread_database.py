"""Files that a run needs no more, of runs as Airflow's database has them."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from support.stored import add_version, packed_of, plan_of, push, set_run, set_task

from cwl_ui_plugin.dags import handing_on, names
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.staging.interface import SHARED
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.cleaning import unread_files


@pytest.fixture
def stored_run(folders: Path, store: WorkflowStore) -> tuple[str, str]:
    """A run of a stored workflow ``a`` -> ``b`` -> ``c``, as Airflow's database has it, and the files of a and b."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.triggering import triggers

    dag_id, run_id = f"unread-{uuid.uuid4().hex[:8]}", f"run-{uuid.uuid4().hex[:8]}"
    plan = plan_of("a", "b", "c")
    steps = tuple(replace(step, sources=tuple(f"#{name}/out" for name in step.upstream)) for step in plan.steps)
    plan = replace(plan, steps=steps, output_sources=("#c/out",))
    add_version(store, dag_id, plan, "document", packed_of(plan))
    register(dag_id)
    triggers.trigger(dag_id, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    set_run(dag_id, run_id, "running")
    for name in ("a", "b"):
        set_task(dag_id, run_id, name, state="success", try_number=1)
        file = run_folder.run_tmp(dag_id, run_id) / name / "-1/1/out_x" / name
        file.parent.mkdir(parents=True)
        file.write_text(name)
        value = {"class": "File", "location": file.as_uri(), "basename": name}
        push(dag_id, run_id, name, names.RETURN_KEY, {f"#{name}/out": [value, "success"]})
    return dag_id, run_id


def left(run: tuple[str, str]) -> list[str]:
    return sorted(path.name for path in run_folder.run_tmp(*run).rglob("*") if path.is_file() and len(path.name) == 1)


def test_the_database_says_which_tasks_have_ended(stored_run: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_files, "_PACE", 0)
    files = unread_files.UnreadFiles()
    assert files.remove() == 1
    assert left(stored_run) == ["b"]
    set_task(*stored_run, "c", state="skipped", try_number=1)
    assert files.remove() == 1
    assert left(stored_run) == []


@pytest.mark.parametrize("state", [None, "scheduled", "running", "failed", "up_for_retry", "upstream_failed"])
def test_a_task_that_has_not_ended_well_keeps_what_it_reads(stored_run: tuple[str, str], state: str | None) -> None:
    set_task(*stored_run, "b", state=state)
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_site_may_keep_all(stored_run: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_INTERMEDIATE", "True")
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


@pytest.mark.parametrize("state", ["queued", "failed"])
def test_only_runs_that_go_on_are_looked_at(stored_run: tuple[str, str], state: str) -> None:
    set_run(*stored_run, state)
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_run_in_which_nothing_has_ended_since_costs_two_queries(
    stored_run: tuple[str, str], statements: list[str]
) -> None:
    files = unread_files.UnreadFiles()
    files.remove()
    statements.clear()
    files.remove()
    assert len(statements) == 2


def test_a_run_whose_version_is_not_known_keeps_all(stored_run: tuple[str, str]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == stored_run[1]).values(bundle_version=None))
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_value_of_another_shape_is_told_in_the_log_and_keeps_all(
    stored_run: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    push(*stored_run, "b", names.RETURN_KEY, "not a value")
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]
    assert "stay until it has ended" in caplog.text


def test_very_long_lists_of_files_are_looked_at_once_the_run_has_ended(
    stored_run: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_on, "LARGE", 100)
    monkeypatch.setattr(handing_on, "LOADED", 100)
    monkeypatch.setattr(unread_files, "_PACE", 0)
    file = next(run_folder.run_tmp(*stored_run).glob("b/-1/1/out_x/b"))
    value = {"class": "File", "location": file.as_uri(), "basename": "b"}
    made = {"#b/out": [[value] * 300, "success"]}
    xcom = handing_on.as_xcom(stored_run, made, SHARED)
    assert handing_on.KEPT in xcom
    push(*stored_run, "b", names.RETURN_KEY, json.loads(json.dumps(xcom)))
    with monkeypatch.context() as patch:
        patch.setattr(unread_files, "MAX_LOOKED_AT", 100)
        assert unread_files.UnreadFiles().remove() == 0
        assert left(stored_run) == ["a", "b"]
        standing = unread_files.standing_of(stored_run)
        flow = unread_files._flow(stored_run[0], standing.version)
        assert {path for _maker, path in unread_files.read_yet(stored_run, standing, flow)} == {file}, "to go on"
    assert unread_files.UnreadFiles().remove() == 1
    assert left(stored_run) == ["b"]
