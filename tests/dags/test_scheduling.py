"""A Dag with a schedule, and which of its runs are the schedule's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]
SAVED = "2026-01-31T12:00:00+00:00"
AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def schedule_for(stored: StoredVersion, **values: Any) -> Schedule:
    known: dict[str, Any] = {"kind": "cron", "settings": {"cron": "0 6 * * *"}, "job": {"x": "{{ logical_date.day }}"}}
    known |= {"version": stored.digest, "saved_by": "ada", "saved_at": SAVED}
    return Schedule(**{**known, **values})


def dag_of(store: WorkflowStore, version: StoredVersion, schedule: Schedule) -> Any:
    from cwl_ui_plugin.dags.stored import stored_dag

    now = store.schedules(version.dag_id).current_digest()
    assert store.set_schedule(version.dag_id, schedule, instead_of=now)
    return stored_dag(version.dag_id, store.manifest()[version.dag_id], store=str(store.root))


def test_the_dag_is_scheduled_as_the_schedule_says(add: Add, store: WorkflowStore) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    version = add("one", "one")
    made = schedule_for(
        version, timezone="Europe/Berlin", catchup=True, max_active_runs=2, start_date="2026-01-01T00:00"
    )
    dag = dag_of(store, version, made)

    assert (dag.catchup, dag.max_active_runs) == (True, 2)
    assert dag.start_date == datetime(2025, 12, 31, 23, tzinfo=timezone.utc)
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert read.timetable.serialize()["expression"] == "0 6 * * *"
    assert "Europe/Berlin" in str(read.timetable.serialize()["timezone"])


def test_a_dag_has_a_start_date_only_if_it_needs_one(add: Add, store: WorkflowStore) -> None:
    """Airflow leaves out the tasks of runs that are dated before it."""
    version = add("one", "one")
    assert dag_of(store, version, schedule_for(version)).start_date is None
    assert dag_of(store, version, schedule_for(version, start_date="2026-01-01T00:00+00:00")).start_date is not None


@pytest.mark.parametrize("change", [{"is_paused": True}, {"problem": "x is missing"}, {"version": "0" * 32}])
def test_one_that_starts_nothing_makes_no_schedule(add: Add, store: WorkflowStore, change: dict[str, Any]) -> None:
    version = add("one", "one")
    dag = dag_of(store, version, schedule_for(version, **change))
    assert not dag.timetable.can_be_scheduled


@pytest.mark.parametrize("preset", ["@hourly", "@daily", "@weekly", "@monthly", "@once"])
def test_presets(add: Add, store: WorkflowStore, preset: str) -> None:
    version = add("one", "one")
    assert dag_of(store, version, schedule_for(version, kind="preset", settings={"preset": preset})).timetable


@pytest.mark.parametrize(("needs_all", "name"), [(True, "AssetAll"), (False, "AssetAny")])
def test_assets(add: Add, store: WorkflowStore, needs_all: bool, name: str) -> None:
    version = add("one", "one")
    assets = [{"name": "a", "uri": "s3://b/a"}, {"name": "b", "uri": "s3://b/b"}]
    dag = dag_of(store, version, schedule_for(version, kind="assets", settings={"assets": assets, "all": needs_all}))
    assert type(dag.timetable.asset_condition).__name__ == name
    assert sorted(asset.name for asset in dag.timetable.asset_condition.objects) == ["a", "b"]


def test_dags_without_a_schedule_import_no_timetables(add: Add, store: WorkflowStore) -> None:
    version = add("one", "one")
    code = f"""
import sys
from cwl_ui_plugin.dags.stored import stored_dag
stored_dag("one", {version.revision!r}, store={str(store.root)!r})
assert "cwl_ui_plugin.dags.scheduling" not in sys.modules
assert "airflow.sdk.definitions.timetables.trigger" not in sys.modules
assert "cwl_ui_plugin.dags.timetables" not in sys.modules
assert "jinja2.sandbox" not in sys.modules or "cwl_ui_plugin.dags.job_templates" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def run_of(run_type: Any, conf: Any = None) -> Any:
    return SimpleNamespace(run_id="r", dag_id="one", run_type=run_type, conf=conf, logical_date=AT, run_after=AT)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "asset_triggered"])
def test_runs_that_airflow_creates_from_it_have_its_job(add: Add, run_type: str) -> None:
    from airflow.sdk.api.datamodels._generated import DagRunType as TypeInTasks
    from airflow.utils.types import DagRunType

    from cwl_ui_plugin.dags.scheduling import scheduled_job

    schedule = schedule_for(add("one", "one"))
    for known in (run_type, DagRunType(run_type), TypeInTasks(run_type)):
        assert scheduled_job(run_of(known), schedule) == {"x": 1}


@pytest.mark.parametrize(
    ("run_type", "conf"),
    [
        ("manual", {}),
        ("operator_triggered", {}),
        ("asset_materialization", {}),
        ("backfill", {"job": {}, "cwl_grant": "t"}),  # a run of somebody, that a backfill does again
        ("backfill", {"job": {}, "check_payload": "t"}),
    ],
)
def test_other_runs_have_nothing_of_it(add: Add, run_type: str, conf: Any) -> None:
    from cwl_ui_plugin.dags.scheduling import scheduled_job

    assert scheduled_job(run_of(run_type, conf), schedule_for(add("one", "one"))) == {}


def test_a_template_that_does_not_fit_a_run_is_an_error_of_the_job(add: Add) -> None:
    from cwl_ui_plugin.dags.scheduling import scheduled_job

    with pytest.raises(JobError, match="does not fit this run") as error:
        scheduled_job(run_of("scheduled"), replace(schedule_for(add("one", "one")), job={"x": "{{ nope }}"}))
    assert error.value.problems[0].input == "x"


def test_airflow_s_database_has_nothing_of_the_job(add: Add, store: WorkflowStore) -> None:
    """It may have secrets; who may read the Dag's source and details would see them."""
    from airflow.serialization.serialized_objects import DagSerialization

    version = add("one", "one")
    dag = dag_of(store, version, schedule_for(version, job={"x": 7391}, grant="a-grant"))
    text = str(DagSerialization.to_dict(dag))
    assert "7391" not in text
    assert "a-grant" not in text
