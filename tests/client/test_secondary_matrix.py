"""What is sent beside a file, whatever it is called, whatever lies beside it, however a document names what it needs.

The server's answer is the real one, by cwltool, here within this process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cwl_ui_client.staging import Stager
from cwl_ui_client.steps import Answer, Download, Pause, Request, drive
from support.flows import answer

from cwl_ui_plugin.cwl.compiler.compiling import compile_document
from cwl_ui_plugin.cwl.engine import secondary_names

PATTERNS: dict[str, tuple[Any, Callable[[str], list[str]]]] = {
    "appended": ([".bai"], lambda name: [f"{name}.bai"]),
    "instead of the end": (["^.bai"], lambda name: [f"{name.rpartition('.')[0]}.bai"]),
    "instead of two ends": (["^^.dict"], lambda name: [f"{name.partition('.')[0]}.dict"]),
    "optional": (
        [".bai?", {"pattern": ".csi", "required": False}, ".not?"],
        lambda name: [f"{name}.bai", f"{name}.csi"],
    ),
    "a folder": ([".d"], lambda name: [f"{name}.d/x", f"{name}.d/sub/y"]),
    "an expression": (['$("index_of_" + self.basename)'], lambda name: [f"index_of_{name}"]),
    "an expression that gives several": (
        ["${ return [self.basename + '.bai', {class: 'File', location: self.location + '.csi', basename: 'b'}]; }"],
        lambda name: [f"{name}.bai", f"{name}.csi"],
    ),
    "an expression that gives none": (["$(null)"], lambda _name: []),
    "in a folder beside": (['$("sub/" + self.nameroot + ".idx")'], lambda name: [f"sub/{name.rpartition('.')[0]}.idx"]),
    "none": ([], lambda _name: []),
}
NAMES = ("S1.b.bam", "a b.c.bam", "e\u0301\u00e9 \U0001f9ec.s.bam", "-x.y.bam", "[a]*.z.bam")
SIBLINGS = (0, 120)
TYPES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "File": ("File", lambda item: item),
    "File?": ("File?", lambda item: item),
    "File[]": ("File[]", lambda item: [item]),
    "nested": ({"type": "array", "items": {"type": "array", "items": "File"}}, lambda item: [[item]]),
}


class Server:
    """Sees no files; answers with what cwltool says, and takes down what is sent, by folder."""

    def __init__(self, compiled: Path, source: Path) -> None:
        self.compiled, self.source = compiled, source
        self.sent: dict[str, set[str]] = {}

    def __call__(self, step: Request | Download | Pause) -> Answer:
        assert isinstance(step, Request)
        if step.path == "/inputs/visible":
            return answer({"visible": {}})
        if step.path.endswith("/secondary-files"):
            job = step.json["job"]
            return answer({"locations": secondary_names.secondary_locations(self.compiled, self.source, job)})
        assert step.params
        name, folder = step.params["name"], step.params["folder"]
        self.sent.setdefault(folder, set()).add(name)
        return answer({"location": f"file:///srv/{folder}/{quote(name)}"})


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, int]]:
    """Files that have all that any pattern names beside them, and how many files of similar names; none is written."""
    made = []
    for number, (name, siblings) in enumerate(product(NAMES, SIBLINGS)):
        folder = tmp_path_factory.mktemp(f"data {number}")
        lay_out(folder, name, siblings)
        made.append((folder / name, siblings))
    return made


@pytest.mark.usefixtures("ask_here")
@pytest.mark.parametrize("declared", TYPES)
@pytest.mark.parametrize("kind", PATTERNS)
def test_exactly_what_is_named_is_sent_together(
    tmp_path: Path, laid_out: list[tuple[Path, int]], kind: str, declared: str
) -> None:
    patterns, expected = PATTERNS[kind]
    cwl_type, wrapped = TYPES[declared]
    tool = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "baseCommand": "true",
        "requirements": {"InlineJavascriptRequirement": {}},
        "inputs": {"f": {"type": cwl_type, "secondaryFiles": patterns}},
        "outputs": {},
    }
    (tmp_path / "source").mkdir()
    (tmp_path / "source/main.cwl").write_text(json.dumps(tool))
    compile_document(tmp_path / "source", "main.cwl", tmp_path / "compiled")
    for path, siblings in laid_out:
        server = Server(tmp_path / "compiled", tmp_path / "source")
        item = {"class": "File", "location": path.as_uri()}
        staged = drive(Stager("x").stage({"f": wrapped(item)}, tmp_path), server)
        assert list(server.sent.values()) == [{path.name, *expected(path.name)}], (path.name, siblings)
        assert quote(path.name) in json.dumps(staged)


def lay_out(folder: Path, name: str, siblings: int) -> None:
    """Put a file into a folder with all that any pattern names, and with others of similar names."""
    stem, short = name.rpartition(".")[0], name.partition(".")[0]
    wanted = (f"{name}.bai", f"{stem}.bai", f"{short}.dict", f"index_of_{name}", f"{name}.csi", f"sub/{stem}.idx")
    others = [f"{short}{number}{name[len(short) :]}" for number in range(siblings)]
    inside = (f"{name}.d/x", f"{name}.d/sub/y")
    for path in (name, *wanted[:4], *(wanted[4:]), *inside, *others, *(f"{other}.bai" for other in others)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
