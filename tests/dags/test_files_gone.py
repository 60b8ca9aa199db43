"""Every kind of task whose files were removed says at once which task made them, before cwltool begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from support.stored import plan_of

from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.dags import names, operators
from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.operators import Document

STEP = Step(
    id="s",
    full_id="#s",
    task_id="s",
    document="step-s",
    tool="CommandLineTool",
    tool_name="s.cwl",
    sources=("#p/out",),
    outputs=("#s/out",),
    output_sources=("#p/out",),
)
BATCH = {"first": 1, "last": 1, "label": "x"}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("CwlStepOperator", {"step": STEP}),
    ("CwlElementsOperator", {"step": STEP, "batch": BATCH}),
    ("CwlElementsOperator", {"step": replace(STEP, by_element=("#p/out",)), "batch": BATCH}),
    ("CwlCollectOperator", {"step": STEP, "elements_task": "elements"}),
    ("CwlEnterOperator", {"step": STEP}),
    ("CwlLeaveOperator", {"step": STEP}),
    ("CwlGatherOperator", {}),
]


class Instance(SimpleNamespace):
    """A task instance: what it pulls has two files, of which the second is gone."""

    def xcom_pull(self, task_ids: str) -> Any:
        return (
            [{"0": [{"out": self.files}, "success"]}] if task_ids == "elements" else {"#p/out": [self.files, "success"]}
        )

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def context(folders: Path) -> Any:
    made = run_folder.run_tmp("dag", "run") / "p/-1/1"
    (made / "out").mkdir(parents=True)
    (made / "out/kept").touch()
    files = [
        {"class": "File", "location": (made / "out" / name).as_uri(), "basename": name} for name in ("kept", "gone")
    ]
    (made / intermediate.REMOVED).touch()
    ti = Instance(id="1", dag_id="dag", run_id="run", task_id="s", map_index=-1, try_number=1, pushed={}, files=files)
    run = SimpleNamespace(
        dag_id="dag", run_id="run", run_after=datetime.now(timezone.utc), clear_number=1, conf={"job": {}}
    )
    return {"ti": ti, "dag_run": run}


def operator(folders: Path, kind: str, more: dict[str, Any]) -> Any:
    """An operator of a document that has a plan, and nothing that cwltool could run."""
    (folders / "compiled").mkdir(exist_ok=True)
    plan = replace(plan_of("p"), output_sources=("#p/out",))
    (folders / "compiled/plan.json").write_text(plan.to_json())
    document = Document(folders / "compiled", folders / "source")
    return getattr(operators, kind)(task_id="s", document=document, sources=["p"], **more)


@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_it_fails_at_once_and_names_the_task(context: Any, folders: Path, kind: str, more: dict[str, Any]) -> None:
    task = operator(folders, kind, more)
    with pytest.raises(AirflowFailException, match="needs gone, which the task p has made, and which is gone"):
        task.execute(context)
    error = context["ti"].pushed[names.ERROR_KEY]
    assert error["kind"] == "permanentFail"
    assert "Clear p, too" in error["message"]
    assert run_folder.leases("dag", "run") == []


def test_a_batch_asks_for_the_files_of_its_elements_only(context: Any, folders: Path) -> None:
    more = {"step": replace(STEP, by_element=("#p/out",)), "batch": {"first": 0, "last": 0, "label": "x"}}
    with pytest.raises(Exception, match="step-s"):  # it goes on to cwltool, which has nothing to run
        operator(folders, "CwlElementsOperator", more).execute(context)
