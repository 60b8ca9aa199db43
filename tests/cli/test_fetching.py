"""A Directory of outputs comes whole from a server elsewhere, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.client import Answer
from cwl_ui_plugin.cli.errors import ServerError
from cwl_ui_plugin.cli.fetching import Fetcher

FOLDER = {"class": "Directory", "location": "file:///srv/out/d/r/folder"}


class Server:
    """A server on another machine with a folder of outputs, which it lists in parts."""

    url = "http://elsewhere.example"

    def __init__(self, count: int, part: int = 10_000, missing: int | None = None, *, says_total: bool = True) -> None:
        self.names = [f"folder/{number}.txt" for number in range(count)] + ["other.txt"]
        self.part, self.missing, self.says_total = part, missing, says_total
        self.asked: list[int] = []

    def request(self, _method: str, path: str, *, params: dict[str, str]) -> Answer:
        assert path == "/cwl/api/v1/workflows/d/runs/r/files"
        offset = int(params["offset"])
        self.asked.append(offset)
        listed = [
            {"path": name}
            for number, name in enumerate(self.names[offset : offset + self.part], offset)
            if number != self.missing
        ]
        return Answer(200, "OK", json.dumps(listed).encode(), len(self.names) if self.says_total else None)

    def download(self, _path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")


def fetch(server: Any, outdir: Path) -> list[str]:
    Fetcher(server, "d", "r", outdir).fetch({"out": FOLDER, "again": [FOLDER]})
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
