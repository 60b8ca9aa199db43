"""Outputs as assets of Airflow, and what their events say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.dags import assets
from cwl_ui_plugin.library.store import WorkflowStore

FILES = {"type": "array", "items": "File"}
RECORD = {"type": "record", "name": "pair", "fields": [{"name": "left", "type": ["null", "File"]}]}


def file_object(name: str, **more: Any) -> dict[str, Any]:
    return {
        "class": "File",
        "location": f"file:///out/{name}",
        "basename": name,
        "checksum": "sha1$1",
        "size": 3,
        **more,
    }


def plan_with(*outputs: Parameter, inputs: tuple[Parameter, ...] = ()) -> Plan:
    from dataclasses import replace

    return replace(plan_of("sort", inputs=inputs), outputs=outputs)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("File", True),
        ("Directory", True),
        (FILES, True),
        ({"type": "array", "items": FILES}, True),
        (["null", "File"], True),
        (RECORD, True),
        ("string", False),
        (["null", "int"], False),
        ({"type": "array", "items": "string"}, False),
        ({"type": "enum", "symbols": ["File"]}, False),
        ("Any", False),
    ],
)
def test_what_can_hold_files_is_an_asset(kind: Any, expected: bool) -> None:
    assert assets.holds_files(kind) is expected


def test_the_name_is_one_that_airflow_keeps_as_it_is() -> None:
    from airflow.sdk import Asset

    for output in ("counts", "a b", "sub/out", "ä?x=1&b=2#z", "%41", "..", "x" * 3000):
        name = assets.asset_name("My.dag-1", output)
        asset = Asset(name)
        assert (asset.name, asset.uri) == (name, name)
        assert name.isascii()
        if len(output) < 1000:
            assert assets.output_named(name) == ("My.dag-1", output)
    assert assets.asset_name("d", "x" * 3000) != assets.asset_name("d", "x" * 2999 + "y")


def test_assets_are_those_that_airflow_makes_but_no_provider_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Asset
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    names = ("counts", "a b", "ä?x=1&b=2#z", "..", "x" * 3000)
    plan = plan_with(
        *(Parameter(name, FILES) for name in names), inputs=tuple(Parameter(name, "File") for name in names)
    )
    expected_outlets = [Asset(assets.asset_name("My.dag-1", name)) for name in names]
    expected_inlets = [Asset(assets.input_asset_name("My.dag-1", name)) for name in names]

    def ask(_manager: object) -> None:
        raise AssertionError("importing the URI handlers of all providers takes each task half a second")

    monkeypatch.setattr(ProvidersManagerTaskRuntime, "asset_uri_handlers", property(ask))
    assert assets.outlets("My.dag-1", plan) == expected_outlets
    assert assets.inlets("My.dag-1", plan) == expected_inlets


@pytest.mark.parametrize("name", ["s3://bucket/x", "cwl://d", "cwl://d/", "cwl:///x", "cwl://d/inputs/x"])
def test_other_assets_are_no_outputs(name: str) -> None:
    assert assets.output_named(name) is None


def test_inputs_and_outputs_of_the_same_name_are_two_assets() -> None:
    assert assets.asset_name("d", "reads") != assets.input_asset_name("d", "reads")
    assert assets.asset_name("d", "inputs/reads") != assets.input_asset_name("d", "reads")


def test_the_event_of_a_file_says_what_it_is() -> None:
    made = file_object("a.txt", format="http://edamontology.org/format_1929", secondaryFiles=[file_object("a.txt.idx")])
    extra = assets.event_extra("d", "r", "counts", made)
    assert (extra["dag_id"], extra["run_id"], extra["output"]) == ("d", "r", "counts")
    assert (extra["location"], extra["checksum"], extra["size"]) == ("file:///out/a.txt", "sha1$1", 3)
    assert extra["format"] == "http://edamontology.org/format_1929"
    assert (extra["files"], extra["bytes"], extra["left_out"]) == (2, 6, 0)
    assert [item["location"] for item in extra["items"]] == ["file:///out/a.txt", "file:///out/a.txt.idx"]


def test_the_event_of_many_files_is_bounded_and_says_so() -> None:
    many = [file_object(f"{number}.txt") for number in range(100_000)]
    extra = assets.event_extra("d", "r", "all", many)
    assert (extra["files"], extra["bytes"]) == (100_000, 300_000)
    assert len(extra["items"]) == assets.MAX_ITEMS
    assert extra["left_out"] == 100_000 - assets.MAX_ITEMS
    assert extra["items"][0]["location"] == "file:///out/0.txt"
    long_names = assets.event_extra("d", "r", "all", [file_object("x" * 4000) for _ in range(20)])
    assert 0 < len(long_names["items"]) < 20
    assert long_names["left_out"] == 20 - len(long_names["items"])
    assert len(json.dumps(long_names)) < assets.MAX_EXTRA_BYTES + 1000


def test_one_item_that_is_too_large_is_left_out_too() -> None:
    extra = assets.event_extra("d", "r", "one", file_object("x", format="f" * 20_000))
    assert (extra["items"], extra["left_out"], extra["files"]) == ([], 1, 1)
    assert "location" not in extra


def test_the_tasks_declare_assets_and_airflow_can_store_them(store: WorkflowStore, airflow_home: Path) -> None:
    from airflow.sdk import Asset
    from airflow.serialization.serialized_objects import DagSerialization

    from cwl_ui_plugin.dags.dag import CWLDAG

    plan = plan_with(
        Parameter("counts", "File"),
        Parameter("number", "int"),
        Parameter("lists", FILES),
        inputs=(Parameter("text", "File"), Parameter("n", "int")),
    )
    dag = CWLDAG("wf", version=add_version(store, "wf", plan, "one"))
    assert dag.get_task("CWLJobGatherer").outlets == [Asset("cwl://wf/counts"), Asset("cwl://wf/lists")]
    assert dag.get_task("CWLJobDispatcher").inlets == [Asset("cwl://wf/inputs/text")]
    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert [asset.uri for asset in again.get_task("CWLJobGatherer").outlets] == ["cwl://wf/counts", "cwl://wf/lists"]


def test_a_task_that_runs_has_no_asset_that_airflow_could_find_inactive(store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.dag import CWLDAG

    plan = plan_with(Parameter("counts", "File"), inputs=(Parameter("text", "File"),))
    dag = CWLDAG("wf", version=add_version(store, "wf", plan, "one"))
    for task_id in ("CWLJobDispatcher", "CWLJobGatherer"):
        task = dag.get_task(task_id).prepare_for_execution()
        assert (task.inlets, task.outlets) == ([], [])


def test_an_event_is_announced_for_each_output_that_is_there(store: WorkflowStore) -> None:
    from airflow.sdk import Asset
    from airflow.sdk.execution_time.context import OutletEventAccessors

    from cwl_ui_plugin.dags.dag import CWLDAG

    plan = plan_with(Parameter("counts", "File"), Parameter("maybe", ["null", "File"]), Parameter("lists", FILES))
    task = CWLDAG("wf", version=add_version(store, "wf", plan, "one")).get_task("CWLJobGatherer")
    running, events = task.prepare_for_execution(), OutletEventAccessors()

    class Run:
        dag_id, run_id = "wf", "r1"

    outputs = {"counts": file_object("a.txt"), "maybe": None, "lists": []}
    running._announce({"dag_run": Run, "outlet_events": events}, plan, outputs)
    assert running.outlets == [Asset("cwl://wf/counts"), Asset("cwl://wf/lists")]
    assert events[Asset("cwl://wf/counts")].extra["location"] == "file:///out/a.txt"
    assert events[Asset("cwl://wf/lists")].extra["files"] == 0
    assert len(task.outlets) == 3  # of the Dag, as before
