"""A Directory of outputs comes whole from a server elsewhere, or not at all."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from cwl_ui_client import fetching
from cwl_ui_client.errors import DownloadError, ServerError
from cwl_ui_client.fetching import Fetcher
from cwl_ui_client.steps import Answer, Download, Pause, Request, drive
from support.flows import answer

FOLDER = {"class": "Directory", "location": "file:///srv/out/d/r/folder"}


class Server:
    """A server on another machine with a folder of outputs, which it lists in parts."""

    url = "http://elsewhere.example"

    def __init__(self, count: int, part: int = 10_000, missing: int | None = None, *, says_total: bool = True) -> None:
        self.names = [f"folder/{number}.txt" for number in range(count)] + ["other.txt"]
        self.part, self.missing, self.says_total = part, missing, says_total
        self.asked: list[int] = []
        self.sent: list[str] = []

    def __call__(self, step: Request | Download | Pause) -> Answer | str:
        if isinstance(step, Download):
            self.sent.append(step.path)
            step.target.write_text("x")
            return hashlib.sha1(b"x").hexdigest()
        assert isinstance(step, Request) and step.params
        assert step.path == "/workflows/d/runs/r/files"
        offset = int(step.params["offset"])
        self.asked.append(offset)
        listed = [
            {"path": name}
            for number, name in enumerate(self.names[offset : offset + self.part], offset)
            if number != self.missing
        ]
        return answer(listed, len(self.names) if self.says_total else None)


def fetch(server: Any, outdir: Path) -> list[str]:
    drive(Fetcher(server.url, "d", "r", outdir).fetch({"out": FOLDER, "again": [FOLDER]}), server)
    return sorted(path.name for path in (outdir / "folder").iterdir())


@pytest.mark.parametrize(("count", "part", "asked"), [(25, 10, [0, 10, 20]), (9, 10, [0]), (19, 10, [0, 10])])
def test_all_parts_of_a_list_are_asked_for_once(tmp_path: Path, count: int, part: int, asked: list[int]) -> None:
    server = Server(count, part)
    assert len(fetch(server, tmp_path)) == count
    assert server.asked == asked


@pytest.mark.parametrize("missing", [0, 5, 24, 25])
def test_a_list_that_lacks_a_file_is_an_error(tmp_path: Path, missing: int) -> None:
    with pytest.raises(ServerError, match="of the 26 output files; try again"):
        fetch(Server(25, 10, missing), tmp_path)


def test_a_server_that_says_no_total_is_taken_at_its_word(tmp_path: Path) -> None:
    assert len(fetch(Server(9, says_total=False), tmp_path)) == 9


@pytest.mark.parametrize("wrong", [{"checksum": f"sha1${'0' * 40}"}, {"size": 2}])
def test_a_file_that_arrives_otherwise_is_an_error_and_does_not_stay(tmp_path: Path, wrong: dict[str, Any]) -> None:
    good = {"class": "File", "location": "file:///srv/out/d/r/a.txt", "size": 1}
    good["checksum"] = f"sha1${hashlib.sha1(b'x').hexdigest()}"
    fetched = drive(Fetcher("http://elsewhere.example", "d", "r", tmp_path).fetch({"a": good}), Server(1))
    assert (tmp_path / "a.txt").read_text() == "x"
    assert fetched["a"]["path"] == str(tmp_path / "a.txt")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DownloadError, match="has not arrived as it is on the server"):
        drive(Fetcher("http://elsewhere.example", "d", "r", tmp_path).fetch({"a": {**good, **wrong}}), Server(1))
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_run_has_left_is_not_taken_for_an_output(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.txt", "folder/0.txt"):
        (tmp_path / name).write_text("old")
    server, file = Server(1), {"class": "File", "location": "file:///srv/out/d/r/a.txt"}
    drive(Fetcher(server.url, "d", "r", tmp_path).fetch([file, FOLDER, file, FOLDER]), server)
    assert [(tmp_path / name).read_text() for name in ("a.txt", "folder/0.txt")] == ["x", "x"]
    assert len(server.sent) == 2, "what is named twice is fetched once"


def test_what_this_user_may_not_read_comes_from_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, server = tmp_path / "out" / "d" / "r", Server(1)
    (made / "folder").mkdir(parents=True)
    for name in ("a.txt", "folder/0.txt"):
        (made / name).write_text("x")

    def refused(*_arguments: object, **_more: object) -> None:
        raise shutil.Error([])

    outputs = [
        {"class": "File", "location": (made / "a.txt").as_uri()},
        {"class": "Directory", "location": (made / "folder").as_uri()},
    ]
    for place in ("copied", "sent"):
        found = drive(Fetcher("http://localhost", "d", "r", tmp_path / place).fetch(outputs), server)
        assert Path(found[1]["path"], "0.txt").read_text() == Path(found[0]["path"]).read_text() == "x"
        assert len(server.sent) == (0 if place == "copied" else 2)
        monkeypatch.setattr(fetching.os, "access", lambda *_arguments: False)
        monkeypatch.setattr(fetching.shutil, "copytree", refused)


@pytest.mark.parametrize(
    "location", ["file:///srv/out/d/r/../../x", "file:///etc/passwd", "file:///srv/out/d/r/%2e%2e/x"]
)
def test_a_server_does_not_say_where_files_go(tmp_path: Path, location: str) -> None:
    with pytest.raises(ServerError, match="outside of the run's folder"):
        outputs = {"a": {"class": "File", "location": location}}
        drive(Fetcher("http://elsewhere.example", "d", "r", tmp_path).fetch(outputs), Server(1))


def test_outputs_in_a_folder_of_the_runs_own_are_fetched(tmp_path: Path) -> None:
    """As with ``output_folder`` in its job: the server says which folder that is, and nothing leads out of it."""
    source, server = "file:///data/my%20results", Server(2)
    outputs = {"a": {"class": "File", "location": f"{source}/other.txt"}}
    outputs["b"] = {"class": "Directory", "location": f"{source}/folder"}
    drive(Fetcher(server.url, "d", "r", tmp_path, source=source).fetch(outputs), server)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.txt")) == [
        "folder/0.txt",
        "folder/1.txt",
        "other.txt",
    ]
    for location in (f"{source}/../x", f"{source}2/x", f"{source}/%2e%2e/x", source):
        with pytest.raises(ServerError, match="outside of the run's folder"):
            outputs = {"a": {"class": "File", "location": location}}
            drive(Fetcher(server.url, "d", "r", tmp_path, source=source).fetch(outputs), server)
