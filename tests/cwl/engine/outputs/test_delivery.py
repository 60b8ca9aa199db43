"""Outputs are delivered whole, each under a name of its own, and nothing of anybody else is touched."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine.outputs import delivery, placing
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import local_path

Object = dict[str, Any]


class Maker:
    """Makes Files and Directories, each in a folder of its own, with contents that no other has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def path(self, name: str) -> Path:
        self.count += 1
        place = self.folder / f"task-{self.count}"
        place.mkdir(parents=True)
        return place / name

    def file(self, name: str, *secondary: Object, **more: Any) -> Object:
        path = self.path(name)
        path.write_text(f"content {self.count}")
        found = {"class": "File", "location": path.as_uri(), "basename": name, **more}
        return found | ({"secondaryFiles": list(secondary)} if secondary else {})

    def folder_of(self, name: str, *files: str, **more: Any) -> Object:
        path = self.path(name)
        path.mkdir()
        for file in files:
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(f"content {self.count} {file}")
        return {"class": "Directory", "location": path.as_uri(), "basename": name, **more}


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "tmp")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def delivered(outputs: Object, out: Path, **more: Any) -> Object:
    """Deliver, and check what holds of every delivery."""
    result = deliver(outputs, Destination(out, root=out.parent, **more))
    compare(outputs, result, out)
    assert not list(out.rglob(f"{placing.PART}*"))
    places = [(str(given["location"]), placed["location"]) for given, placed in pairs(outputs, result)]
    for source, place in places:
        assert {other for other, there in places if there == place} == {source}, "two outputs share a place"
    return result


def pairs(given: Any, placed: Any) -> Iterator[tuple[Object, Object]]:
    if isinstance(given, list):
        for one, other in zip(given, placed, strict=False):
            yield from pairs(one, other)
    elif isinstance(given, dict):
        if given.get("class") in ("File", "Directory"):
            yield given, placed
        for key in given.keys() & placed.keys():
            yield from pairs(given[key], placed[key])


def compare(given: Any, placed: Any, out: Path) -> None:
    for before, after in pairs(given, placed):
        path = local_path(after)
        assert path is not None
        assert path.is_relative_to(out)
        assert path.name == after["basename"]
        source = local_path(before)
        if before["class"] == "File":
            assert path.is_file()
            text = before["contents"] if before["location"].startswith("_:") else (source or path).read_text()
            assert path.read_text() == text
            assert after["size"] == len(text.encode())
        else:
            assert path.is_dir()
            listed = {entry["basename"]: entry for entry in after["listing"]}
            assert set(listed) <= {entry.name for entry in path.iterdir()}
            for entry in source.iterdir() if source else ():
                assert (path / entry.name).is_dir() == entry.is_dir()
                if entry.is_file():
                    assert (path / entry.name).read_bytes() == entry.read_bytes()
        for entry in after.get("secondaryFiles", ()):
            assert Path(str(local_path(entry))).parent == path.parent


def names(result: Any) -> Any:
    """Return the names of an output object in its form."""
    if isinstance(result, list):
        return [names(item) for item in result]
    if result.get("class") in ("File", "Directory"):
        return result["basename"]
    return {key: names(value) for key, value in result.items()}


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


def listed(folder: Object, *files: str) -> Object:
    location = folder["location"]
    return folder | {
        "listing": [{"class": "File", "location": f"{location}/{name}", "basename": name} for name in files]
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


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "/etc/x", "a\0b"])
def test_no_name_leads_out_of_the_folder(make: Maker, out: Path, name: str) -> None:
    for item in (
        make.file("a.txt") | {"basename": name},
        make.folder_of("d") | {"basename": name},
        make.file("a.txt", make.file("b.txt") | {"basename": name}),
        make.folder_of("d") | {"listing": [make.file("b.txt") | {"basename": name}]},
    ):
        with pytest.raises(StepError, match="can't be the name"):
            deliver({"out": item}, Destination(out, root=out.parent))
    assert list(out.iterdir()) == []


