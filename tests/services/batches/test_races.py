"""Each row starts one run, once, whatever happens at the same moment, and whoever is killed in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from support.batches import end_all, go_on, make, runs_of, states_of
from support.interleaving import ProcessActor, ThreadActor, orders

from cwl_ui_plugin.services.batches import batches, starts, stops
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.triggering import triggers


def test_two_of_the_same_request_at_the_same_moment(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    actors = [ThreadActor(lambda: make(dag_id, request="r1").id) for _ in range(2)]
    for actor in actors:
        actor.hold(monkeypatch, batches, "_keep")
        actor.step()
    for actor in actors:
        actor.step(free=True)
    assert [actor.error for actor in actors] == [None, None]
    assert actors[0].result == actors[1].result
    assert batches.list_of(dag_id).total == 1


@pytest.mark.parametrize("order", list(orders(["start"] * 3, ["stop"] * 3)), ids="-".join)
def test_a_stop_races_with_the_start_of_a_row(
    dag_id: str, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    """Whatever comes first: in the end no run is on its way, and no row is left that could begin."""
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    actors = {
        "start": ThreadActor(lambda: starts.start_some(batch.id)),
        "stop": ThreadActor(lambda: batches.stop(dag_id, batch.id, user="ada")),
    }
    actors["start"].hold(monkeypatch, triggers, "trigger")
    actors["start"].hold(monkeypatch, starts, "_next_rows")
    actors["stop"].hold(monkeypatch, stops, "_ask", once=True)
    actors["stop"].hold(monkeypatch, stops, "carry_out")
    for name in order:
        actors[name].step()
    for actor in actors.values():
        actor.step(free=True)
    assert [actor.error for actor in actors.values()] == [None, None]
    go_on(batch)
    active = [run_id for run_id, run in runs_of(dag_id).items() if run.state in ("queued", "running")]
    assert (active, batches.get(dag_id, batch.id).counts.get("pending", 0)) == ([], 0)
    assert set(states_of(batch).values()) <= {"success", "stopped"}


def test_a_row_that_is_stopped_in_the_middle_of_its_start_has_no_run(
    dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop comes after the row was looked up, and before its run is created."""
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    actor = ThreadActor(lambda: starts.start_some(batch.id))
    actor.hold(monkeypatch, triggers, "trigger")
    actor.step()
    assert batches.stop(dag_id, batch.id, user="ada") == 1
    actor.step(free=True)
    assert (actor.error, actor.result) == (None, 0)
    assert len(runs_of(dag_id)) == 1
    assert states_of(batch) == {"S1": "success", "S2": "stopped"}


def test_a_row_that_was_stopped_and_started_again_meanwhile_has_one_run(
    dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    actor = ThreadActor(lambda: starts.start_some(batch.id))
    actor.hold(monkeypatch, triggers, "trigger")
    actor.step()
    batches.stop(dag_id, batch.id, user="ada")
    batches.retry(dag_id, batch.id, user="ada", files=shared_only())
    actor.step(free=True)
    assert (actor.error, actor.result, len(runs_of(dag_id))) == (None, 0, 1)
    go_on(batch)
    row = batches.rows(dag_id, batch.id).items[1]
    assert (row.state, row.attempt, len(runs_of(dag_id))) == ("queued", 2, 2)


def test_two_servers_start_a_row_once(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    actors = [ThreadActor(lambda: starts.start_some(batch.id)) for _ in range(2)]
    for actor in actors:
        actor.hold(monkeypatch, triggers, "trigger")
        actor.step()
    for actor in actors:
        actor.step(free=True)
    assert [actor.error for actor in actors] == [None, None]
    assert states_of(batch) == {"S1": "success", "S2": "queued"}
    assert len(runs_of(dag_id)) == 2


@pytest.mark.parametrize("point", ["_insert", "_hold", "_record", "settle"])
def test_a_kill_in_the_middle_loses_no_row_and_starts_none_twice(
    dag_id: str, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    from airflow import settings

    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    module = starts if point == "_record" else triggers

    def work(at: Callable[[str], None]) -> int:
        settings.engine.dispose(close=False)
        original = getattr(module, point)

        def holding(*arguments: Any, **more: Any) -> Any:
            at(f"before {point}")
            result = original(*arguments, **more)
            at(f"after {point}")
            return result

        setattr(module, point, holding)
        starts.start_some(batch.id)
        return 0

    for steps in (1, 2):
        actor = ProcessActor(work)
        for _ in range(steps):
            actor.step()
        assert actor.point == f"{('before', 'after')[steps - 1]} {point}"
        actor.kill()
        assert os.getpid() != actor.pid
    batch = go_on(batch)
    assert states_of(batch) == {"S1": "success", "S2": "queued"}
    assert len(runs_of(dag_id)) == 2
    end_all(dag_id)
    assert go_on(batch).state == "success"
