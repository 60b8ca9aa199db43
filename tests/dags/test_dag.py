"""The Dag has the shape of the workflow."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from support.stored import add_version

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import Approval, Plan, Step
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]


def test_one_task_per_step_between_dispatcher_and_gatherer(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    dag = CWLDAG("wf", version=add("wf", "one"))

    edges = {task.task_id: task.downstream_task_ids for task in dag.tasks}
    assert edges == {
        "CWLJobDispatcher": {"a"},
        "a": {"b", "c"},
        "b": {"d"},
        "c": {"d"},
        "d": {"CWLJobGatherer"},
        "CWLJobGatherer": set(),
    }


def test_the_last_task_of_a_tool_reads_it_whatever_outputs_it_declares(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    step = Step("tool", "tool", "tool", document="step-tool", tool="CommandLineTool", tool_name="tool.cwl")
    nothing: dict[str, Any] = {"label": None, "doc": None, "inputs": (), "outputs": ()}
    tool = Plan(kind="CommandLineTool", cwl_version="v1.2", main="tool.cwl", steps=(step,), **nothing)
    dag = CWLDAG("tool", version=add_version(store, "tool", tool, "one"))
    assert dag.get_task("CWLJobGatherer").source_tasks == ("tool",)


def test_a_skipped_step_does_not_stop_what_follows(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    assert {task.trigger_rule for task in CWLDAG("wf", version=add("wf", "one")).tasks} == {"none_failed"}


def test_every_task_of_a_step_that_is_approved_looks_for_the_answer(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    def made(name: str, **more: Any) -> Step:
        return Step(name, name, name, document="step", tool="CommandLineTool", tool_name="t.cwl", **more)

    inner = Step("in", "outer/in", "outer.in", document="s", tool="CommandLineTool", tool_name="t", approval=Approval())
    steps = (
        made("free"),
        made("asked", approval=Approval()),
        made("many", approval=Approval(), scatter=("x",)),
        made("outer", approval=Approval(), steps=(inner,)),
    )
    nothing: dict[str, Any] = {"label": None, "doc": None, "inputs": (), "outputs": ()}
    plan = Plan(kind="Workflow", cwl_version="v1.2", main="wf.cwl", steps=steps, **nothing)
    dag = CWLDAG("asks", version=add_version(store, "asks", plan, "one"))

    found = {task.task_id: getattr(task, "approvals", ()) for task in dag.tasks if not task.is_mapped}
    assert found == {
        "CWLJobDispatcher": (),
        "CWLJobGatherer": (),
        "free": (),
        "asked.approval": (),
        "asked": ("asked.approval",),
        "many.approval": (),
        "many.scatter": ("many.approval",),
        "many.gather": ("many.approval",),
        "outer.approval": (),
        "outer.inputs": ("outer.approval",),
        "outer.in.approval": ("outer.approval",),
        "outer.in": ("outer.approval", "outer.in.approval"),
        "outer": ("outer.approval",),
    }
    assert dag.get_task("many").partial_kwargs["approvals"] == ("many.approval",)


def test_the_process_of_a_task_makes_that_task_as_it_is_among_all(store: WorkflowStore) -> None:
    """Each of ten thousand tasks would make all ten thousand otherwise."""
    from cwl_ui_plugin.dags.stored import stored_dag

    add_version(store, "large", _large_plan(), "one")
    revision = store.manifest()["large"]
    whole = stored_dag("large", revision, store=str(store.root))
    made = {}
    for task_id in whole.task_ids:
        with _asking_for("large", task_id):
            dag = stored_dag("large", revision, store=str(store.root))
        made[task_id] = len(dag.task_ids)
        assert _what_it_does(dag.get_task(task_id)) == _what_it_does(whole.get_task(task_id))
    with _asking_for("another", "last"):
        assert stored_dag("large", revision, store=str(store.root)).task_ids == whole.task_ids
    assert max(made.values()) <= 12  # of 65
    assert made["simple20"] == 3
    assert made["CWLJobGatherer"] == 2
    elements = whole.get_task("many")
    with _asking_for("large", "many.scatter"):
        scatter = stored_dag("large", revision, store=str(store.root)).get_task("many.scatter")
    assert elements.task_id in scatter.downstream_task_ids  # Airflow notes for it how many elements there are


def _asking_for(dag_id: str, task_id: str) -> AbstractContextManager[object]:
    """Be the process of a task for a while; Airflow's own way of it leaves that so."""
    asked = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": task_id}
    return patch.dict(os.environ, asked)


