"""The files of a job go to the server with exactly the secondary files that its workflow names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cwl_ui_client import staging
from cwl_ui_client.errors import Conflict, Unreachable, UsageError
from cwl_ui_client.models import Progress
from cwl_ui_client.staging import Stager, send_file
from cwl_ui_client.steps import Answer, Download, Pause, Request, drive
from support.flows import answer


class Server:
    """Answers as a server that sees no files, or some, and takes down what it gets."""

    def __init__(self, folder: Path, names: list[str], visible: bool = False) -> None:
        self.locations = [(folder / name).as_uri() for name in names]
        self.visible = visible
        self.asked: list[str] = []
        self.sent: list[tuple[str, str]] = []

    def __call__(self, step: Request | Download | Pause) -> Answer:
        assert isinstance(step, Request)
        self.asked.append(step.path)
        if step.path == "/inputs/visible":
            return answer({"visible": dict.fromkeys(step.json["paths"], self.visible)})
        if step.path == "/workflows/a%20b/secondary-files":
            return answer({"locations": self.locations})
        assert step.path == "/inputs" and step.params
        name, folder = step.params["name"], step.params["folder"]
        self.sent.append((folder, name))
        return answer({"location": f"file:///srv/{folder}/{name}"})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "S1.bam.d" / "deep").mkdir(parents=True)
    for name in ("S1.bam", "S1.bam.bai", "S1.bai", "index_of_S1.bam", "S1.bam.d/x", "S1.bam.d/deep/y"):
        (tmp_path / "data" / name).write_text("")
    for number in range(10, 130):
        (tmp_path / "data" / f"S{number}.bam").write_text("")
    return tmp_path / "data"


def stage(server: Server, job: dict[str, Any], basedir: Path) -> dict[str, Any]:
    return drive(Stager("a b").stage(job, basedir), server)


def test_what_is_named_is_sent_beside_the_file_and_nothing_else(data: Path) -> None:
    server = Server(data, ["S1.bam.bai", "index_of_S1.bam", "not-there", "S1.bam.d"])
    staged = stage(server, {"bam": {"class": "File", "location": "data/S1.bam"}, "n": 1}, data.parent)
    assert {name for _folder, name in server.sent} == {
        "S1.bam",
        "S1.bam.bai",
        "index_of_S1.bam",
        "S1.bam.d/x",
        "S1.bam.d/deep/y",
    }
    assert len({folder for folder, _name in server.sent}) == 1
    assert staged["bam"]["location"].endswith("/S1.bam")
    assert staged["n"] == 1


def test_files_that_the_server_sees_are_not_sent_nor_asked_about(data: Path) -> None:
    server = Server(data, ["S1.bam.bai"], visible=True)
    stage(server, {"bam": {"class": "File", "path": str(data / "S1.bam")}}, data)
    assert (server.asked, server.sent) == (["/inputs/visible"], [])


def test_secondary_files_of_the_job_itself_are_sent_once(data: Path) -> None:
    server = Server(data, ["S1.bam.bai"])
    given = [{"class": "File", "location": "S1.bam.bai"}]
    stage(server, {"bam": {"class": "File", "location": "S1.bam", "secondaryFiles": given}}, data)
    assert sorted(name for _folder, name in server.sent) == ["S1.bam", "S1.bam.bai"]


def test_empty_folders_of_a_folder_are_kept(data: Path) -> None:
    (data / "S1.bam.d" / "empty" / "deeper").mkdir(parents=True)
    server = Server(data, [])
    staged = stage(server, {"d": {"class": "Directory", "location": "data/S1.bam.d"}}, data.parent)

    def names(item: dict[str, Any]) -> Any:
        if item["class"] == "File":
            return item["location"].rpartition("/")[2]
        return {item["basename"]: [names(entry) for entry in item["listing"]]}

    assert names(staged["d"]) == {"S1.bam.d": [{"deep": ["y"]}, {"empty": [{"deeper": []}]}, "x"]}
    assert sorted(name for _folder, name in server.sent) == ["S1.bam.d/deep/y", "S1.bam.d/x"]


def test_links_to_folders_are_followed_to_their_end(data: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z").write_text("")
    (data / "S1.bam.d" / "linked").symlink_to(tmp_path / "elsewhere")
    server, job = Server(data, []), {"d": {"class": "Directory", "location": "data/S1.bam.d"}}
    stage(server, job, data.parent)
    assert sorted(name for _folder, name in server.sent) == ["S1.bam.d/deep/y", "S1.bam.d/linked/z", "S1.bam.d/x"]
    (data / "S1.bam.d" / "deep" / "up").symlink_to("..")
    with pytest.raises(UsageError, match="it has no end"):
        stage(Server(data, []), job, data.parent)


def test_a_path_stands_for_a_file_or_a_folder(data: Path) -> None:
    server = Server(data, [], visible=True)
    staged = stage(server, {"files": [data / "S1.bam"], "d": data / "S1.bam.d"}, data)
    assert staged["files"][0] == {"class": "File", "location": (data / "S1.bam").as_uri()}
    assert staged["d"]["class"] == "Directory"


FILE = {"class": "File", "location": "file:///x"}


class Parts:
    """Takes a file in parts; what goes wrong with each is said before."""

    def __init__(self, *troubles: str) -> None:
        self.troubles = list(troubles)
        self.content = b""
        self.size = 0
        self.pauses = 0

    def __call__(self, step: Request | Download | Pause) -> Answer | None:
        if isinstance(step, Pause):
            self.pauses += 1
            return None
        assert isinstance(step, Request)
        if step.path == "/inputs/parts":
            assert step.params
            self.size = int(step.params["size"])
        elif step.method == "PUT":
            self.take(step)
        return answer(self.state())

    def take(self, step: Request) -> None:
        assert step.params and step.content is not None
        trouble = self.troubles.pop(0) if self.troubles else "none"
        if trouble == "lost":
            raise Unreachable("The request got lost.")
        if int(step.params["offset"]) != len(self.content):
            raise Conflict("That is not what has arrived.")
        self.content += step.content
        if trouble == "silent":
            raise Unreachable("The answer got lost.")

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"id": "an id", "size": self.size, "received": len(self.content)}
        return (
            {**state, "file": {"class": "File", "location": "file:///x"}} if self.size == len(self.content) else state
        )


@pytest.mark.parametrize("troubles", [[], ["lost"], ["silent"], ["none", "silent", "lost"], ["lost"] * 9])
def test_a_large_file_is_resumed_where_the_server_has_got_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, troubles: list[str]
) -> None:
    monkeypatch.setattr(staging, "PART_BYTES", 10)
    path, told, server = tmp_path / "x", list[Progress](), Parts(*troubles)
    path.write_bytes(bytes(range(35)))
    sent = drive(send_file(path, report=told.append), server)
    assert (server.content, sent["location"]) == (bytes(range(35)), "file:///x")
    assert [item.fraction for item in told] == sorted(item.fraction or 0 for item in told)
    assert told[-1].fraction == 1.0
    assert server.pauses == len([trouble for trouble in troubles if trouble != "none"])


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        drive(send_file(tmp_path / "none"), Parts())


def test_an_address_that_is_none_is_for_the_server_to_refuse(data: Path) -> None:
    staged = stage(Server(data, []), {"f": {"class": "File", "location": "http://[x"}}, data)
    assert staged["f"]["location"] == "http://[x"
    with pytest.raises(UsageError, match="no address of a file"):
        stage(Server(data, []), {"f": {"class": "File", "location": "file://[x"}}, data)


def test_sending_is_given_up_where_nothing_arrives_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "PART_BYTES", 10)
    path, server = tmp_path / "x", Parts(*["lost"] * 1000)
    path.write_bytes(bytes(11))
    with pytest.raises(Unreachable):
        drive(send_file(path), server)
    assert server.pauses == staging.PATIENCE - 1
