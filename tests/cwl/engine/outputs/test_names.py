"""Outputs of one name get names of their own, and all of what a run has made is delivered, in any form."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compiled_run import run_compiled
from support.deliveries import Maker, Object, compare, delivered, listed, names

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine.outputs import targets
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.engine.outputs.targets import Targets
from cwl_ui_plugin.cwl.files import local_path


def kinds(make: Maker) -> dict[str, Callable[[str], Any]]:
    return {
        "File": make.file,
        "File with secondary files": lambda name: make.file(
            name, make.file(f"{name}.idx"), make.folder_of(f"{name}.d")
        ),
        "Directory": lambda name: make.folder_of(name, "x.txt", "sub/y.txt"),
        "Directory with a listing": lambda name: listed(make.folder_of(name, "x.txt", "y.txt"), "x.txt"),
        "array": lambda name: [make.file(name), make.folder_of(name, "x.txt")],
        "array of Directories": lambda name: [make.folder_of(name, f"{number}.txt") for number in range(3)],
        "nested record": lambda name: {"a": {"b": [make.file(name)], "c": make.folder_of(name, "x.txt")}},
        "literal": lambda name: {
            "class": "File",
            "location": f"_:{uuid.uuid4()}",
            "basename": name,
            "contents": "é",
        },
        "literal folder": lambda name: {
            "class": "Directory",
            "location": f"_:{uuid.uuid4()}",
            "basename": name,
            "listing": [make.file("x.txt"), make.folder_of("sub", "y.txt")],
        },
    }


KINDS = list(kinds(Maker(Path())))


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_outputs_of_one_name_get_names_of_their_own(make: Maker, out: Path, first: str, second: str) -> None:
    delivered({"one": kinds(make)[first]("quant"), "two": kinds(make)[second]("quant")}, out)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["quant"], ["quant"]),
        (["quant", "quant", "quant"], ["quant", "quant_2", "quant_3"]),
        (["quant", "quant_2", "quant"], ["quant", "quant_2", "quant_3"]),
        (["quant", "quant", "quant_2"], ["quant", "quant_3", "quant_2"]),
        (["quant_2", "quant_2"], ["quant_2", "quant_2_2"]),
        (["quant", "Quant", "QUANT"], ["quant", "Quant", "QUANT"]),
        (["a.txt", "a.txt"], ["a.txt", "a.txt_2"]),
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder_of"])
def test_the_first_keeps_its_name(make: Maker, out: Path, kind: str, given: list[str], expected: list[str]) -> None:
    outputs = {"all": [getattr(make, kind)(name) for name in given]}
    assert names(delivered(outputs, out)) == {"all": expected}


def test_very_many_of_one_name_are_named_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scattered step whose elements all make a ``count.txt`` may have a hundred thousand of them."""
    count, tried = 500, 0
    numbered = targets._numbered

    def counting(*arguments: Any) -> Any:
        nonlocal tried
        tried += 1
        return numbered(*arguments)

    monkeypatch.setattr(targets, "_numbered", counting)
    items = [
        {"class": "File", "location": f"file:///{number}/a.bam", "basename": "a.bam", "secondaryFiles": [index]}
        for number in range(count)
        for index in [{"class": "File", "location": f"file:///{number}/a.bai", "basename": "a.bai"}]
    ]
    found = Targets({"all": items})
    assert {target.name for target in found.targets} >= {"a.bam", "a.bai", f"a_{count}.bam", f"a_{count}.bai"}
    assert len({target.name for target in found.targets}) == 2 * count
    assert tried <= 3 * count


def test_secondary_files_that_are_outputs_too_are_found_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    count, looked = 300, 0
    indexes = [
        {"class": "File", "location": f"file:///{number}.bai", "basename": f"{number}.bai"} for number in range(count)
    ]
    items = [
        {"class": "File", "location": f"file:///{n}.bam", "basename": f"{n}.bam", "secondaryFiles": [indexes[n]]}
        for n in range(count)
    ]
    keys = targets.key_of

    def counting(item: Any) -> Any:
        nonlocal looked
        looked += 1
        return keys(item)

    monkeypatch.setattr(targets, "key_of", counting)
    found = Targets({"all": items, "indexes": indexes})
    looked = 0
    delivered: Any = found.delivered(lambda place: f"file:///out/{place}")
    assert [item["location"] for item in delivered["indexes"]] == [f"file:///out/{n}.bai" for n in range(count)]
    assert looked <= 12 * count