def _large_plan() -> Plan:
    """Return a plan with steps of all kinds, one after the other."""

    def made(name: str, before: str | None = None, **more: Any) -> Step:
        """Return a step, which reads one before it in the same workflow."""
        made_by = {"sources": (f"{before}/out",), "upstream": (before.rpartition(".")[2],)} if before else {}
        about: dict[str, Any] = {"document": f"step-{name}", "tool": "CommandLineTool", "tool_name": "t.cwl"}
        return Step(name.rpartition(".")[2], name, name, outputs=(f"{name}/out",), **about, **made_by, **more)

    inner = [
        made("outer.one"),
        made("outer.many", "outer.one", scatter=("x",)),
        made("outer.last", "outer.many", approval=Approval()),
    ]
    steps = [made("simple0"), *(made(f"simple{number}", f"simple{number - 1}") for number in range(1, 50))]
    steps += [
        made("many", "simple49", scatter=("x",)),
        made("asked", "many", approval=Approval()),
        made("outer", "asked", approval=Approval(), steps=tuple(inner), output_sources=("outer.last/out",)),
        made("last", "outer"),
    ]
    nothing: dict[str, Any] = {"label": None, "doc": None, "inputs": (), "outputs": ()}
    sources = {"steps": tuple(steps), "output_sources": ("last/out", "many/out")}
    return Plan(kind="Workflow", cwl_version="v1.2", main="wf.cwl", **sources, **nothing)


def _what_it_does(task: Any) -> object:
    """Return what a task is made with that its own process uses."""
    names = ("step", "source_tasks", "approvals", "elements_task", "trigger_rule", "retries", "task_display_name")
    if task.is_mapped:
        given = {name: task.partial_kwargs.get(name) for name in ("step", "sources", "approvals", "trigger_rule")}
        return task.operator_class, given, str(task.expand_input.value["batch"].operator.task_id)
    return type(task), {name: getattr(task, name, None) for name in names}


@pytest.mark.parametrize("answer", [None, {}, {"chosen_options": ["Reject"]}, {"cwl:skipped": [True, "skipped"]}])
def test_a_step_does_not_run_without_an_answer(answer: Any) -> None:
    from cwl_ui_plugin.dags.operators.steps import StepOperator

    def checked(pulled: Any) -> None:
        ti = SimpleNamespace(xcom_pull=lambda task_ids: pulled)
        StepOperator._check_approved(SimpleNamespace(approvals=("a.approval",)), {"ti": ti})  # type: ignore[arg-type]

    checked({"chosen_options": ["Approve"], "params_input": {}})
    with pytest.raises(StepError, match=r"Nobody has approved this step: the task a\.approval has no answer"):
        checked(answer)


def test_a_dag_file_may_give_a_schedule(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add("wf", "one")
    assert CWLDAG("wf", version=version, schedule="@daily").timetable.can_be_scheduled
    assert not CWLDAG("wf", version=version, schedule=None).timetable.can_be_scheduled
    with pytest.raises(ValueError, match="not a valid schedule"):
        CWLDAG("wf", version=version, schedule=3)


def test_the_dag_can_be_triggered_at_once_and_tells_what_it_is(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add("wf", "one")
    dag = CWLDAG("wf", version=version, tags=["mine"])

    assert dag.is_paused_upon_creation is False
    assert not dag.timetable.can_be_scheduled
    assert dag.tags == {"cwl", "mine"}
    assert dag.description == "one"
    assert version.digest in (dag.doc_md or "")
    assert dag.fileloc == __file__
    assert dag.get_task("a").task_display_name == "Step a"


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (0, 3, []),
        (2, 3, [(0, 0, "e0"), (1, 1, "e1")]),
        (5, 2, [(0, 1, "e0 … e1"), (2, 4, "e2 … e4")]),
        (10_000, 100, None),
    ],
)
def test_elements_are_divided_into_even_batches(count: int, most: int, expected: list[tuple[int, int, str]]) -> None:
    from cwl_ui_plugin.dags.operators.scattered import batches

    made = batches([f"e{number}" for number in range(count)], most)
    assert len(made) == min(count, most)
    assert [index for batch in made for index in range(batch["first"], batch["last"] + 1)] == list(range(count))
    assert expected is None or [(batch["first"], batch["last"], batch["label"]) for batch in made] == expected


@pytest.mark.parametrize(("count", "tasks"), [(5, 20), (20, 20), (21, 8), (2_001, 9), (10_000, 20)])
def test_many_elements_get_as_many_batches_as_keep_the_workers_busy(
    monkeypatch: pytest.MonkeyPatch, count: int, tasks: int
) -> None:
    from cwl_ui_plugin.dags.operators.scattered import most_batches

    monkeypatch.setenv("AIRFLOW__CWL__SCATTER_MAX_TASKS", "20")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "4")
    assert most_batches(count) == tasks


def test_a_dag_that_asks_kubernetes_for_resources_can_be_stored(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    from cwl_ui_plugin.dags.dag import CWLDAG

    monkeypatch.setenv("AIRFLOW__CWL__KUBERNETES_RESOURCES", "True")
    stored = DagSerialization.to_dict(CWLDAG("wf", version=add("wf", "one")))
    task = DagSerialization.from_dict(stored).get_task("a")
    assert task.executor_config["pod_override"].spec.containers[0].resources.requests["cpu"] == "1000m"


def test_a_dag_file_may_name_owner_and_dag_as_it_likes(add: Add) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    own: dict[str, Any] = {"default_args": {"owner": "bob", "retries": 4}, "dag_display_name": "Mine"}
    dag = CWLDAG("wf", version=add("wf", "one"), **own)

    assert (dag.dag_display_name, dag.owner) == ("Mine", "bob")
    assert (CWLDAG("wf", version=add("wf", "one")).dag_display_name, dag.dag_id) == ("one", "wf")
