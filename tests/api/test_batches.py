"""Batches by REST: what is taken, what is answered, who may, and what is told of sheets that do not fit."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from support.batches import stop_in_database
from support.stored import set_run

from cwl_ui_plugin.api import large_forms
from cwl_ui_plugin.services.batches import rounds, sheets, starts, stops

SHEET = "sample,text\nA,one\nB,two\nC,three\n"


@pytest.fixture
def address(workflow: str) -> str:
    """The address of the batches of a workflow that needs ``text``."""
    return f"/cwl/api/v1/workflows/{workflow}/batches"


@pytest.fixture
def user(client: Callable[..., Any]) -> Any:
    return client("user")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop runs in the database alone: there are no processes."""
    monkeypatch.setattr(stops.stops, "stop_run", stop_in_database)


def post(user: Any, address: str, text: str | bytes = SHEET, filename: str = "s.csv", **more: Any) -> Any:
    headers = more.pop("headers", None)
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in more.items()}
    return user.post(address, files={"sheet": (filename, text)}, data=fields, headers=headers)


def go_on(batch_id: str) -> None:
    starts.start_some(batch_id)
    rounds.note_end(batch_id)


def test_made_shown_stopped_and_started_again(address: str, user: Any, workflow: str) -> None:
    made = post(user, address, name="Friday", mapping={"text": "text"}, max_active="2")
    assert made.status_code == 201, made.text
    body = made.json()
    batch_id = body.pop("batch_id")
    assert body == {
        "rows": 3,
        "bad": 0,
        "problems": [],
        "mapping": {"text": "text"},
        "name_column": "sample",
        "unused": [],
    }
    go_on(batch_id)
    shown = user.get(f"{address}/{batch_id}").json()
    assert (shown["state"], shown["counts"], shown["user"]) == ("running", {"queued": 2, "pending": 1}, "the-user")
    assert [(row["number"], row["name"], row["state"]) for row in shown["rows"]] == [
        (2, "A", "queued"),
        (3, "B", "queued"),
        (4, "C", "pending"),
    ]
    assert shown["rows"][0]["steps"] == [{"id": "say", "label": "say", "state": "no_status"}]
    part = user.get(f"{address}/{batch_id}?state=queued&limit=1&offset=1").json()
    assert ([row["name"] for row in part["rows"]], part["matching"]) == (["B"], 2)
    set_run(workflow, shown["rows"][0]["run_id"], "success")
    stopped = user.post(f"{address}/{batch_id}/stop").json()
    assert (stopped["changed"], stopped["batch"]["state"]) == (2, "stopped")
    assert stopped["batch"]["stopped_by"] == "the-user"
    again = user.post(f"{address}/{batch_id}/retry", json={"rows": [3]}).json()
    assert (again["changed"], again["batch"]["counts"]) == (1, {"success": 1, "pending": 1, "stopped": 1})
    assert user.post(f"{address}/{batch_id}/retry").json()["changed"] == 1
    listed = user.get(address).json()
    assert ([batch["id"] for batch in listed["batches"]], listed["total"]) == ([batch_id], 1)
    run = user.get(f"/cwl/api/v1/workflows/{workflow}/runs/{shown['rows'][0]['run_id']}").json()
    assert (run["title"], run["tags"], run["job"]) == ("A", ["Friday"], {"text": "one"})


def test_rows_that_are_wrong(address: str, user: Any) -> None:
    text = "sample,text,more\nA,one,\nB,,\nB,two,\n"
    refused = post(user, address, text)
    assert refused.status_code == 422
    assert refused.json() == {
        "detail": "2 of 3 rows can't start, so nothing was started. Correct them, or start the good ones alone.",
        "problems": [
            {"row": 3, "column": "text", "message": "this input is required; give it a value of type string"},
            {"row": 4, "column": "sample", "message": "the sample 'B' is in row 3 already"},
        ],
        "batch_id": None,
        "rows": 3,
    }
    checked = post(user, address, text, start="none")
    assert checked.status_code == 200
    assert (checked.json()["batch_id"], checked.json()["bad"], checked.json()["unused"]) == (None, 2, ["more"])
    assert user.get(address).json()["total"] == 0
    good = post(user, address, text, start="good")
    assert (good.status_code, good.json()["rows"], good.json()["bad"]) == (201, 3, 2)
    assert len(good.json()["problems"]) == 2


@pytest.mark.parametrize(
    ("text", "more", "status", "said"),
    [
        ("", {}, 422, "The sheet is empty"),
        ("größe,text\nA,ö\n".encode("latin-1"), {}, 422, "not UTF-8"),
        ('sample,text\nA,"x\n', {}, 422, "not closed"),
        (b"PK\x03\x04", {}, 422, "damaged"),
        ("sample,other\nA,x\n", {}, 422, "No column of the sheet gives an input"),
        (SHEET, {"mapping": "{"}, 400, "The mapping is no valid JSON"),
        (SHEET, {"mapping": "[]"}, 400, "must be a JSON object"),
        (SHEET, {"mapping": {"text": "nope"}}, 400, "no input 'nope'"),
        (SHEET, {"mapping": {"nope": "text"}}, 400, "no such column"),
        (SHEET, {"constants": {"nope": 1}}, 400, "no such input"),
        (SHEET, {"constants": "{" * 500}, 400, "no valid JSON"),
        (SHEET, {"name_column": "nope"}, 400, "no such column"),
        (SHEET, {"start": "some"}, 422, "start"),
        (SHEET, {"max_active": "0"}, 400, "1 to 1000"),
        (SHEET, {"max_active": "x"}, 422, "max_active"),
        (SHEET, {"name": "x" * 200}, 400, "100 characters"),
        (SHEET, {"headers": {"Idempotency-Key": "x" * 300}}, 400, "200 characters"),
        (SHEET, {"table": "a\nb\n"}, 400, "either a sheet"),
    ],
)
def test_what_is_wrong_is_said(
    address: str, user: Any, text: str | bytes, more: dict[str, Any], status: int, said: str
) -> None:
    refused = post(user, address, text, **more)
    assert (refused.status_code, said in refused.text) == (status, True), refused.text
    assert user.get(address).json()["total"] == 0


