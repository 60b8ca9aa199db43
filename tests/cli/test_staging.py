"""The files of a job go to the server with exactly the secondary files that its workflow names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.errors import UsageError
from cwl_ui_plugin.cli.staging import Stager


class Server:
    """Answers as a server that sees no files, or some, and takes down what it gets."""

    def __init__(self, folder: Path, names: list[str], visible: bool = False) -> None:
        self.locations = [(folder / name).as_uri() for name in names]
        self.visible = visible
        self.asked: list[str] = []
        self.sent: list[tuple[str, str]] = []

    def post(self, path: str, **options: Any) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/inputs/visible":
            return {"visible": dict.fromkeys(options["json"]["paths"], self.visible)}
        if path == "/workflows/a%20b/secondary-files":
            return {"locations": self.locations}
        assert path == "/inputs"
        name, folder = options["params"]["name"], options["params"]["folder"]
        b"".join(options["content"])
        self.sent.append((folder, name))
        return {"location": f"file:///srv/{folder}/{name}"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "S1.bam.d" / "deep").mkdir(parents=True)
    for name in ("S1.bam", "S1.bam.bai", "S1.bai", "index_of_S1.bam", "S1.bam.d/x", "S1.bam.d/deep/y"):
        (tmp_path / "data" / name).write_text("")
    for number in range(10, 130):
        (tmp_path / "data" / f"S{number}.bam").write_text("")
    return tmp_path / "data"


def stage(server: Server, job: dict[str, Any], basedir: Path) -> dict[str, Any]:
    return Stager(server, "a b").stage(job, basedir)  # type: ignore[arg-type]


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
