"""Params of a workflow's inputs: what Airflow accepts by them, and what its form is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Param, ParamsDict
from support.stored import add_version

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.dags.params import ADVANCED, params_of
from cwl_ui_plugin.library.store import WorkflowStore

ENUM = {"type": "enum", "symbols": ["fast", "exact"]}
RECORD = {
    "type": "record",
    "name": "sample",
    "fields": [{"name": "reads", "type": "File"}, {"name": "lanes", "type": ["null", "int"]}],
}
OTHER_RECORD = {"type": "record", "name": "range", "fields": [{"name": "first", "type": "int"}]}


def plan_of(*inputs: Parameter) -> Plan:
    """A workflow with these inputs and nothing else."""
    nothing: dict[str, Any] = {"label": None, "doc": None, "outputs": (), "steps": ()}
    return Plan(kind="Workflow", cwl_version="v1.2", main="main.cwl", inputs=inputs, **nothing)


def param_of(item: Parameter, **how: Any) -> Param:
    return params_of(plan_of(item), **how)[item.id]


def is_accepted(declared: Any, value: Any) -> bool:
    """Whether Airflow's server takes a value for an input of a type: by the Dag as it is stored, as it checks runs."""
    from airflow.exceptions import ParamValidationError
    from airflow.serialization.serialized_objects import BaseSerialization

    stored = BaseSerialization._serialize_params_dict(ParamsDict(params_of(plan_of(Parameter("x", declared)))))
    read = BaseSerialization._deserialize_params_dict(json.loads(json.dumps(stored)))
    try:
        read.deep_merge({"x": value}).validate()
    except (ParamValidationError, ValueError) as error:  # the second is Airflow 3.2's
        assert "Invalid input for param x" in str(error)
        return False
    return True


@pytest.mark.parametrize(
    ("declared", "right", "wrong"),
    [
        ("string", "text", 1),
        ("boolean", True, "yes"),
        ("int", 2**31 - 1, 2**31),
        ("long", -(2**63), 2**63),
        ("int", 1, 1.5),
        ("float", 1.5, "1.5"),
        ("double", 1e300, True),
        (ENUM, "exact", "slow"),
        ("File", "reads.fastq", 1),
        ("File", {"class": "File", "location": "reads.fastq"}, {"class": "Directory", "location": "reads"}),
        ("File", "reads.fastq", "  "),
        ("Directory", "genome", ["genome"]),
        ({"type": "array", "items": "File"}, ["a.fastq", {"class": "File", "path": "b"}], "a.fastq"),
        ({"type": "array", "items": "int"}, [1, 2], [1, "2"]),
        ({"type": "array", "items": {"type": "array", "items": "string"}}, [["a"], []], ["a"]),
        (RECORD, {"reads": "a.fastq", "lanes": 2}, {"lanes": 2}),
        (RECORD, {"reads": "a.fastq", "lanes": None}, {"reads": "a.fastq", "lane": 2}),
        ([RECORD, OTHER_RECORD], {"first": 1}, {"first": "1"}),
        (["null", RECORD, {"type": "array", "items": RECORD}], [{"reads": "a"}], [{"read": "a"}]),
        (["string", ["null", "int"]], 1, 1.5),
        ("Any", {"anything": [1]}, ...),
        ("null", None, 1),
    ],
)
def test_airflow_takes_what_fits_an_input_and_refuses_what_does_not(declared: Any, right: Any, wrong: Any) -> None:
    assert is_accepted(declared, right)
    if wrong is not ...:
        assert not is_accepted(declared, wrong)
    assert is_accepted(declared, None), "a required input may be given in the job"


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("string", {"type": "string"}),
        (["null", "string"], {"type": ["string", "null"]}),
        ("int", {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}),
        ("double", {"type": "number"}),
        (ENUM, {"type": "string", "enum": ["fast", "exact"]}),
        ({"type": "array", "items": "File"}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array", "items": ENUM}, {"type": "array", "items": {"type": "string"}, "examples": ENUM["symbols"]}),
        ({"type": "array", "items": RECORD}, {"type": "array", "items": {"type": "object"}}),
        ({"type": "array", "items": ["int", "string"]}, {"type": "array", "items": {"type": ["integer", "string"]}}),
        (RECORD, {"type": "object"}),
        ([RECORD, OTHER_RECORD], {"type": "object"}),
        (["File", {"type": "array", "items": "File"}], {"type": ["string", "array"]}),
        ("Any", {"type": ["string", "number", "boolean", "object", "array"]}),
        ("null", {"type": ["null"]}),
    ],
)
def test_the_form_is_told_which_control_it_needs_and_what_is_required(declared: Any, told: dict[str, Any]) -> None:
    schema = dict(param_of(Parameter("x", declared)).schema)
    for name in ("$schema", "$ref", "definitions", "title", "description_md"):
        assert schema.pop(name)
    assert schema == told


