"""What runs of other workflows have delivered, as inputs of one that waits for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.stored import plan_of

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.chaining import delivered_inputs, event_values

COUNTS = "cwl://a/counts"
PLAN = replace(plan_of("s"), inputs=(Parameter("one", "File"), Parameter("all", {"type": "array", "items": "File"})))


@dataclass
class Event:
    source_run_id: str | None
    source_dag_id: str | None = "a"
    source_task_id: str | None = "CWLJobGatherer"


def file(name: str) -> dict[str, str]:
    return {"class": "File", "location": f"file:///{name}"}


def outputs(dag_id: str, run_id: str) -> dict[str, Any] | None:
    return {"counts": file(f"{dag_id}/{run_id}"), "nothing": None} if run_id != "deleted" else None


def given(inputs: dict[str, str], *events: Event) -> dict[str, Any]:
    return delivered_inputs(inputs, PLAN, {COUNTS: events}, outputs)


def test_one_file_is_the_newest_and_a_list_all_of_them() -> None:
    events = (Event("r1"), Event("r2"), Event("r2"))
    made = given({"one": COUNTS, "all": COUNTS}, *events)
    assert made == {"one": file("a/r2"), "all": [file("a/r1"), file("a/r2")]}


def test_an_input_without_an_event_stays_as_it_is() -> None:
    assert given({"one": COUNTS, "all": "cwl://b/counts"}, Event("r1")) == {"one": file("a/r1")}


@pytest.mark.parametrize(
    "forged", [Event("r1", source_dag_id=None), Event("r1", source_dag_id="b"), Event("r1", source_task_id="mine")]
)
def test_an_event_that_is_not_of_the_workflows_last_task_brings_nothing(forged: Event) -> None:
    assert given({"one": COUNTS}, forged) == {}


@pytest.mark.parametrize(("asset", "run_id"), [(COUNTS, "deleted"), ("cwl://a/nothing", "r1"), ("cwl://a/gone", "r1")])
def test_what_is_not_there_any_more_is_named(asset: str, run_id: str) -> None:
    with pytest.raises(JobError) as refused:
        delivered_inputs({"one": asset}, PLAN, {asset: [Event(run_id)]}, outputs)
    (problem,) = refused.value.problems
    assert problem.input == "one"
    assert f"The run {run_id} of a has no output" in problem.message


def test_other_assets_start_a_run_and_give_it_nothing() -> None:
    assert delivered_inputs({"one": "s3://b/x"}, PLAN, {"s3://b/x": [Event("r1")]}, outputs) == {}


def test_templates_of_a_job_read_what_events_say() -> None:
    from types import SimpleNamespace

    from cwl_ui_plugin.dags.job_templates import rendered

    events = [
        SimpleNamespace(asset=SimpleNamespace(name="queue"), extra={"payload": {"sample": name}}, source_run_id=None)
        for name in ("a", "b")
    ]
    values = event_values(SimpleNamespace(consumed_asset_events=events))
    job = {
        "sample": "{{ triggering_asset_events['queue'][-1].extra.payload.sample }}",
        "count": "{{ triggering_asset_events['queue'] | length }}",
    }
    assert rendered(job, values) == {"sample": "b", "count": 2}
    assert event_values(SimpleNamespace(consumed_asset_events=[])) == {}
