"""A batch is stopped, and what did not succeed is started again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.batches import end, end_all, go_on, make, runs_of, stop_in_database, submission
from support.interleaving import ThreadActor

from cwl_ui_plugin.services.batches import batches, rounds, stops
from cwl_ui_plugin.services.errors import Conflict, NotAllowed, StopIncomplete
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.run_models import StopReport


def test_failed_rows_start_again_as_new_runs(dag_id: str) -> None:
    batch = go_on(make(dag_id))
    first, second, third = batches.rows(dag_id, batch.id).items
    end(dag_id, first.run_id, "failed")
    end(dag_id, second.run_id)
    assert batches.retry(dag_id, batch.id, user="bob", files=shared_only(), numbers=[second.number]) == 0
    assert batches.retry(dag_id, batch.id, user="bob", files=shared_only()) == 1
    assert batches.retry(dag_id, batch.id, user="bob", files=shared_only()) == 0
    batch = go_on(batch)
    row = batches.rows(dag_id, batch.id).items[0]
    assert (row.state, row.attempt, row.run_id) == ("queued", 2, f"{first.run_id}-try2")
    assert runs_of(dag_id)[first.run_id].state == "failed"
    assert runs_of(dag_id)[row.run_id].triggering_user_name == "ada"
    assert batches.rows(dag_id, batch.id).items[2] == third
    end_all(dag_id)
    assert go_on(batch).state == "success"


def test_nobody_starts_rows_again_whose_files_they_may_not_use(dag_id: str, folders: Path) -> None:
    upload, shared = folders / "inputs" / "uploads" / str(uuid.uuid4()), folders / "inputs" / "all.txt"
    upload.mkdir(parents=True)
    for path in (upload / "mine.txt", shared):
        path.write_text("x")

    class Mine(InputAccess):
        def _owns(self, upload: str) -> bool:
            return self.owner == "ada"

    ada, bob = (Mine(name, lambda _dag_id: False) for name in ("ada", "bob"))
    batch = submission(dag_id, f"sample,text,file\nA,x,{upload}/mine.txt\nB,y,{shared}\n", files=ada).batch
    assert batch is not None
    go_on(batch)
    end_all(dag_id, "failed")
    with pytest.raises(NotAllowed, match=r"the files of the rows 2\. They"):
        batches.retry(dag_id, batch.id, user="bob", files=bob)
    assert batches.get(dag_id, batch.id).counts == {"failed": 2}
    assert batches.retry(dag_id, batch.id, user="bob", files=bob, numbers=[3]) == 1
    assert batches.retry(dag_id, batch.id, user="ada", files=ada) == 1
    assert go_on(batch).counts == {"queued": 2}


def test_a_stop_stops_what_runs_and_lets_nothing_begin(dag_id: str) -> None:
    batch = go_on(make(dag_id, 4, max_active=2))
    end(dag_id, batches.rows(dag_id, batch.id).items[0].run_id)
    assert batches.stop(dag_id, batch.id, user="bob") == 3
    batch = go_on(batch)
    assert (batch.state, batch.stopped_by, batch.counts) == ("stopped", "bob", {"success": 1, "stopped": 3})
    assert len(runs_of(dag_id)) == 2
    assert batches.stop(dag_id, batch.id, user="eve") == 0
    assert batches.get(dag_id, batch.id).stopped_by == "bob"
    assert batches.retry(dag_id, batch.id, user="bob", files=shared_only()) == 3
    batch = go_on(batch)
    assert (batch.state, batch.stopped_by, batch.counts) == ("running", None, {"success": 1, "queued": 2, "pending": 1})
    names = [row.run_id or "" for row in batches.rows(dag_id, batch.id).items]
    assert [name.endswith("-try2") for name in names] == [False, True, True, False]


def test_a_stop_that_is_broken_off_goes_on(
    dag_id: str, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    batch = go_on(make(dag_id, 3, max_active=2))
    left = [True]

    def stop_run(dag: str, run_id: str, *, user: str) -> StopReport:
        if left:
            raise StopIncomplete("left", (f"host 1 of {run_id}",))
        return stop_in_database(dag, run_id, user=user)

    monkeypatch.setattr(stops.stops, "stop_run", stop_run)
    with pytest.raises(StopIncomplete, match="Not all runs"):
        batches.stop(dag_id, batch.id, user="ada")
    batch = go_on(batch)
    assert (batch.state, batch.counts) == ("stopping", {"queued": 2, "stopped": 1})
    with pytest.raises(Conflict, match="being stopped"):
        batches.retry(dag_id, batch.id, user="ada", files=shared_only())
    left.clear()
    round_of = rounds.BatchRound()
    round_of()
    eventually(lambda: batches.get(dag_id, batch.id).state == "stopped")
    round_of()
    assert batches.get(dag_id, batch.id).ended_at is not None


def test_a_stop_that_does_not_wait_is_carried_out_by_the_loop(dag_id: str, eventually: Callable[..., Any]) -> None:
    batch = go_on(make(dag_id, 2))
    assert batches.stop(dag_id, batch.id, user="ada", wait=False) == 2
    assert batches.get(dag_id, batch.id).state == "stopping"
    rounds.BatchRound()()
    eventually(lambda: batches.get(dag_id, batch.id).state == "stopped")
    assert {run.state for run in runs_of(dag_id).values()} == {"failed"}


def test_the_loop_leaves_a_stop_alone_that_somebody_carries_out(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = go_on(make(dag_id, 2))
    actor = ThreadActor(lambda: batches.stop(dag_id, batch.id, user="ada"))
    actor.hold(monkeypatch, stops, "_active_runs", once=True)
    actor.step()
    began: list[str] = []
    monkeypatch.setattr(stops, "_go_on_with", lambda _dag_id, batch_id, _user: began.append(batch_id))
    stops.go_on()
    assert began == []
    actor.step(free=True)
    assert (actor.error, batches.get(dag_id, batch.id).state) == (None, "stopped")
