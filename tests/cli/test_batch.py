"""``cwl-ui-plugin batch`` sends what the REST API takes, and says clearly what is wrong with how it was called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli import batch
from cwl_ui_plugin.cli.client import Answer, problem_lines
from cwl_ui_plugin.cli.main import main

MADE = {
    "batch_id": "b1",
    "rows": 2,
    "bad": 1,
    "problems": [{"row": 3, "column": "x", "message": "wrong"}],
    "mapping": {"x": "reads.0"},
    "name_column": "sample",
    "unused": ["y"],
}
BATCH = {"name": "Friday", "state": "running", "progress": 0, "counts": {"running": 2}, "total": 2, "problem": None}
ROW = {"number": 2, "name": "A", "state": "failed", "run_id": "r1", "problems": []}


class FakeClient:
    """Answers as the server would, and remembers what was asked."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.sent: list[tuple[str, str, Any]] = []

    def request(self, method: str, path: str, *, form: dict[str, Any], timeout: float = 0) -> Answer:
        self.sent.append((method, path, form))
        made = {**MADE, "batch_id": None} if form["start"] == "none" else MADE
        return Answer(201, "Created", json.dumps(made).encode())

    def post(self, path: str, *, json: Any = None, timeout: float = 0) -> Any:
        self.sent.append(("POST", path, json))
        return {"changed": 2, "batch": BATCH}

    def get(self, path: str, params: dict[str, str] | None = None) -> Any:
        self.sent.append(("GET", path, params))
        if path.endswith("/batches"):
            return {"batches": [{**BATCH, "id": "b1"}]}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {**BATCH, "state": state, "rows": [ROW]}

    def download(self, path: str, target: Path) -> None:
        self.sent.append(("GET", path, target.name))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    made = FakeClient("running", "success")
    monkeypatch.setattr(batch.Client, "of", lambda _arguments: made)
    monkeypatch.setattr(batch.time, "sleep", lambda _seconds: None)
    return made


@pytest.fixture
def sheet(tmp_path: Path) -> str:
    path = tmp_path / "samples.csv"
    path.write_text("sample,x\nA,1\n")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "missing.csv can't be read: No such file"),
        (["SHEET", "--stop", "b1"], "either a sheet, or"),
        (["--outputs", "b1"], "--to"),
        (["--template", "x.ods"], ".csv or .xlsx"),
        (["SHEET", "--map", "x"], "--map x: write NAME=VALUE"),
        (["SHEET", "--constant", "=x"], "write NAME=VALUE"),
        (["--retry", "b1", "--rows", "1,x"], "numbers of rows"),
    ],
)
def test_wrong_calls(
    client: FakeClient, sheet: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["batch", "d", *(sheet if word == "SHEET" else word for word in arguments)]) == 2
    assert said in capsys.readouterr().err
    assert client.sent == []


def test_a_batch_is_made(client: FakeClient, sheet: str, capsys: pytest.CaptureFixture[str]) -> None:
    constants = ["--constant", "level=5", "--constant", "text=x y", "--constant", "empty="]
    assert main(["batch", "a/b", sheet, *constants, "--start", "good", "--max-active", "3"]) == 0
    ((method, path, form),) = client.sent
    assert (method, path) == ("POST", "/cwl/api/v1/workflows/a%2Fb/batches")
    assert form["sheet"] == ("samples.csv", b"sample,x\nA,1\n")
    assert json.loads(form["constants"]) == {"level": 5, "text": "x y", "empty": ""}
    assert {name: form[name] for name in form if name not in ("sheet", "constants")} == {
        "start": "good",
        "max_active": "3",
    }
    printed = capsys.readouterr()
    assert printed.out == "b1\n"
    assert printed.err.splitlines() == [
        "row 3, column x: wrong",
        "2 rows, 1 of them wrong. Columns: x → reads.0",
        "Columns that are not used: y",
    ]


def test_what_is_mapped_by_hand_is_put_over_what_is_guessed(client: FakeClient, sheet: str) -> None:
    assert main(["batch", "d", sheet, "--map", "y=text", "--map", "x="]) == 0
    first, second = (form for _method, _path, form in client.sent)
    assert (first["start"], "mapping" in first) == ("none", False)
    assert (second["start"], json.loads(second["mapping"])) == ("all", {"x": "", "y": "text"})


def test_a_column_that_is_mapped_by_hand_takes_the_place_of_one_that_is_guessed(client: FakeClient, sheet: str) -> None:
    assert main(["batch", "d", sheet, "--map", "y=reads.0"]) == 0
    assert json.loads(client.sent[-1][2]["mapping"]) == {"y": "reads.0"}


def test_a_check_alone_says_whether_rows_are_wrong(client: FakeClient, sheet: str) -> None:
    assert main(["batch", "d", sheet, "--start", "none"]) == 1


@pytest.mark.parametrize(
    ("states", "code"), [(["running", "success"], 0), (["running", "failed"], 1), (["stopped"], 1)]
)
def test_waiting(
    client: FakeClient, sheet: str, capsys: pytest.CaptureFixture[str], states: list[str], code: int
) -> None:
    client.states = states
    assert main(["batch", "d", sheet, "--wait"]) == code
    assert capsys.readouterr().out == "b1\n2\tA\tfailed\tr1\n"


def test_others_are_asked_for_by_their_ids(client: FakeClient, tmp_path: Path) -> None:
    assert main(["batch", "d"]) == 0
    assert main(["batch", "d", "--show", "b1"]) == 0
    assert main(["batch", "d", "--stop", "b1"]) == 0
    assert main(["batch", "d", "--retry", "b1", "--rows", "2,3"]) == 0
    assert main(["batch", "d", "--outputs", "b1", "--to", str(tmp_path / "x.csv")]) == 0
    assert main(["batch", "d", "--outputs", "b1", "--to", str(tmp_path / "x.zip")]) == 0
    assert main(["batch", "d", "--template", str(tmp_path / "t.xlsx")]) == 0
    below = "/workflows/d/batches/b1"
    asked = [(method, path) for method, path, _sent in client.sent]
    assert ("POST", f"{below}/stop") in asked
    assert ("POST", f"{below}/retry", {"rows": [2, 3]}) in client.sent
    assert asked[-3:] == [
        ("GET", f"{below}/outputs?format=csv"),
        ("GET", f"{below}/zip"),
        ("GET", "/workflows/d/sample-sheet?format=xlsx"),
    ]


def test_problems_of_sheets_are_told_by_row_and_column() -> None:
    problems = [{"row": 2, "column": None, "message": "all of it"}, {"row": 3, "column": "x", "message": "that"}]
    assert problem_lines({"problems": problems}) == ["row 2: all of it", "row 3, column x: that"]
