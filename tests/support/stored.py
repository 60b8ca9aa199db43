"""A store, folders and workflows of their own for each test, in the one database of the test process."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

BEGAN = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
FOLDERS = ("workflows", "inputs", "outputs", "tmp")


INPUTS = (Parameter(id="text", type="string"), Parameter(id="file", type=["null", "File"]))


def plan_of(*names: str, inputs: tuple[Parameter, ...] = INPUTS) -> Plan:
    """A plan whose steps follow each other."""
    steps = tuple(
        Step(
            id=name,
            full_id=f"#{name}",
            task_id=name,
            document=f"step-{name}",
            tool="CommandLineTool",
            tool_name=f"{name}.cwl",
            upstream=names[number - 1 : number] if number else (),
            outputs=(f"#{name}/out",),
            label=f"Step {name}",
        )
        for number, name in enumerate(names)
    )
    return Plan(
        kind="Workflow",
        cwl_version="v1.2",
        main="main.cwl",
        label="Count lines",
        doc=None,
        inputs=inputs,
        outputs=(),
        steps=steps,
    )


def add_version(
    store: WorkflowStore, dag_id: str, plan: Plan, content: str, packed: dict[str, Any] | None = None
) -> StoredVersion:
    """Store a workflow, or a new version of it: ``content`` is its document, ``plan`` what that was compiled to."""
    upload = store.uploads / uuid.uuid4().hex
    (upload / "source").mkdir(parents=True)
    (upload / "source" / plan.main).write_text(content)
    (upload / "compiled").mkdir()
    (upload / "compiled/plan.json").write_text(plan.to_json())
    if packed:
        (upload / "compiled/packed.cwl").write_text(json.dumps(packed))
    return store.add(
        dag_id,
        source=upload / "source",
        compiled=upload / "compiled",
        main=plan.main,
        filename=plan.main,
        uploaded_by="ada",
    )


def packed_of(plan: Plan) -> dict[str, Any]:
    """The packed document that goes with :func:`plan_of`."""
    tool = {"class": "CommandLineTool", "baseCommand": "sort", "inputs": [], "outputs": []}
    steps = [
        {
            "id": step.full_id,
            "in": [{"id": f"{step.full_id}/in", "source": [f"#{name}/out" for name in step.upstream] or "#text"}],
            "out": list(step.outputs),
            "run": tool,
        }
        for step in plan.steps
    ]
    inputs = [{"id": f"#{item.id}", "type": item.type} for item in plan.inputs]
    return {"class": plan.kind, "inputs": inputs, "outputs": [], "steps": steps}


@pytest.fixture
def folders(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the folders of [cwl] and the bundle's."""
    for name in FOLDERS:
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    return tmp_path


@pytest.fixture
def store(folders: Path) -> WorkflowStore:
    return WorkflowStore(folders / "workflows")


@pytest.fixture
def add(store: WorkflowStore) -> Callable[..., StoredVersion]:
    """Store a workflow without cwltool, and register it: ``add(dag_id, content)``."""

    def add_workflow(
        dag_id: str,
        content: str = "one",
        steps: tuple[str, ...] = ("sort", "count"),
        inputs: tuple[Parameter, ...] = INPUTS,
    ) -> StoredVersion:
        from cwl_ui_plugin.dags.registration import register

        plan = plan_of(*steps, inputs=inputs)
        version = add_version(store, dag_id, plan, content, packed_of(plan))
        register(dag_id)
        return version

    return add_workflow


@pytest.fixture
def workflow(add: Callable[..., StoredVersion]) -> str:
    """The dag_id of a workflow of two steps that needs ``text``."""
    dag_id = f"count-{uuid.uuid4().hex[:8]}"
    add(dag_id)
    return dag_id


@pytest.fixture
def run_id(workflow: str) -> str:
    """The id of a run of ``workflow``."""
    from cwl_ui_plugin.services.triggering import triggers

    name = f"run-{uuid.uuid4()}"
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
    return name