def test_secondary_files_keep_names_that_fit_their_file(make: Maker, out: Path) -> None:
    def bam() -> Object:
        return make.file("a.b.bam", make.file("a.b.bam.bai"), make.file("a.b.bai"), make.file("other.dict"))

    result = delivered({"all": [bam(), bam(), make.file("a_3.b.bai"), bam()]}, out)
    beside = [[entry["basename"] for entry in item.get("secondaryFiles", ())] for item in result["all"]]
    assert names(result)["all"] == ["a.b.bam", "a_2.b.bam", "a_3.b.bai", "a_4.b.bam"]
    assert beside[1] == ["a_2.b.bam.bai", "a_2.b.bai", "other_2.dict"]
    assert beside[3] == ["a_4.b.bam.bai", "a_4.b.bai", "other_4.dict"]


def test_one_thing_given_twice_is_delivered_once(make: Maker, out: Path) -> None:
    folder, file = make.folder_of("quant", "x.txt", "sub/y.txt"), make.file("a.txt")
    outputs = {"one": folder, "again": folder, "file": file, "files": [file, file]}
    result = delivered(outputs, out)
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "quant"]
    assert result["one"]["location"] == result["again"]["location"]


def test_one_file_with_two_names_has_both(make: Maker, out: Path) -> None:
    file = make.file("a.txt")
    latest = Path(str(local_path(file))).with_name("latest.txt")
    latest.symlink_to("a.txt")
    outputs = {"one": file, "renamed": file | {"basename": "b.txt"}, "link": file | {"location": latest.as_uri()}}
    outputs["link"]["basename"] = "latest.txt"
    result = deliver(outputs, Destination(out, root=out, own=(make.folder,)))
    assert names(result) == {"one": "a.txt", "renamed": "b.txt", "link": "latest.txt"}
    assert len({path.stat().st_ino for path in out.iterdir()}) == 3


def test_what_lies_in_a_folder_that_is_delivered_is_delivered_once(make: Maker, out: Path) -> None:
    outer = make.folder_of("outer", "x.txt", "inner/y.txt")
    location = outer["location"]
    inner = {"class": "Directory", "location": f"{location}/inner", "basename": "inner"}
    file = {"class": "File", "location": f"{location}/inner/y.txt", "basename": "y.txt"}
    result = delivered({"file": file, "inner": inner, "outer": outer, "other": make.folder_of("outer")}, out)
    assert sorted(path.name for path in out.iterdir()) == ["outer", "outer_2"]
    assert local_path(result["file"]) == out / "outer/inner/y.txt"
    assert local_path(result["inner"]) == out / "outer/inner"


def test_a_file_of_a_folder_is_kept_beside_its_secondary_files(make: Maker, out: Path) -> None:
    outer = make.folder_of("outer", "a.bam")
    bam = {"class": "File", "location": f"{outer['location']}/a.bam", "basename": "a.bam"}
    result = delivered({"outer": outer, "bam": bam | {"secondaryFiles": [make.file("a.bam.bai")]}}, out)
    assert local_path(result["bam"]) == out / "a.bam"


def test_a_secondary_file_that_is_an_output_too_stays_beside_its_file(make: Maker, out: Path) -> None:
    index = make.file("a.bam.bai")
    first = make.file("a.bam", make.file("a.bam.bai"))
    result = delivered({"first": first, "index": index, "bam": make.file("a.bam", index)}, out)
    assert local_path(result["index"]) == out / "a_2.bam.bai"
    assert names(result)["bam"] == "a_2.bam"


