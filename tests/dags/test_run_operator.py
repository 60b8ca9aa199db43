"""A task that starts a run of a workflow: which run it is in each try, and what it says of its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSkipException,
    AirflowTaskTimeout,
    ErrorType,
    TaskDeferred,
)
from airflow.sdk.execution_time.comms import ErrorResponse, GetDag, GetDagRun, TriggerDagRun
from support.stored import add_version

from cwl_ui_plugin.dags import triggered_runs
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.dags.operators.runs import CwlRunOperator, run_address
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]
JOB = {"x": 1}
BASE = "mine~r~go"


class Airflow:
    """What a task's supervisor answers: runs by name, each as it stands."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.started: list[tuple[str, str, Any]] = []
        self.ends = "success"
        self.is_paused = False
        self.refusal: ErrorResponse | None = None

    def ask(self, message: Any) -> Any:
        if isinstance(message, GetDag):
            if message.dag_id not in ("wf", "clean_dag_run"):
                raise not_found()
            return SimpleNamespace(is_paused=self.is_paused)
        if isinstance(message, GetDagRun):
            if message.run_id not in self.runs:
                raise not_found()
            return self.runs[message.run_id]
        assert isinstance(message, TriggerDagRun)
        if self.refusal:
            return self.refusal
        self.started.append((message.dag_id, message.run_id, message.conf))
        self.add(message.run_id, self.ends, (message.conf or {}).get("job"))
        return None

    def add(self, run_id: str, state: str, job: Any = JOB) -> None:
        self.runs[run_id] = SimpleNamespace(state=state, conf={"job": job})

    @property
    def names(self) -> list[str]:
        return [run_id for _dag_id, run_id, _conf in self.started]


class Instance(SimpleNamespace):
    """A task instance of a Dag run, as the operator sees it."""

    def get_dagrun_state(self, _dag_id: str, run_id: str) -> str:
        return str(self.airflow.runs[run_id].state)

    def get_task_states(self, *, run_ids: list[str], **_more: Any) -> dict[str, dict[str, str]]:
        return {run_ids[0]: {"CWLJobDispatcher": "success", "each_3": "failed", "CWLJobGatherer": "upstream_failed"}}

    def xcom_pull(self, *, task_ids: str, key: str = "return_value", map_indexes: int = -1, **_more: Any) -> Any:
        if key == "cwl_error" and (task_ids, map_indexes) == ("each", 3):
            return {"message": "Step each ended with 7.", "exit_code": 7}
        return {"counts": [1, 2**70]} if task_ids == "CWLJobGatherer" and key == "return_value" else None

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, store: WorkflowStore) -> Airflow:
    found = Airflow()
    monkeypatch.setattr(triggered_runs, "_ask", found.ask)
    return found


@pytest.fixture
def context(airflow: Airflow) -> Any:
    ti = Instance(
        dag_id="mine", run_id="r", task_id="go", map_index=-1, id="1", try_number=1, pushed={}, airflow=airflow
    )
    run = SimpleNamespace(dag_id="mine", run_id="r", run_after=datetime.now(timezone.utc), clear_number=0, conf={})
    return {"ti": ti, "dag_run": run}


def not_found() -> AirflowRuntimeError:
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))


def operator(**more: Any) -> CwlRunOperator:
    with DAG("mine", schedule=None):
        return CwlRunOperator(**{"task_id": "go", "workflow_dag_id": "wf", "job": JOB, "poke_interval": 0.01, **more})


def test_it_starts_a_run_and_returns_what_that_gives(airflow: Airflow, context: Any) -> None:
    assert operator().execute(context) == {"counts": [1, {"cwl:integer": str(2**70)}]}
    assert airflow.started == [("wf", BASE, {"job": JOB})]
    assert context["ti"].pushed["cwl_run_id"] == BASE
    assert run_address("wf", BASE) in context["ti"].pushed.values()


def test_it_does_not_wait_where_it_is_told_so(airflow: Airflow, context: Any) -> None:
    airflow.ends = "running"
    assert operator(wait=False).execute(context) == {"dag_id": "wf", "run_id": BASE}


@pytest.mark.parametrize("state", ["queued", "running", "success"])
def test_a_later_try_takes_the_run_that_is_there(airflow: Airflow, context: Any, state: str) -> None:
    airflow.add(BASE, state)
    assert operator(wait=False).execute(context)["run_id"] == BASE
    assert airflow.started == []


def test_after_a_failure_there_is_another_run(airflow: Airflow, context: Any) -> None:
    airflow.add(BASE, "failed")
    operator().execute(context)
    airflow.add(f"{BASE}~try2", "failed")
    operator().execute(context)
    assert airflow.names == [f"{BASE}~try2", f"{BASE}~try3"]


def test_a_cleared_task_runs_anew_but_not_beside_one_that_is_alive(airflow: Airflow, context: Any) -> None:
    context["dag_run"].clear_number = 1
    airflow.add(BASE, "running")
    assert operator(wait=False).execute(context)["run_id"] == BASE
    airflow.add(BASE, "success")
    assert operator(wait=False).execute(context)["run_id"] == f"{BASE}~clear1"
    assert airflow.names == [f"{BASE}~clear1"]


def test_one_that_is_alive_with_another_job_is_told_of(airflow: Airflow, context: Any) -> None:
    airflow.add(BASE, "running", {"x": 2})
    with pytest.raises(AirflowException, match=f"The run '{BASE}' of 'wf'.*with another job, still goes on") as told:
        operator().execute(context)
    assert not isinstance(told.value, AirflowFailException)  # it may have ended at the next try
    assert airflow.started == []