@pytest.fixture
def other_dag(folders: Path) -> Iterator[str]:
    """The dag_id of a Dag that is not CWL."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    dag_id = f"other-{uuid.uuid4().hex[:8]}"
    with create_session() as session:
        if session.get(DagBundleModel, "dags-folder") is None:
            session.add(DagBundleModel(name="dags-folder"))
            session.flush()
        session.add(DagModel(dag_id=dag_id, bundle_name="dags-folder", is_stale=False, is_paused=False, fileloc="x.py"))
    yield dag_id
    with create_session() as session:
        session.delete(session.get(DagModel, dag_id))


def as_file(path: Path, **more: Any) -> dict[str, Any]:
    """A File object, as jobs and outputs have it."""
    return {"class": "File", "location": path.as_uri(), "basename": path.name, **more}


def sized_file(path: Path, **more: Any) -> dict[str, Any]:
    """The same with the size that the file has."""
    return as_file(path, size=path.stat().st_size, **more)


def set_task(dag_id: str, run_id: str, task_id: str, **values: Any) -> None:
    """Set columns of a task instance, as workers do through Airflow's API."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    where = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    with create_session() as session:
        session.execute(update(TaskInstance).where(*where).values(**values))


def set_run(dag_id: str, run_id: str, state: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        run.set_state(state)


def push(dag_id: str, run_id: str, task_id: str, key: str, value: Any) -> None:
    """Push an XCom, as tasks do through their API: it is JSON already."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        XComModel.set(
            key=key, value=value, dag_id=dag_id, task_id=task_id, run_id=run_id, session=session, serialize=False
        )


def start_run(dag_id: str, run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(start_date=BEGAN, _state="running"))


def copy_run(dag_id: str, run_id: str, name: str) -> None:
    """Make another run just like one that is there: sooner than Airflow creates one."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select
    from uuid6 import uuid7

    with create_session() as session:
        for table in (DagRun.__table__, TaskInstance.__table__):
            query = select(table).where(table.c.dag_id == dag_id, table.c.run_id == run_id)
            rows = [{**row._mapping, "run_id": name} for row in session.execute(query)]
            for row in rows:
                row.pop("id")
                if table is TaskInstance.__table__:
                    row["id"] = uuid7()
            session.execute(insert(table), rows)


def spread(dag_id: str, run_id: str, task_id: str, count: int) -> None:
    """Make a task instance a scattered one: its elements ran one after the other, the last has failed."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select
    from uuid6 import uuid7

    table = TaskInstance.__table__
    with create_session() as session:
        chosen = (table.c.dag_id == dag_id, table.c.run_id == run_id, table.c.task_id == task_id)
        row = dict(session.execute(select(table).where(*chosen)).one()._mapping)
        session.execute(table.delete().where(*chosen))
        rows = [
            {
                **row,
                "id": uuid7(),
                "map_index": index,
                "state": "failed" if index == count - 1 else "success",
                "rendered_map_index": f"element {index}",
                "start_date": BEGAN + timedelta(seconds=index),
                "end_date": BEGAN + timedelta(seconds=index + 1),
                "duration": 1.0,
            }
            for index in range(count)
        ]
        session.execute(insert(table), rows)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL statements that were sent, COMMIT and the like not counted."""
    from airflow import settings
    from sqlalchemy import event

    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield seen
    event.remove(settings.engine, "before_cursor_execute", note)


@pytest.fixture
def no_supervisors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are only rows have no supervisor: a stop need not wait 11 s for it to notice."""
    from cwl_ui_plugin.services.stopping import proof

    monkeypatch.setattr(proof, "_supervisor_seconds", lambda: 0.0)


@pytest.fixture
def airflow() -> Any:
    """What tasks and the scheduler write into Airflow's database."""

    class Airflow:
        set_task = staticmethod(set_task)
        set_run = staticmethod(set_run)
        push = staticmethod(push)

    return Airflow


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Return the first true value of a condition: ``eventually(condition)``."""

    def wait(condition: Callable[[], Any], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            threading.Event().wait(0.05)
        pytest.fail(f"it did not come true within {seconds} seconds")

    return wait
