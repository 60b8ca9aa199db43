"""The states of WES, made of what Airflow's database says of a run; lists, filters and single runs agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.wes import runs
from cwl_ui_plugin.services.wes.run_ids import page_token, position_of, run_id_of, run_of

NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
TOLD = {"message": "Step sort: exit code 1", "kind": "permanentFail", "exit_code": 1}


def queued(_airflow: Any, _dag_id: str, _run_id: str) -> None:
    pass


def initializing(airflow: Any, dag_id: str, run_id: str) -> None:
    airflow.set_run(dag_id, run_id, "running")
    airflow.set_task(dag_id, run_id, "CWLJobDispatcher", state="running", start_date=NOW)


def running(airflow: Any, dag_id: str, run_id: str) -> None:
    airflow.set_run(dag_id, run_id, "running")
    airflow.set_task(dag_id, run_id, "sort", state="running", start_date=NOW)


def complete(airflow: Any, dag_id: str, run_id: str) -> None:
    airflow.set_run(dag_id, run_id, "success")


def failing(told: dict[str, Any] | None) -> Callable[[Any, str, str], None]:
    def fail(airflow: Any, dag_id: str, run_id: str) -> None:
        airflow.set_task(dag_id, run_id, "sort", state="failed", start_date=NOW, end_date=NOW)
        if told:
            airflow.push(dag_id, run_id, "sort", "cwl_error", told)
        airflow.set_run(dag_id, run_id, "failed")

    return fail


def stopped(_airflow: Any, dag_id: str, run_id: str) -> None:
    from cwl_ui_plugin.services.stopping import stops

    stops.stop_run(dag_id, run_id, user="ada")


@pytest.mark.parametrize(
    ("state", "happen"),
    [
        ("QUEUED", queued),
        ("INITIALIZING", initializing),
        ("RUNNING", running),
        ("COMPLETE", complete),
        ("CANCELED", stopped),
        ("EXECUTOR_ERROR", failing(TOLD)),
        ("EXECUTOR_ERROR", failing({**TOLD, "exit_code": None})),
        ("EXECUTOR_ERROR", failing({**TOLD, "kind": "temporaryFail"})),
        ("SYSTEM_ERROR", failing(None)),
        ("SYSTEM_ERROR", failing({**TOLD, "kind": "temporaryFail", "exit_code": None})),
        ("SYSTEM_ERROR", failing({**TOLD, "kind": "temporaryFail", "message": "1 (the disk /tmp is full)"})),
        ("SYSTEM_ERROR", failing({**TOLD, "kind": "unsupported", "exit_code": None})),
    ],
)
def test_each_state_is_told_alike_everywhere(
    workflow: str, run_id: str, airflow: Any, state: str, happen: Callable[[Any, str, str], None]
) -> None:
    happen(airflow, workflow, run_id)
    assert runs.state_of(workflow, run_id) == state
    (listed,) = runs.list_runs([workflow]).runs
    assert (listed.state, listed.run_id) == (state, run_id_of(workflow, run_id))
    assert [run.run_id for run in runs.list_runs([workflow], state=state).runs] == [listed.run_id]
    other = "RUNNING" if state != "RUNNING" else "QUEUED"
    assert runs.list_runs([workflow], state=other).runs == ()
    counts = runs.state_counts([workflow])
    assert (counts[state], sum(counts.values())) == (1, 1)


def test_a_stop_that_goes_on_is_canceling(
    workflow: str, run_id: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.services.run_models import StopProgress
    from cwl_ui_plugin.services.stopping import stops

    stops.stop_run(workflow, run_id, user="ada")
    monkeypatch.setattr(stops, "progress", lambda *_key: StopProgress("ada", 1.0, ("host 1",)))
    assert runs.state_of(workflow, run_id) == "CANCELING"
    assert [run.state for run in runs.list_runs([workflow], state="CANCELING").runs] == ["CANCELING"]


def test_a_run_that_waits_for_a_word_is_paused(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.set_run(workflow, run_id, "running")
    airflow.set_task(workflow, run_id, "sort", state="awaiting_input", start_date=NOW)
    assert runs.state_of(workflow, run_id) == "PAUSED"


def test_pages_do_not_move_with_new_runs(workflow: str) -> None:
    names = [start(workflow) for _ in range(5)]
    first = runs.list_runs([workflow], size=2)
    start(workflow)
    second = runs.list_runs([workflow], size=2, before=position_of(first.next_page_token))
    third = runs.list_runs([workflow], size=2, before=position_of(second.next_page_token))
    found = [run_of(run.run_id)[1] for page in (first, second, third) for run in page.runs]
    assert found == list(reversed(names))
    assert third.next_page_token == ""


def test_runs_are_found_by_tags(workflow: str) -> None:
    start(workflow, {"project": "a", "sample": "1"})
    wanted = start(workflow, {"project": "a", "sample": "2"})
    start(workflow)
    found = runs.list_runs([workflow], tags={"project": "a", "sample": "2"}).runs
    assert [run_of(run.run_id)[1] for run in found] == [wanted]
    assert found[0].tags == {"project": "a", "sample": "2"}


def start(dag_id: str, tags: dict[str, str] | None = None) -> str:
    from cwl_ui_plugin.services.triggering import triggers

    conf: dict[str, object] = {"job": {"text": "x"}, **({"ga4gh_wes": {"tags": tags}} if tags else {})}
    return triggers.trigger(dag_id, conf=conf, run_id=triggers.new_run_id(), user="ada", via=triggers.REST).run_id


@pytest.mark.parametrize("text", ["", "A", "YQ", "L3g", "YS8", "YS9i=", "YS9i!", "4pyT", "_" * 5000, "YS9iAA", "ü"])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(NotFound):
        run_of(text)


def test_ids_and_tokens_lead_back() -> None:
    assert run_of(run_id_of("a.b-c", "scheduled__2026-01-31T00:00:00+00:00 ü")) == (
        "a.b-c",
        "scheduled__2026-01-31T00:00:00+00:00 ü",
    )
    assert position_of(page_token(17)) == 17
    assert position_of("") is None
    with pytest.raises(BadRequest):
        position_of(run_id_of("a", "b"))
