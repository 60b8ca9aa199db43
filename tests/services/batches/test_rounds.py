"""How batches go on in the background: what can't start, what was deleted, what is unforeseen, what goes on again."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from support.batches import delete, end, end_all, go_on, make, states_of, submission
from support.stored import set_run

from cwl_ui_plugin.services.batches import batches, rounds, starts
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.triggering import triggers


def test_what_is_gone_when_a_row_would_start_is_told_and_tried_again(dag_id: str, folders: Path) -> None:
    (folders / "inputs").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folders / "inputs" / name).write_text("x")
    batch = submission(dag_id, "sample,text,file\nA,x,a\nB,x,b\n", max_active=1).batch
    assert batch is not None
    (folders / "inputs" / "b").unlink()
    go_on(batch)
    end_all(dag_id)
    batch = go_on(batch)
    assert (batch.state, states_of(batch)) == ("failed", {"A": "success", "B": "refused"})
    (row,) = batches.rows(dag_id, batch.id, wanted=["refused"]).items
    assert "there is no file" in row.problems[0].message
    (folders / "inputs" / "b").write_text("x")
    assert batches.retry(dag_id, batch.id, user="ada", files=shared_only()) == 1
    assert states_of(go_on(batch)) == {"A": "success", "B": "queued"}


def test_a_run_of_somebody_else_is_not_taken_for_that_of_a_row(dag_id: str) -> None:
    batch = make(dag_id, 2, max_active=1)
    taken = starts.run_id_of(batch.id, 3, "S2")
    triggers.trigger(dag_id, conf={"job": {"text": "other"}}, run_id=taken, user="eve", via=triggers.REST)
    end_all(dag_id)
    batch = go_on(batch)
    row = batches.rows(dag_id, batch.id).items[1]
    assert (row.state, row.run_id) == ("refused", None)
    assert "has a run" in row.problems[0].message
    assert batches.retry(dag_id, batch.id, user="ada", files=shared_only()) == 1
    assert states_of(go_on(batch))["S2"] == "queued"


def test_a_batch_with_an_error_holds_up_no_other_and_says_so(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = make(dag_id, 2), make(dag_id, 2)
    original = starts.start_some

    def start_some(batch_id: str, most: int = 5) -> int:
        if batch_id == broken.id:
            raise RuntimeError("unforeseen")
        return original(batch_id, most)

    round_of = rounds.BatchRound()
    with monkeypatch.context() as patched:
        patched.setattr(starts, "start_some", start_some)
        round_of()
    broken = batches.get(dag_id, broken.id)
    assert (broken.counts, broken.problem) == ({"queued": 1, "pending": 1}, rounds.UNFORESEEN)
    assert batches.get(dag_id, other.id).counts == {"queued": 2}
    broken = go_on(broken)
    assert (broken.counts, broken.problem) == ({"queued": 2}, None)


def test_an_error_of_one_row_that_nobody_has_foreseen_is_told_there(
    dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make(dag_id, 3, max_active=1)
    end_all(dag_id)
    trigger = triggers.trigger

    def broken(*arguments: Any, **more: Any) -> Any:
        if more["run_id"].endswith("S2"):
            raise ZeroDivisionError
        return trigger(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(triggers, "trigger", broken)
        go_on(batch)
        assert states_of(go_on(batch)) == {"S1": "success", "S2": "refused", "S3": "queued"}
    (row,) = batches.rows(dag_id, batch.id, wanted=["refused"]).items
    assert [problem.message for problem in row.problems] == [starts.UNFORESEEN]
    end_all(dag_id)
    assert batches.retry(dag_id, batch.id, user="ada", files=shared_only()) == 1
    assert states_of(go_on(batch))["S2"] == "queued"


def test_what_may_pass_refuses_no_row(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)

    def full(*_arguments: Any, **_more: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(triggers, "trigger", full)
        rounds.BatchRound()()
    batch = batches.get(dag_id, batch.id)
    assert (batch.counts, batch.problem) == ({"success": 1, "pending": 1}, rounds.UNFORESEEN)


def test_a_batch_that_had_ended_goes_on_with_a_run_that_goes_on(dag_id: str) -> None:
    batch = go_on(make(dag_id, 2))
    first, second = (str(row.run_id) for row in batches.rows(dag_id, batch.id).items)
    end(dag_id, first, "failed")
    end(dag_id, second)
    ended = go_on(batch)
    assert (ended.state, rounds.reopen_some()) == ("failed", 0)
    set_run(dag_id, first, "queued")
    round_of = rounds.BatchRound()
    round_of()
    assert batch.id in rounds.open_batches()
    end(dag_id, first)
    round_of()
    again = batches.get(dag_id, batch.id)
    assert batch.id not in rounds.open_batches()
    assert (again.state, again.counts) == ("success", {"success": 2})
    assert str(again.ended_at) > str(ended.ended_at)


def test_a_round_in_which_nothing_happens_writes_nothing(dag_id: str, statements: list[str]) -> None:
    batch = go_on(make(dag_id, 2, max_active=1))
    statements.clear()
    go_on(batch)
    rounds.reopen_some()
    assert [text for text in statements if not text.lstrip().upper().startswith("SELECT")] == []


def test_a_batch_is_made_also_if_its_first_run_can_not_be_created_just_then(
    dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(starts, "start_some", lambda *_arguments, **_more: 1 / 0)
        batch = make(dag_id, 2)
    assert (batch.state, batch.counts) == ("creating", {"pending": 2})
    assert go_on(batch).counts == {"queued": 2}


def test_runs_that_were_deleted_and_batches_that_are_forgotten(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = go_on(make(dag_id, 2))
    end_all(dag_id)
    go_on(batch)
    rows = batches.rows(dag_id, batch.id).items
    delete(dag_id, str(rows[0].run_id))
    batch = batches.get(dag_id, batch.id)
    assert (batch.state, batch.counts) == ("success", {"deleted": 1, "success": 1})
    monkeypatch.setattr(rounds, "KEPT_DAYS", -1)
    rounds.forget_gone()
    assert batches.get(dag_id, batch.id)
    delete(dag_id, str(rows[1].run_id))
    monkeypatch.setattr(rounds, "KEPT_DAYS", 7)
    rounds.forget_gone()
    assert batches.get(dag_id, batch.id)
    monkeypatch.setattr(rounds, "KEPT_DAYS", -1)
    assert rounds.forget_gone() == 1
    with pytest.raises(NotFound):
        batches.get(dag_id, batch.id)