def test_a_table_that_is_pasted(address: str, user: Any) -> None:
    assert user.post(address, data={"table": "sample\ttext\nA\tone\n"}).status_code == 201
    assert user.post(address).status_code == 400


@pytest.mark.parametrize("is_multipart", [True, False])
def test_a_table_that_is_pasted_may_be_as_large_as_a_file(
    address: str, user: Any, monkeypatch: pytest.MonkeyPatch, is_multipart: bool
) -> None:
    table = "sample,text\nA,one\n" + (" " * 100_000 + ",") * 12

    def check() -> Any:
        if is_multipart:
            return user.post(address, files={"start": (None, "none"), "table": (None, table)})
        return user.post(address, data={"start": "none", "table": table})

    checked = check()
    assert (checked.status_code, checked.json()["rows"]) == (200, 1), checked.text
    monkeypatch.setattr(large_forms, "MAX_BYTES", 1_100_000)
    refused = check()
    assert (refused.status_code, "Send a file" in refused.text) == (413, True), refused.text


def test_sheets_that_are_too_large(address: str, user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MAX_BYTES", 10)
    assert post(user, address).status_code == 413


def test_a_request_sent_again(address: str, user: Any) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = (post(user, address, headers=headers).json()["batch_id"] for _ in range(2))
    assert first == second
    assert post(user, address, "text\nx\n", headers=headers).status_code == 409


def test_who_may(address: str, client: Callable[..., Any], user: Any, workflow: str) -> None:
    batch_id = post(user, address).json()["batch_id"]
    viewer = client("viewer")
    assert post(viewer, address).status_code == 403
    for action in ("stop", "retry"):
        assert viewer.post(f"{address}/{batch_id}/{action}").status_code == 403
        assert client().post(f"{address}/{batch_id}/{action}").status_code == 401
    for path in ("", f"/{batch_id}", f"/{batch_id}/outputs", f"/{batch_id}/outputs?format=csv", f"/{batch_id}/zip"):
        assert viewer.get(address + path).status_code == 200
        assert client().get(address + path).status_code == 401
    other = address.replace(workflow, "other")
    assert viewer.get(f"{other}/{batch_id}").status_code == 404


def test_rows_to_start_again_are_not_without_number(address: str, user: Any) -> None:
    batch_id = post(user, address).json()["batch_id"]
    assert user.post(f"{address}/{batch_id}/retry", json={"rows": [2] * 100_001}).status_code == 422


def test_no_other_site_makes_a_batch_with_the_cookie_of_a_user(address: str, client: Callable[..., Any]) -> None:
    answered = client("user", cookie=True).post(
        address, data={"table": "text\nx\n"}, headers={"Origin": "https://evil.example"}
    )
    assert answered.status_code == 403


def test_outputs(address: str, user: Any, workflow: str, folders: Any) -> None:
    from support.stored import push

    batch_id = post(user, address).json()["batch_id"]
    go_on(batch_id)
    first = user.get(f"{address}/{batch_id}").json()["rows"][0]
    path = folders / "outputs" / workflow / first["run_id"] / "said.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("=one")
    push(
        workflow,
        first["run_id"],
        "CWLJobGatherer",
        "return_value",
        {"said": {"class": "File", "location": path.as_uri()}},
    )
    set_run(workflow, first["run_id"], "success")
    found = user.get(f"{address}/{batch_id}/outputs").json()
    assert (found["total"], found["outputs"][0]["outputs"]["said"]["class"]) == (3, "File")
    assert [row["outputs"] for row in found["outputs"][1:]] == [None, None]
    table = user.get(f"{address}/{batch_id}/outputs?format=csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert "attachment" in table.headers["content-disposition"]
    assert [row[:3] for row in csv.reader(io.StringIO(table.text))][1:3] == [
        ["2", "A", "success"],
        ["3", "B", "queued"],
    ]
    with zipfile.ZipFile(io.BytesIO(user.get(f"{address}/{batch_id}/zip").content)) as archive:
        assert archive.namelist() == ["A/said.txt"]


def test_the_sheet_to_begin_with(address: str, user: Any) -> None:
    sheet = user.get(address.replace("/batches", "/sample-sheet"))
    assert sheet.text == "sample,text\r\nsample1,text\r\n"
    workbook = user.get(address.replace("/batches", "/sample-sheet?format=xlsx"))
    assert post(user, address, workbook.content, "s.xlsx").status_code == 201
    assert user.get(address.replace("/batches", "/sample-sheet?format=ods")).status_code == 422


def test_two_hundred_rows_with_three_bad_ones(address: str, user: Any) -> None:
    lines = [f"S{number},{'' if number in (5, 50, 150) else number}" for number in range(1, 201)]
    refused = post(user, address, "sample,text\n" + "\n".join(lines))
    assert [problem["row"] for problem in refused.json()["problems"]] == [6, 51, 151]
    good = post(user, address, "sample,text\n" + "\n".join(lines), start="good")
    batch = user.get(f"{address}/{good.json()['batch_id']}").json()
    assert (batch["total"], batch["counts"]["invalid"], batch["matching"]) == (200, 3, 200)