def test_files_have_examples_of_paths() -> None:
    schema = param_of(Parameter("reads", ["null", "File"])).schema
    assert schema["type"] == ["string", "null"]
    assert all(example.endswith(".fastq.gz") for example in schema["examples"])


def test_inputs_keep_their_order_label_documentation_and_section() -> None:
    plan = plan_of(
        Parameter("r2", "File", label="Read 2", doc="The *second* reads."),
        Parameter("r1", "File"),
        Parameter("hidden", ["null", "int"], extras={"sd:layout": {"advanced": True}}),
    )
    params = params_of(plan)
    assert list(params) == ["r2", "r1", "hidden"]
    assert params["r2"].schema["title"] == "Read 2"
    assert params["r2"].schema["description_md"] == "**r2**: File\n\nThe *second* reads."
    assert params["r2"].description is None, "else the form would show it instead of the Markdown"
    assert [param.schema.get("section") for param in params.values()] == [None, None, ADVANCED]


@pytest.mark.parametrize(
    ("item", "value"),
    [
        (Parameter("x", "int", has_default=True, default=4), 4),
        (Parameter("x", "boolean"), False),
        (Parameter("x", ["null", "boolean"]), None),
        (Parameter("x", "string", has_default=True, default="hush", is_secret=True), None),
        (Parameter("x", "File", has_default=True, default={"class": "File", "location": "cwl-upload:///g.fa"}), None),
        (Parameter("x", "long", has_default=True, default=2**53 + 1), None),
        (Parameter("x", {"type": "array", "items": "long"}, has_default=True, default=[2**60]), None),
        (Parameter("x", "string", has_default=True, default="a\0b"), None),
        (Parameter("x", "float", has_default=True, default=float("nan")), None),
    ],
)
def test_a_form_begins_with_the_default_where_it_can_send_it_back_unchanged(item: Parameter, value: Any) -> None:
    param = param_of(item)
    assert param.value == value
    assert param.resolve() == value, "a scheduled Dag may have it"


def test_a_default_that_does_not_fit_is_named_and_the_form_asks_for_a_value() -> None:
    item = Parameter("threads", "int", has_default=True, default="many")
    param = param_of(item)
    assert param.value is None
    assert param.schema["type"] == "integer"
    assert 'The default of the workflow, "many", is not of this type.' in param.schema["description_md"]


def test_a_secret_is_typed_like_a_password_and_its_default_is_shown_nowhere() -> None:
    schema = param_of(Parameter("token", "string", has_default=True, default="hush", is_secret=True)).schema
    assert schema["format"] == "password"
    assert "hush" not in json.dumps(schema)


def test_no_form_of_a_scheduled_dag_asks_for_inputs_or_sends_what_the_schedule_gives() -> None:
    plan = plan_of(Parameter("day", "string"), Parameter("threads", "int", has_default=True, default=4))
    assert params_of(plan)["day"].schema["type"] == "string"
    params = params_of(plan, scheduled=True, template=["threads"])
    assert params["day"].schema["type"] == ["string", "null"]
    assert params["threads"].value is None
    assert ParamsDict(params).validate() == {"day": None, "threads": None}


def test_names_that_a_conf_has_other_uses_for_have_no_param() -> None:
    reserved = ("job", "check_payload", "cwl_grant", "output_folder", "outputs_folder", "tmp_folder")
    plan = plan_of(*(Parameter(name, "string") for name in (*reserved, "b\0d", "__proto__", "a b", "$ref", "é")))
    assert list(params_of(plan)) == ["__proto__", "a b", "$ref", "é"]


