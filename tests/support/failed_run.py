"""A run of three steps in Airflow's database, of which the last has failed, with the files that cwltool has made."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import through_json
from support.stored import push, set_run, set_task

from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

STEPS = ("sort", "count", "last")


def step(script: str, source: str, **more: Any) -> dict[str, Any]:
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", script, "sh"],
        "inputs": {"file": {"type": "File", "inputBinding": {}}},
        "outputs": {"out": "stdout"},
        "stdout": "out.txt",
        **more,
    }
    return {"run": tool, "in": {"file": source}, "out": ["out"]}


def document(last: str = "exit 3", sort: str = 'sort "$1"', **more: Any) -> dict[str, Any]:
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"reads": "File", **more},
        "outputs": {"out": {"type": "File", "outputSource": "last/out"}},
        "steps": {
            "sort": step(sort, "reads"),
            "count": step('wc -l <"$1"', "sort/out"),
            "last": step(last, "count/out"),
        },
    }


@dataclass
class Failed:
    """A workflow, and a run of it."""

    store: WorkflowStore
    folders: Path
    dag_id: str
    run_id: str = ""

    def add(self, content: dict[str, Any]) -> StoredVersion:
        """Store a version."""
        from cwl_ui_plugin.cwl.compiler import compiling
        from cwl_ui_plugin.dags.registration import register

        upload = self.store.uploads / uuid.uuid4().hex
        (upload / "source").mkdir(parents=True)
        (upload / "source/main.cwl").write_text(json.dumps(content))
        compiling.compile_document(upload / "source", "main.cwl", upload / "compiled")
        version = self.store.add(
            self.dag_id,
            source=upload / "source",
            compiled=upload / "compiled",
            main="main.cwl",
            filename="main.cwl",
            uploaded_by="ada",
        )
        register(self.dag_id)
        return version

    def begin(self, **more: Any) -> dict[str, Any]:
        """Start a run; return its job."""
        from cwl_ui_plugin.services.triggering import triggers

        reads = self.folders / "inputs/reads.txt"
        reads.parent.mkdir(exist_ok=True)
        reads.write_text("b\na\n")
        job = {"reads": {"class": "File", "location": reads.as_uri(), "basename": "reads.txt"}, **more}
        self.run_id = f"run-{uuid.uuid4().hex[:8]}"
        control_files.run_control(self.dag_id, self.run_id).mkdir(parents=True)
        triggers.trigger(self.dag_id, conf={"job": job}, run_id=self.run_id, user="ada", via=triggers.REST)
        return job

    @property
    def folder(self) -> Path:
        return run_folder.run_tmp(self.dag_id, self.run_id)

    def run(self, version: StoredVersion, job: dict[str, Any]) -> None:
        """Run all steps but the last, which fails."""
        from cwl_ui_plugin.cwl.engine import execution, run_settings
        from cwl_ui_plugin.cwl.engine.results import Results

        settings = run_settings.RunSettings(engine="none", tag="test/failed/task/-1/1")
        values = through_json(execution.start(version.compiled, version.source, job, self.folder / "start", settings))
        self.ended(names.DISPATCHER, values)
        for found in read_plan(version.compiled).steps[:2]:
            place = self.folder / found.task_id / "-1/1"
            known = run_settings.RunSettings(
                engine="none", tag="test/failed/task/-1/1", results=Results((self.folder,), found.task_id)
            )
            read = {name: values[name] for name in found.sources}
            made = execution.run_step(version.compiled, version.source, found, read, place, known)
            values |= through_json(made.values)
            self.ended(found.task_id, {**made.values, names.STATISTICS_KEY: {"seconds": 0.1, "peak_memory_bytes": 9}})
        set_task(self.dag_id, self.run_id, "last", state="failed", try_number=1)
        set_task(self.dag_id, self.run_id, names.GATHERER, state="upstream_failed")
        set_run(self.dag_id, self.run_id, "failed")

    def ended(self, task_id: str, values: Any) -> None:
        set_task(self.dag_id, self.run_id, task_id, state="success", try_number=1)
        push(self.dag_id, self.run_id, task_id, names.RETURN_KEY, through_json(values))

    def remove(self, task_id: str) -> None:
        """Remove the files of a step, as it is done once no task reads them any more."""
        for path in (self.folder / task_id).rglob("out.txt"):
            path.unlink()

    def states(self, run_id: str = "") -> dict[str, str]:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        run_id = run_id or self.run_id
        with create_session(scoped=False) as session:
            query = select(TaskInstance.task_id, TaskInstance.state).where(
                TaskInstance.dag_id == self.dag_id, TaskInstance.run_id == run_id
            )
            found = {task: str(state) for task, state in session.execute(query)}
            run = select(DagRun._state).where(DagRun.dag_id == self.dag_id, DagRun.run_id == run_id)
            return {**found, "": str(session.scalar(run))}


@pytest.fixture
def failed(folders: Path, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> Failed:
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(folders / "inputs"))
    found = Failed(store, folders, f"failed-{uuid.uuid4().hex[:8]}")
    version = found.add(document())
    found.run(version, found.begin())
    return found
