"""Outputs are delivered whole, each under a name of its own, and nothing of anybody else is touched."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.deliveries import Maker, Object, delivered, names

from cwl_ui_plugin.cwl.engine.outputs import placing
from cwl_ui_plugin.cwl.engine.outputs import record as records
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.engine.outputs.record import Record
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import local_path


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


def test_names_of_an_earlier_try_are_looked_up_not_looked_through(tmp_path: Path) -> None:
    compared = 0

    class Name(str):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str(self) == other

        __hash__ = str.__hash__

    record = tmp_path / "record.json"
    record.write_text(json.dumps({"names": [f"{number}.txt" for number in range(300)]}))
    known = Record(record, "")
    assert all(known.is_ours(Name(f"{number}.txt")) for number in range(300))
    assert not known.is_ours(Name("other"))
    assert compared <= 3 * 300


def test_a_record_that_would_be_too_large_keeps_the_names(
    make: Maker, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_RECORD", 300)
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
