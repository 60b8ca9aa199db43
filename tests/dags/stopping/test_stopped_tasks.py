"""Every kind of task of a stopped run ends itself before it does anything, and says that it was stopped."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.dags import names, operators
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.operators import Document
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone

NOW = datetime.now(timezone.utc)
STEP = Step(id="s", full_id="#s", task_id="s", document="step-s", tool="CommandLineTool", tool_name="s.cwl", label="s")
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("CwlDispatchOperator", {}),
    ("CwlStepOperator", {"step": STEP}),
    ("CwlScatterOperator", {"step": STEP}),
    ("CwlElementsOperator", {"step": STEP, "batch": {"first": 0, "last": 1, "label": "x"}}),
    ("CwlCollectOperator", {"step": STEP, "elements_task": "s"}),
    ("CwlEnterOperator", {"step": STEP}),
    ("CwlLeaveOperator", {"step": STEP}),
    ("CwlGatherOperator", {}),
    ("CwlGroupDispatchOperator", {"job": {}}),
    ("CwlGroupGatherOperator", {}),
]


class Instance(SimpleNamespace):
    """A task instance, as an operator sees it; the values that it pulls say that its step is skipped."""

    def xcom_pull(self, **_options: Any) -> dict[str, Any]:
        return {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def context(folders: Path) -> Any:
    """The context of a task of a run that has been cleared once."""
    ti = Instance(id="1", dag_id="dag", run_id="run", task_id="s", map_index=-1, try_number=1, pushed={})
    run = SimpleNamespace(dag_id="dag", run_id="run", run_after=NOW, clear_number=1, conf={"job": {}})
    return {"ti": ti, "dag_run": run}


def stone(clear_number: int = 1) -> Tombstone:
    return Tombstone("dag", "run", "ada", 0.0, clear_number, tombstones.moment(NOW), 1)


def test_all_kinds_are_here() -> None:
    kinds = {name for name in vars(operators) if name.startswith("Cwl") and name.endswith("Operator")}
    assert kinds == {name for name, _more in KINDS}


@pytest.mark.parametrize(("kind", "more"), KINDS, ids=[name for name, _more in KINDS])
def test_it_ends_itself_and_says_why(context: Any, folders: Path, kind: str, more: dict[str, Any]) -> None:
    tombstones.write(stone())
    document = Document(folders / "none", folders / "none")
    operator = getattr(operators, kind)(task_id="s", document=document, sources=["x"], **more)
    with pytest.raises(AirflowFailException, match=r"^Stopped by ada\.$"):
        operator.execute(context)
    error = context["ti"].pushed[names.ERROR_KEY]
    assert (error["kind"], error["message"]) == ("stopped", "Stopped by ada.")
    assert run_folder.leases("dag", "run") == []
    assert not run_folder.run_tmp("dag", "run").exists()


def test_what_a_task_fails_of_as_its_run_is_stopped_is_the_stop(context: Any) -> None:
    operator = operators.CwlStepOperator(task_id="s", document=Document(Path(), Path()))
    with pytest.raises(AirflowFailException, match="Stopped by ada"), operator.reported(context):
        tombstones.write(stone())
        raise StepError("the command was ended by signal 15", kind="temporaryFail")
    assert context["ti"].pushed[names.ERROR_KEY]["kind"] == "stopped"


def test_one_that_was_started_by_a_later_clear_goes_on(context: Any) -> None:
    tombstones.write(stone(clear_number=0))
    operator = operators.CwlStepOperator(task_id="s", document=Document(Path(), Path()))
    with operator.leased(context):
        assert [lease.task_id for lease in run_folder.leases("dag", "run")] == ["s"]


def test_a_lease_is_written_before_a_task_looks(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    found = tombstones.StopCheck.found

    def look(check: tombstones.StopCheck) -> Any:
        seen.append(len(run_folder.leases("dag", "run")))
        return found(check)

    monkeypatch.setattr(tombstones.StopCheck, "found", look)
    operator = operators.CwlStepOperator(task_id="s", document=Document(Path(), Path()))
    with operator.leased(context):
        pass
    assert seen == [1]
