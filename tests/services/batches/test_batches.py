"""Batches on a database: made of a sheet, each row a run, and how they are shown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.batches import INPUTS, end, end_all, go_on, make, runs_of, states_of, submission

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.batches import batches, checking, outputs, rounds
from cwl_ui_plugin.services.batches.models import InvalidSheet
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, NotVerified, TooLarge
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.workflows import details


def test_each_row_becomes_a_run(dag_id: str) -> None:
    batch = make(dag_id, name="Friday")
    assert (batch.total, batch.user, batch.name, batch.max_active) == (3, "ada", "Friday", 16)
    batch = go_on(batch)
    assert (batch.state, batch.counts) == ("running", {"queued": 3})
    rows = batches.rows(dag_id, batch.id)
    assert [row.run_id for row in rows.items] == [f"batch-{batch.id}-{number}-S{number - 1}" for number in (2, 3, 4)]
    runs = runs_of(dag_id)
    assert runs.keys() == {row.run_id for row in rows.items}
    assert {run.conf["job"]["text"] for run in runs.values()} == {"t1", "t2", "t3"}
    assert {run.triggering_user_name for run in runs.values()} == {"ada"}
    assert all("cwl_grant" in "".join(run.conf) for run in runs.values())
    end_all(dag_id)
    batch = go_on(batch)
    assert (batch.state, batch.counts, batch.progress) == ("success", {"success": 3}, 100)
    assert batch.ended_at is not None
    assert rounds.open_batches().count(batch.id) == 0


def test_runs_are_called_as_their_samples(dag_id: str) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.services.labelling import labels_of

    batch = go_on(make(dag_id, 1, name="Friday, all"))
    (run_id,) = runs_of(dag_id)
    with create_session() as session:
        (label,) = labels_of(session, [(dag_id, run_id)]).values()
    assert (label.title, label.tags) == ("S1", ("Friday  all",))
    assert batch.counts == {"queued": 1}


def test_no_more_runs_at_a_time_than_wanted(dag_id: str) -> None:
    batch = make(dag_id, 5, max_active=2)
    assert (go_on(batch).counts, go_on(batch).counts) == ({"queued": 2, "pending": 3},) * 2
    first = batches.rows(dag_id, batch.id).items[0]
    end(dag_id, first.run_id, "failed")
    assert go_on(batch).counts == {"failed": 1, "queued": 2, "pending": 2}
    for _ in range(3):
        end_all(dag_id)
        batch = go_on(batch)
    assert (batch.state, batch.counts) == ("failed", {"failed": 1, "success": 4})


def test_nothing_starts_while_rows_are_wrong(dag_id: str) -> None:
    text = "sample,text,file\nA,x,\nB,,\nC,x,missing\n"
    with pytest.raises(InvalidSheet, match="2 of 3 rows can't start, so nothing was started") as caught:
        submission(dag_id, text)
    assert [(problem.row, problem.column) for problem in caught.value.found] == [(3, "text"), (4, "file")]
    assert submission(dag_id, text, start="none").batch is None
    assert (runs_of(dag_id), batches.list_of(dag_id).total) == ({}, 0)
    batch = submission(dag_id, text, start="good").batch
    assert batch is not None
    assert states_of(go_on(batch)) == {"A": "queued", "B": "invalid", "C": "invalid"}
    end_all(dag_id)
    batch = go_on(batch)
    assert (batch.state, batch.progress, batch.can_retry) == ("success", 100, False)
    row = batches.rows(dag_id, batch.id, wanted=["invalid"]).items[1]
    assert [problem.message for problem in row.problems] == ["there is no file missing"]


@pytest.mark.parametrize(
    ("text", "more", "error", "said"),
    [
        ("sample,text\nA,\n", {"start": "good"}, InvalidSheet, "No row of the sheet can start"),
        ("sample,other\nA,x\n", {}, InvalidSheet, "No column of the sheet gives an input"),
        ("text\nx\n", {"name": "x" * 101}, BadRequest, "100 characters"),
        ("text\nx\n", {"name": "a\nb"}, BadRequest, "one line"),
        ("text\nx\n", {"name": "a\u202eb"}, BadRequest, "one line"),
        ("text\nx\n", {"max_active": 0}, BadRequest, "1 to 1000"),
        ("text\nx\n", {"start": "some"}, BadRequest, "all, good, none"),
        ("text\nx\n", {"request": "x" * 201}, BadRequest, "200 characters"),
    ],
)
def test_what_can_not_be_is_said(
    dag_id: str, text: str, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        submission(dag_id, text, **more)
    assert batches.list_of(dag_id).total == 0


def test_jobs_that_are_too_long_together(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MAX_JOBS_BYTES", 30)
    with pytest.raises(TooLarge):
        make(dag_id)
    assert batches.list_of(dag_id).total == 0


def test_what_all_rows_have_counts_in_each_before_it_is_checked(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []

    def check_job(_plan: object, job: dict[str, object], *_arguments: object, **_more: object) -> dict[str, object]:
        checked.append(job)
        return job

    monkeypatch.setattr(checking.checks, "check_job", check_job)
    monkeypatch.setattr(checking, "MAX_JOBS_BYTES", 10_000)
    with pytest.raises(TooLarge, match=r"row 11"):
        submission(dag_id, "file\n" + "a\n" * 100, constants={"text": "x" * 1000}, start="none")
    assert len(checked) == 9


def test_what_is_not_there(dag_id: str) -> None:
    batch = make(dag_id, 1)
    for wrong in ((dag_id, "0" * 12), ("other", batch.id)):
        for call in (batches.get, batches.rows, outputs.outputs, outputs.table, outputs.archive):
            with pytest.raises(NotFound):
                call(*wrong)
        with pytest.raises(NotFound):
            batches.stop(*wrong, user="ada")
        with pytest.raises(NotFound):
            batches.retry(*wrong, user="ada", files=shared_only())
    with pytest.raises(NotFound):
        make("no-such-workflow")


def test_a_request_that_is_sent_again_makes_no_second_batch(dag_id: str) -> None:
    first = make(dag_id, request="r1")
    assert make(dag_id, request="r1").id == first.id
    assert make(dag_id, request="r2").id != first.id
    assert make(dag_id, request="r1", user="bob").id != first.id
    with pytest.raises(Conflict, match="Idempotency-Key"):
        make(dag_id, 2, request="r1")
    assert batches.list_of(dag_id).total == 3


def test_a_version_is_kept_to(dag_id: str, add: Callable[..., StoredVersion]) -> None:
    batch = make(dag_id, 3, max_active=1)
    old = batch.version
    newer = add(dag_id, "two", inputs=(*INPUTS, Parameter("more", "int")))
    assert newer.digest != old
    for _ in range(3):
        batch = go_on(batch)
        end_all(dag_id)
    assert (go_on(batch).state, batch.version) == ("success", old)
    assert len(runs_of(dag_id)) == 3


def test_files_that_the_user_might_use_then(dag_id: str, folders: Path) -> None:
    mine = folders / "inputs" / "uploads" / str(uuid.uuid4()) / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("x")
    text = f"sample,text,file\nA,x,{mine}\n"
    with pytest.raises(InvalidSheet, match="1 of 1"):
        submission(dag_id, text)

    class Mine(InputAccess):
        def _owns(self, upload: str) -> bool:
            return upload == mine.parent.name

    batch = submission(dag_id, text, files=Mine("ada", lambda _dag_id: False)).batch
    assert batch is not None
    assert states_of(go_on(batch)) == {"A": "queued"}


def test_only_signed_runs(dag_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable

    from cwl_ui_plugin.signing.keys import generate_key_pair

    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    with pytest.raises(NotVerified, match="no key that it could sign with"):
        make(dag_id)
    pair = generate_key_pair("ES256")
    values = {"jwt_backend_public_key": pair.public, "jwt_backend_crypt_algorithm": "ES256"}
    values["process_sign_private_key"] = pair.private
    for name, value in values.items():
        Variable.set(name, value)
    try:
        batch = make(dag_id, 2, max_active=1)
        (run,) = runs_of(dag_id).values()
        assert run.conf["check_payload"]
        Variable.delete("process_sign_private_key")
        end_all(dag_id)
        batch = go_on(batch)
        assert (batch.state, batch.counts) == ("running", {"success": 1, "pending": 1})
        assert "no key that it could sign with" in str(batch.problem)
        Variable.set("process_sign_private_key", pair.private)
        batch = go_on(batch)
        assert (batch.counts, batch.problem) == ({"success": 1, "queued": 1}, None)
    finally:
        for name in values:
            Variable.delete(name)


def test_rows_show_how_far_their_runs_are(dag_id: str, airflow: Any) -> None:
    batch = go_on(make(dag_id))
    first, second, _third = batches.rows(dag_id, batch.id).items
    for task_id, state in (("CWLJobDispatcher", "success"), ("sort", "failed"), ("count", "upstream_failed")):
        airflow.set_task(dag_id, first.run_id, task_id, state=state)
    airflow.set_run(dag_id, first.run_id, "failed")
    airflow.set_task(dag_id, second.run_id, "sort", state="running")
    page = batches.rows(dag_id, batch.id, limit=2)
    assert (page.total, len(page.items)) == (3, 2)
    first, second = page.items
    assert [(step.label, step.state) for step in first.steps] == [("Step sort", "failed"), ("Step count", "not_run")]
    assert [step.state for step in second.steps] == ["running", "no_status"]
    assert (first.progress, first.state, second.state) == (25, "failed", "queued")
    assert [row.name for row in batches.rows(dag_id, batch.id, wanted=["queued"]).items] == ["S2", "S3"]
    assert [row.name for row in batches.rows(dag_id, batch.id, text="s3").items] == ["S3"]
    assert [row.name for row in batches.rows(dag_id, batch.id, offset=2).items] == ["S3"]


def test_who_waits_for_an_approval_is_seen(dag_id: str, airflow: Any) -> None:
    batch = go_on(make(dag_id, 1))
    (row,) = batches.rows(dag_id, batch.id).items
    airflow.set_task(dag_id, row.run_id, "sort", state="awaiting_input")
    batch = batches.get(dag_id, batch.id)
    assert (batch.state, batch.counts) == ("running", {"waiting": 1})


def test_the_questions_to_the_database_do_not_grow_with_the_rows(dag_id: str, statements: list[str]) -> None:
    counted = []
    for count in (2, 12):
        batch = go_on(make(dag_id, count, max_active=100))
        statements.clear()
        batches.rows(dag_id, batch.id)
        batches.get(dag_id, batch.id)
        batches.list_of(dag_id)
        outputs.outputs(dag_id, batch.id)
        counted.append(len(statements))
    assert counted[0] == counted[1]


def test_no_workflow_is_deleted_before_all_rows_have_begun(dag_id: str) -> None:
    batch = make(dag_id, 2, max_active=1)
    end_all(dag_id)
    with pytest.raises(Conflict, match="has rows that have not begun"):
        details.delete_workflow(dag_id)
    batches.stop(dag_id, batch.id, user="ada")
    details.delete_workflow(dag_id)


def test_the_list_of_batches(dag_id: str) -> None:
    names = [make(dag_id, 1, name=name).name for name in ("one", "two", "three")]
    page = batches.list_of(dag_id, limit=2)
    assert ([batch.name for batch in page.items], page.total) == (["three", "two"], 3)
    assert batches.list_of(dag_id, limit=2, offset=2).items[0].name == names[0]