def test_a_run_of_another_job_that_has_ended_is_none_of_this_task(airflow: Airflow, context: Any) -> None:
    airflow.add(BASE, "success", {"x": 2})
    operator().execute(context)
    assert airflow.names == [f"{BASE}~try2"]


def test_instances_of_a_mapped_task_have_runs_of_their_own(airflow: Airflow, context: Any) -> None:
    context["ti"].map_index = 3
    operator().execute(context)
    assert airflow.names == [f"{BASE}~3"]


def test_names_are_short_and_their_own(context: Any) -> None:
    context["ti"].run_id = "scheduled__2026-01-01T00:00:00+00:00" + "x" * 200
    one = triggered_runs.base_name(context)
    context["ti"].task_id = "another"
    assert len(one) < 220
    assert one != triggered_runs.base_name(context)
    context["ti"].run_id = "a/b c"
    assert triggered_runs.base_name(context).startswith("mine~a-b-c~another~")


def test_a_name_may_be_given(airflow: Airflow, context: Any) -> None:
    operator(run_id="mine-2026").execute(context)
    assert airflow.names == ["mine-2026"]


def test_it_fails_with_the_first_error_of_the_run(airflow: Airflow, context: Any) -> None:
    airflow.ends = "failed"
    with pytest.raises(AirflowFailException, match=f"'{BASE}' of 'wf' failed in each_3: Step each ended with 7"):
        operator().execute(context)
    assert context["ti"].pushed["cwl_error"]["exit_code"] == 7


def test_it_is_skipped_where_it_is_told_so(airflow: Airflow, context: Any) -> None:
    airflow.ends = "failed"
    with pytest.raises(AirflowSkipException, match="Step each ended with 7"):
        operator(soft_fail=True).execute(context)


def test_a_deferred_task_waits_without_a_worker(airflow: Airflow, context: Any) -> None:
    airflow.ends = "running"
    task = operator(deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert deferred.value.kwargs == {"run_id": BASE}
    airflow.add(BASE, "success")
    assert task.execute_complete(context, None, run_id=BASE)["counts"][0] == 1
    airflow.add(BASE, "failed")
    with pytest.raises(AirflowFailException, match="Step each ended with 7"):
        task.execute_complete(context, None, run_id=BASE)


def test_a_killed_task_has_its_run_stopped_where_it_is_told_so(airflow: Airflow, context: Any) -> None:
    airflow.ends = "running"
    for stops in (False, True):
        task = operator(stop_on_kill=stops)
        task.on_kill()
        with pytest.raises(AirflowException, match="The task was killed"):
            task.execute(context)
    ((dag_id, _name, conf),) = airflow.started[1:]
    assert (dag_id, conf) == ("clean_dag_run", {"remove_dag_id": "wf", "remove_run_id": BASE})


def test_one_that_has_no_time_left_too(airflow: Airflow, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_time(*_arguments: Any) -> str:
        raise AirflowTaskTimeout

    airflow.ends = "running"
    monkeypatch.setattr(Instance, "get_dagrun_state", out_of_time)
    with pytest.raises(AirflowTaskTimeout):
        operator(stop_on_kill=True).execute(context)
    assert [dag_id for dag_id, _name, _conf in airflow.started] == ["wf", "clean_dag_run"]


def test_a_deferred_task_can_not_stop_its_run() -> None:
    with pytest.raises(DagFileError, match="Use deferrable=False"):
        operator(deferrable=True, stop_on_kill=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workflow_dag_id": "none"}, "There is no workflow 'none' in this Airflow: upload it first"),
        ({"job": {"x": 2**70}}, "integers beyond 64 bits"),
        ({"job": "x"}, "must map inputs to values"),
        ({"job": {"x": {1, 2}}}, "x: a value of Python's type set is none of CWL"),
    ],
)
def test_what_can_not_be_started_is_said(airflow: Airflow, context: Any, change: dict[str, Any], words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        operator(**change).execute(context)
    assert airflow.started == []


def test_a_paused_workflow_would_wait_for_ever(airflow: Airflow, context: Any) -> None:
    airflow.is_paused = True
    with pytest.raises(AirflowFailException, match="is paused, so its run would wait"):
        operator().execute(context)


def test_what_airflow_refuses_is_told(airflow: Airflow, context: Any) -> None:
    airflow.refusal = ErrorResponse(error=ErrorType.GENERIC_ERROR, detail={"message": "not today"})
    with pytest.raises(AirflowFailException, match=r": not today$"):
        operator().execute(context)


def test_a_job_that_does_not_fit_starts_no_run(airflow: Airflow, context: Any, add: Add) -> None:
    add("wf", "one")
    with pytest.raises(AirflowFailException, match=r"x: .*int"):
        operator(job={"x": "one"}).execute(context)
    assert airflow.started == []
    operator().execute(context)
    assert airflow.names == [BASE]


def test_it_may_use_shared_files_only(
    airflow: Airflow, context: Any, store: WorkflowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.cwl.plan import Parameter, Plan

    nothing: dict[str, Any] = {"label": None, "doc": None, "outputs": (), "steps": ()}
    files = (Parameter(id="text", type="File"),)
    add_version(store, "wf", Plan(kind="Workflow", cwl_version="v1.2", main="m.cwl", inputs=files, **nothing), "one")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(AirflowFailException, match=r"text: .*a\.txt.* is not in a folder that everybody's inputs"):
        operator(job={"text": str(tmp_path / "a.txt")}).execute(context)
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(tmp_path))
    operator(job={"text": str(tmp_path / "a.txt")}).execute(context)
    assert airflow.started[0][2]["job"]["text"]["class"] == "File"