def test_the_same_file_with_and_without_its_secondary_files(make: Maker, out: Path) -> None:
    plain = make.file("a.bam")
    result = delivered({"plain": plain, "bam": plain | {"secondaryFiles": [make.file("a.bam.bai")]}}, out)
    assert sorted(path.name for path in out.iterdir()) == ["a.bam", "a.bam.bai"]
    assert result["plain"]["location"] == result["bam"]["location"]


PARTS = st.sampled_from(["a", "b", "a.txt", "a_2", "a.txt.idx", "A"])


@st.composite
def output_objects(draw: st.DrawFn) -> Callable[[Maker], Any]:
    """Return a function that makes an output object of any form."""
    kind = draw(st.sampled_from(["file", "folder", "listed", "list", "record", "again"]))
    name = draw(PARTS)
    inner = draw(st.lists(output_objects(), max_size=2)) if kind in ("listed", "list", "record") else []
    secondary = draw(st.lists(PARTS, max_size=2, unique=True))
    files = draw(st.lists(PARTS, max_size=3, unique=True))

    def made(make: Maker) -> Any:
        parts = [part(make) for part in inner]
        if kind == "file":
            return make.file(name, *(make.file(other) for other in secondary))
        if kind == "folder":
            return make.folder_of(name, *files)
        if kind == "listed":
            items = [item for part in parts for item in flat(part)]
            return {"class": "Directory", "location": f"_:{uuid.uuid4()}", "basename": name, "listing": items}
        if kind == "again":
            folder = make.folder_of(name, *files)
            return [folder, folder, folder | {"basename": "b"}]
        return parts if kind == "list" else {str(number): part for number, part in enumerate(parts)}

    return made


def flat(node: Any) -> list[Object]:
    if isinstance(node, list):
        return [item for part in node for item in flat(part)]
    return [node] if "class" in node else [item for part in node.values() for item in flat(part)]


@settings(max_examples=60, deadline=None)
@given(st.lists(output_objects(), min_size=1, max_size=5))
def test_whatever_a_run_has_made_is_delivered(makers: list[Callable[[Maker], Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make, out = Maker(Path(folder) / "tmp"), Path(folder) / "out"
        outputs = {"all": [part(make) for part in makers]}
        record = Path(folder) / "record.json"
        first = deliver(outputs, Destination(out, root=out, own=(make.folder,), record=record))
        compare(outputs, first, out)
        record.unlink()
        shutil.rmtree(out)
        again = deliver(outputs, Destination(out, root=out))
        assert names(again) == names(first)
        compare(outputs, again, out)


SAME_NAMES = """
cwlVersion: v1.2
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}}}
inputs: {{s: "string[]"}}
outputs:
  d: {{type: "Directory[]", outputSource: q/d}}
  f: {{type: File, outputSource: b/d}}
steps:
  q: {{in: {{s: s}}, scatter: s, out: [d], run: {each}}}
  b: {{in: [], out: [d], run: {other}}}
"""


EACH = """{class: CommandLineTool, baseCommand: [bash, -c, 'mkdir x; echo "$0" > x/$0.txt; echo "$0" > x/same.txt'],
    inputs: {s: {type: string, inputBinding: {}}}, outputs: {d: {type: Directory, outputBinding: {glob: x}}}}"""


OTHER = """{class: CommandLineTool, baseCommand: [bash, -c, 'echo 1 > x'],
    inputs: [], outputs: {d: {type: File, outputBinding: {glob: x}}}}"""


def test_a_workflow_whose_steps_make_folders_and_files_of_one_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.cwl").write_text(SAME_NAMES.format(each=EACH, other=OTHER))
    compiling.compile_document(source, "main.cwl", tmp_path / "compiled")
    result = run_compiled(tmp_path / "compiled", source, {"s": ["one", "two", "three"]}, tmp_path / "run")
    assert names(result) == {"d": ["x", "x_2", "x_3"], "f": "x_4"}
    for folder, name in zip(result["d"], ["one", "two", "three"], strict=True):
        assert sorted(path.name for path in Path(folder["path"]).iterdir()) == sorted([f"{name}.txt", "same.txt"])
        assert (Path(folder["path"]) / "same.txt").read_text() == f"{name}\n"
    assert Path(result["f"]["path"]).read_text() == "1\n"