def test_what_is_no_plain_file_is_told_at_once(make: Maker, out: Path) -> None:
    folder = make.folder_of("d", "x.txt")
    place = Path(str(local_path(folder)))
    (place / "loop").symlink_to(".")
    with pytest.raises(StepError, match="link to a folder that it is in itself") as loop:
        deliver({"out": folder}, Destination(out, root=out.parent))
    (place / "loop").unlink()
    (place / "gone").symlink_to("nowhere")
    with pytest.raises(StepError, match="gone is not there, or is a link"):
        deliver({"out": folder}, Destination(out, root=out.parent))
    (place / "gone").unlink()
    os.mkfifo(place / "pipe")
    with pytest.raises(StepError, match="pipe is no plain file") as pipe:
        deliver({"out": folder}, Destination(out, root=out.parent))
    assert (loop.value.kind, pipe.value.kind) == ("permanentFail", "permanentFail")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "item",
    [
        {"class": "Directory", "location": "_:a", "basename": "a", "listing": [{"class": "File", "location": "_:a"}]},
        {
            "class": "Directory",
            "location": "_:a",
            "basename": "a",
            "listing": [{"class": "Directory", "location": "_:a", "basename": "a", "listing": []}],
        },
        {"class": "File", "location": 3},
        {"class": "File", "basename": "a"},
        {"class": "File", "location": "file:///nowhere/a", "basename": 4},
        {"class": "Directory", "basename": "a", "listing": "text"},
        {"class": "File", "basename": "a", "contents": 5},
        {"class": "File", "basename": "a", "contents": "x", "secondaryFiles": {"b": 1}},
    ],
)
def test_objects_that_make_no_sense_are_a_clear_failure(out: Path, item: Object) -> None:
    """A tool may write them to cwl.output.json, for an output of the type Any."""
    with pytest.raises(StepError, match="can't be delivered"):
        deliver({"out": item}, Destination(out, root=out.parent))
    assert list(out.iterdir()) == []


def test_files_of_the_run_are_linked_and_others_are_copied(make: Maker, out: Path, tmp_path: Path) -> None:
    own, folder, shared = make.file("own.txt"), make.folder_of("d", "x.txt"), make.file("shared.txt")
    os.link(str(local_path(shared)), tmp_path / "an-input-of-somebody")
    foreign = Maker(tmp_path / "elsewhere").file("foreign.txt")
    outputs = {"own": own, "folder": folder, "shared": shared, "foreign": foreign}
    delivered(outputs, out, own=(make.folder,))
    links = {path.name: path.stat().st_nlink for path in out.rglob("*.txt")}
    assert links == {"own.txt": 2, "x.txt": 2, "shared.txt": 1, "foreign.txt": 1}
    shutil.rmtree(make.folder)
    assert (out / "own.txt").read_text() == "content 1"


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize(
    ("umask", "modes"), [(0o077, (0o700, 0o700, 0o600)), (0o022, (0o755, 0o755, 0o644)), (0o007, (0o770, 0o770, 0o660))]
)
def test_what_a_container_made_for_everybody_is_for_whom_the_umask_lets(
    make: Maker, out: Path, umask: int, modes: tuple[int, int, int], is_own: bool
) -> None:
    program, folder = make.file("run.sh"), make.folder_of("data", "x")
    for item, mode in ((program, 0o777), (folder, 0o777)):
        Path(local_path(item) or "").chmod(mode)
    (Path(local_path(folder) or "") / "x").chmod(0o666)
    before = os.umask(umask)
    try:
        delivered({"a": program, "b": folder}, out, own=(make.folder,) if is_own else ())
    finally:
        os.umask(before)
    found = [out / "run.sh", out / "data", out / "data" / "x"]
    assert tuple(path.stat().st_mode & 0o777 for path in found) == modes


