"""A workflow in a Dag that somebody wrote: which tasks there are, and what is refused when the Dag file is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TaskGroup, task, task_group
from support.stored import add_version

from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.dags.task_group import CWLTaskGroup
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

Add = Callable[[str, str], StoredVersion]


def step(name: str, **more: Any) -> Step:
    settings: dict[str, Any] = {"document": f"step-{name}", "tool": "CommandLineTool", "tool_name": "t.cwl", **more}
    return Step(id=name, full_id=f"#{name}", task_id=name, outputs=(f"#{name}/out",), **settings)


INNER = (step("sub.copy", sources=("#in",)), step("sub.each", scatter=("#x",), sources=("#in",)))
NESTED = Plan(
    kind="Workflow",
    cwl_version="v1.2",
    main="main.cwl",
    label="Nested",
    doc=None,
    inputs=(Parameter(id="x", type="int"), Parameter(id="file", type=["null", "File"])),
    outputs=(),
    steps=(
        step("each", scatter=("#x",), sources=("#x",)),
        step("sub", steps=INNER, sources=("#each/out",), upstream=("each",), output_sources=("#sub.copy/out",)),
    ),
    output_sources=("#sub/out",),
)


@pytest.fixture
def nested(store: WorkflowStore) -> str:
    add_version(store, "nested", NESTED, "one")
    return "nested"


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("mixed", schedule=None) as opened:
        yield opened


def test_its_tasks_are_called_by_their_group_and_step(nested: str, dag: DAG) -> None:
    CWLTaskGroup("one", workflow_dag_id=nested, job={"x": 1})
    with TaskGroup("outer"):
        CWLTaskGroup("two", workflow_dag_id=nested, job={"x": 2})
    of_one = {name.removeprefix("one.") for name in dag.task_ids if name.startswith("one.")}
    assert of_one == {
        "CWLJobDispatcher",
        "each.scatter",
        "each",
        "each.gather",
        "sub.inputs",
        "sub.copy",
        "sub.each.scatter",
        "sub.each",
        "sub.each.gather",
        "sub",
        "CWLJobGatherer",
    }
    assert {f"outer.two.{name}" for name in of_one} == {name for name in dag.task_ids if name.startswith("outer.")}
    assert dag.get_task("one.each.gather").elements_task == "one.each"
    assert dag.get_task("outer.two.CWLJobGatherer").source_tasks == ("outer.two.sub",)


def test_each_group_has_names_folders_and_secrets_of_its_own(nested: str, dag: DAG) -> None:
    from cwl_ui_plugin.dags.folders import run_folder

    groups = [CWLTaskGroup(name, workflow_dag_id=nested, job={"x": 1}) for name in ("one", "two")]
    parts = [dag.get_task(f"{group.group_id}.each.scatter").part for group in groups]
    assert len({part.name for part in parts}) == 2
    assert len({run_folder.secrets_file("mixed", "r", part.name) for part in parts}) == 2
    assert [part.begin for part in parts] == ["one.CWLJobDispatcher", "two.CWLJobDispatcher"]


def test_it_has_one_first_and_one_last_task(nested: str, dag: DAG) -> None:
    @task
    def before() -> int:
        return 1

    @task
    def after(value: Any) -> Any:
        return value

    group = CWLTaskGroup("one", workflow_dag_id=nested, job={"x": before()})
    after(group.output["out"])
    assert dag.get_task("before").downstream_task_ids == {"one.CWLJobDispatcher"}
    assert [found.task_id for found in group.get_leaves()] == ["one.CWLJobGatherer"]
    assert dag.get_task("after").upstream_task_ids == {"one.CWLJobGatherer"}


def test_the_dag_is_none_of_cwl_and_can_be_stored(nested: str, dag: DAG) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    CWLTaskGroup("one", workflow_dag_id=nested, job={"x": 1})
    assert "cwl" not in dag.tags
    found = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(found.task_dict) == set(dag.task_ids)


def test_retries_of_the_dag_count(nested: str) -> None:
    with DAG("mine", schedule=None, default_args={"retries": 7}) as dag:
        CWLTaskGroup("one", workflow_dag_id=nested, job={"x": 1})
    assert {found.retries for found in dag.tasks} == {7}


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({}, "x: this input is required; give it a value of type int"),
        ({"x": 1, "y": 2}, "y: there is no such input; there are: x, file"),
        ({"x": "one"}, "x: 'one' is not of type int"),
        ({"x": 1, "file": 3}, "file: '3' is not of type File"),
        ({"x": 1, "output_folder": "a"}, "output_folder: the outputs of a part of a Dag go into the folder of its run"),
        ([1], "must map inputs to values; it is of type list"),
    ],
)
def test_a_job_that_can_not_fit_is_an_import_error(nested: str, dag: DAG, job: Any, words: str) -> None:
    with pytest.raises(DagFileError, match="The job of CWLTaskGroup 'one'") as refused:
        CWLTaskGroup("one", workflow_dag_id=nested, job=job)
    assert words in str(refused.value)
    assert dag.task_ids == []


@pytest.mark.parametrize("value", ["{{ ds_nodash | int }}", None])
def test_what_is_known_later_is_checked_later(nested: str, dag: DAG, value: Any) -> None:
    CWLTaskGroup("one", workflow_dag_id=nested, job={"x": "{{ 1 }}", "file": value})
    assert "one.CWLJobDispatcher" in dag.task_ids


def test_paths_are_files(nested: str, dag: DAG) -> None:
    from cwl_ui_plugin.dags.part_jobs import complete

    expected = {"class": "File", "location": "/data/a.txt"}
    for value in ("/data/a.txt", Path("/data/a.txt")):
        assert complete(NESTED, {"x": 1, "file": value}, "here")["file"] == expected


def test_no_group_in_a_mapped_group(nested: str, dag: DAG) -> None:
    @task_group
    def mapped(x: int) -> None:
        CWLTaskGroup("one", workflow_dag_id=nested, job={"x": x})

    with pytest.raises(DagFileError, match=r"'mapped\.one' is in a mapped task group"):
        mapped.expand(x=[1, 2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Name either a CWL document by its path"),
        ({"workflow": "x.cwl", "workflow_dag_id": "x"}, "Name either a CWL document by its path"),
        ({"workflow": "x.cwl", "version": "1"}, "Only an uploaded workflow"),
        ({"workflow_dag_id": "nested", "job": {"x": 1}, "input_roots": ["data"]}, "the absolute path of a folder"),
        ({"workflow_dag_id": "nested", "job": {"x": 1}, "prefix_group_id": False}, "always have its group_id"),
    ],
)
def test_what_can_not_be_is_said(nested: str, dag: DAG, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(DagFileError, match=words):
        CWLTaskGroup("one", **arguments)


@pytest.mark.parametrize("arguments", [{"workflow": "none.cwl"}, {"workflow_dag_id": "none"}])
def test_a_document_that_is_not_there_is_named(nested: str, dag: DAG, arguments: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="none"):
        CWLTaskGroup("one", **arguments)


def test_a_document_that_is_wrong_is_an_import_error(
    store: WorkflowStore, dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.cwl").write_text("cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nstep: []\n")
    with pytest.raises(DocumentError, match="step"):
        CWLTaskGroup("one", workflow=tmp_path / "wrong.cwl")