def test_texts_that_no_database_keeps_are_cleaned() -> None:
    schema = param_of(Parameter("x", "string", label="a\0b\ud800", doc="c\0d")).schema
    assert schema["title"] == "ab?"
    assert schema["description_md"].endswith("cd")


def test_names_types_and_defaults_are_no_markdown() -> None:
    schema = param_of(Parameter("a_b_", {"type": "array", "items": "int"})).schema
    assert schema["description_md"].startswith(r"**a\_b\_**: int\[\]")
    schema = param_of(Parameter("x", "string", has_default=True, default="`[*](<b>)")).schema
    assert schema["description_md"].endswith(r'Default: "\`\[\*\](\<b\>)"')


def test_a_dag_of_three_hundred_inputs_is_stored_and_read(store: WorkflowStore) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    from cwl_ui_plugin.dags.dag import CWLDAG

    types = ["File", ["null", "File"], {"type": "array", "items": "File"}, "boolean", ENUM, [RECORD, OTHER_RECORD]]
    inputs = [Parameter(f"in{index}", types[index % len(types)], doc="What it is. " * 20) for index in range(300)]
    dag = CWLDAG("wide", version=add_version(store, "wide", plan_of(*inputs), "one"))
    read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert list(read.params) == [item.id for item in inputs]
    assert read.params.deep_merge({"in0": "reads.fastq"}).validate()["in0"] == "reads.fastq"


def test_a_scheduled_dag_may_have_required_inputs(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add_version(store, "daily", plan_of(Parameter("day", "string"), Parameter("job", "File")), "one")
    assert list(CWLDAG("daily", version=version, schedule="@daily").params) == ["day"]


def test_the_author_of_a_dag_file_may_add_params_and_give_values_of_inputs(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add_version(store, "more", plan_of(Parameter("threads", "int"), Parameter("day", "string")), "one")
    given = {"threads": 8, "site": Param("here", type="string")}
    params = CWLDAG("more", version=version, params=given).params
    assert list(params) == ["threads", "day", "site"]
    assert params["threads"] == 8
    assert params.get_param("threads").schema["title"] == "threads"
    with pytest.raises(JobError) as failure:
        CWLDAG("more", version=version, params={"threads": "many"})
    assert [str(problem) for problem in failure.value.problems] == [
        "threads: expected int, but the Dag file gives 'many'"
    ]


@pytest.mark.parametrize("of_task", [True, False])
def test_what_the_author_of_a_dag_file_gives_is_in_the_job_and_what_a_form_begins_with_is_not(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch, of_task: bool
) -> None:
    from types import SimpleNamespace

    from cwl_ui_plugin.dags.dag import CWLDAG

    plan = plan_of(Parameter("threads", "int"), Parameter("is_paired", "boolean"), Parameter("reads", "File"))
    version = add_version(store, "own", plan, "one")
    parse_for_task(monkeypatch, "own" if of_task else "another")
    dag = CWLDAG("own", version=version, params={"threads": 8, "site": "here", "reads": "a.fastq"})
    assert ("is_paired" in dag.params) is not of_task
    run = SimpleNamespace(run_type="manual", run_id="r", conf={"site": "there"})
    job = dag.get_task("CWLJobDispatcher").given_job({"dag_run": run})
    assert job == {"threads": 8, "reads": {"class": "File", "location": "a.fastq"}}


def test_the_tasks_of_a_dag_have_no_copies_of_its_params(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add_version(store, "many", plan_of(Parameter("x", "int")), "one")
    dag = CWLDAG("many", version=version, schedule="@daily", default_args={"params": {"y": 1}})
    assert list(dag.params) == ["x", "y"]
    assert [dict(task.params.items()).keys() for task in dag.tasks] == [{"y"}, {"y"}]


def test_a_task_does_not_check_each_input_again(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    version = add_version(store, "lean", plan_of(Parameter("x", "int")), "one")
    parse_for_task(monkeypatch, "lean")
    assert list(CWLDAG("lean", version=version).params) == []
    assert list(CWLDAG("lean", version=version, params={"x": 1}).params) == ["x"]


def parse_for_task(monkeypatch: pytest.MonkeyPatch, dag_id: str) -> None:
    """Let Dags be read as in the process of a task of that Dag."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "CWLJobDispatcher")