def test_what_gets_a_second_name_is_the_file_that_was_looked_at(
    make: Maker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make.file("own.txt")
    place = local_path(own)
    assert place
    (tmp_path / "of-somebody").write_text("secret")
    link = placing._link

    def swapped(*arguments: Any) -> bool:
        place.unlink()
        place.symlink_to(tmp_path / "of-somebody")
        return link(*arguments)

    monkeypatch.setattr(placing, "_link", swapped)
    deliver({"own": own}, Destination(out, out, own=(make.folder,)))
    assert not (out / "own.txt").is_symlink()
    assert (out / "own.txt").read_text() != "secret"


def test_where_no_links_can_be_made_files_are_copied(make: Maker, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(placing.os, "link", refuse)
    delivered({"own": make.file("own.txt"), "folder": make.folder_of("d", "x.txt")}, out, own=(make.folder,))
    assert (out / "own.txt").stat().st_nlink == 1


def test_what_others_have_in_the_folder_stays(make: Maker, out: Path, tmp_path: Path) -> None:
    (out / "quant").mkdir(parents=True)
    (out / "quant/theirs.txt").write_text("theirs")
    (out / "a.txt").write_text("theirs")
    (out / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    outputs = {"all": [make.folder_of("quant", "x.txt"), make.file("a.txt"), make.file("link.txt")]}
    record = tmp_path / "record.json"
    for _ in range(2):
        result = delivered(outputs, out, record=record)
        assert names(result) == {"all": ["quant_2", "a.txt_2", "link.txt_2"]}
    assert (out / "quant/theirs.txt").read_text() == (out / "a.txt").read_text() == "theirs"
    assert not (tmp_path / "elsewhere.txt").exists()


def test_a_file_that_appears_meanwhile_is_never_replaced(
    make: Maker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {"file": make.file("a.txt"), "folder": make.folder_of("d", "x.txt")}
    record = tmp_path / "record.json"
    looked = placing._state

    def meddling(folder: int, name: str) -> os.stat_result | None:
        state = looked(folder, name)
        if name == "a.txt" and state is None and not (out / name).exists():
            (out / name).write_text("theirs")
        return state

    monkeypatch.setattr(placing, "_state", meddling)
    with pytest.raises(StepError) as caught:
        deliver(outputs, Destination(out, root=out.parent, record=record))
    assert caught.value.kind == "temporaryFail"
    monkeypatch.undo()
    assert names(delivered(outputs, out, record=record)) == {"file": "a.txt_2", "folder": "d"}
    assert (out / "a.txt").read_text() == "theirs"


def test_a_second_delivery_knows_its_own(make: Maker, out: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    outputs = {"file": make.file("a.txt"), "folder": make.folder_of("d", "x.txt")}
    first = delivered(outputs, out, record=record)
    shutil.rmtree(make.folder)
    assert deliver(outputs, Destination(out, root=out.parent, record=record)) == first


def test_a_record_that_would_be_too_large_keeps_the_names(
    make: Maker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_RECORD", 300)
    outputs = {"file": make.file("a.txt"), "folder": make.folder_of("d", "x.txt")}
    for _ in range(2):
        assert names(delivered(outputs, out, record=tmp_path / "record.json")) == {"file": "a.txt", "folder": "d"}
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "d"]


def test_a_run_that_was_cleared_replaces_what_it_made(make: Maker, out: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    delivered({"all": [make.file("a.txt"), make.folder_of("d", "x.txt"), make.file("gone.txt")]}, out, record=record)
    delivered({"all": [make.file("a.txt"), make.file("d")]}, out, record=record)
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "d"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"names": 3, "digest": []}', '{"names": ["a.txt"], "outputs": 1}'])
def test_a_broken_record_costs_no_file(make: Maker, out: Path, tmp_path: Path, content: str) -> None:
    record = tmp_path / "record.json"
    record.write_text(content)
    delivered({"all": [make.file("a.txt")]}, out, record=record)


@pytest.mark.parametrize("place", ["folder", "above"])
def test_links_on_the_way_are_not_followed(make: Maker, tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    folder = root / "a/b"
    link = folder if place == "folder" else folder.parent
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(StepError, match="can't be delivered"):
        deliver({"all": [make.file("a.txt")]}, Destination(folder, root=root))
    assert list((tmp_path / "secret").rglob("*")) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENFILE])
def test_trouble_with_the_disk_may_pass(
    make: Maker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The disk is full in the middle of a file; the next try has room."""
    outputs = {"small": make.file("small.txt"), "big": make.file("big.txt"), "d": make.folder_of("d", "big.txt")}
    record, failing = tmp_path / "record.json", placing.shutil.copyfileobj

    def full(source: Any, copy: Any, size: int) -> None:
        copy.write(b"half")
        copy.flush()
        if source.read() != b"content 1":  # that of small.txt
            raise OSError(number, os.strerror(number))
        copy.seek(0)
        source.seek(0)
        failing(source, copy, size)

    monkeypatch.setattr(placing.shutil, "copyfileobj", full)
    with pytest.raises(StepError, match=os.strerror(number)) as caught:
        deliver(outputs, Destination(out, root=out.parent, record=record))
    assert caught.value.kind == "temporaryFail"
    assert {path.name for path in out.iterdir()} <= {"small.txt"}
    monkeypatch.undo()
    delivered(outputs, out, record=record)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A disk of 20 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("disks can't be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full(make: Maker, tmp_path: Path, mounted: Path) -> None:
    big = make.file("big.bin")
    with Path(str(local_path(big))).open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    record = tmp_path / "record.json"
    with pytest.raises(StepError, match="No space left on device") as caught:
        deliver({"big": big}, Destination(mounted / "run", root=mounted, record=record))
    assert caught.value.kind == "temporaryFail"
    assert list((mounted / "run").iterdir()) == []
    (mounted / "run").rmdir()


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
