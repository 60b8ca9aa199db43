"""Values that go from task to task by a store are, for the next task, as they were."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.buckets import refusing
from support.staged import BUCKET, PREFIX, Machines, file, folder, path_of

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.staging import folders, marks

READS = b"ACGT\n"


def made(task: Any, name: str, content: bytes = READS) -> Path:
    path = Path(task.task.folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def handed_on(task: Any, value: Any) -> Any:
    """What the next task gets: it went through the database."""
    return json.loads(json.dumps(task.put(value)))


def test_a_file_comes_to_another_machine_with_all_that_belongs_to_it(machines: Machines) -> None:
    one = machines.task("one")
    bam = file(made(one, "out/r 1%.bam"), format="http://edam/1", checksum="sha1$00", metadata={"a": [1]})
    bam["secondaryFiles"] = [file(made(one, "elsewhere/r.bai", b"index"), basename="r 1%.bam.bai")]
    literal = {"class": "File", "basename": "l.txt", "contents": "text"}
    values = {"x": [{"record": {"any": [bam, None, literal]}}, "success"], "n": [2**70, "success"]}
    given = handed_on(one, values)
    there = given["x"][0]["record"]["any"][0]
    assert there["location"] == f"s3://{BUCKET}/{PREFIX}/sha256/{hashlib.sha256(READS).hexdigest()[:2]}/" + (
        hashlib.sha256(READS).hexdigest()
    )
    assert str(one.task.folder) not in json.dumps(given)
    one.close()
    assert not list(one.task.folder.iterdir()), "what was handed on is in the store"
    two = machines.task("two")
    here = two.fetch(given)
    first, nothing, text = here["x"][0]["record"]["any"]
    assert (nothing, text, here["n"]) == (None, literal, [2**70, "success"])
    assert path_of(first).read_bytes() == READS
    assert path_of(first).name == "r 1%.bam"
    assert path_of(first["secondaryFiles"][0]) == path_of(first).with_name("r 1%.bam.bai")
    assert (first["format"], first["metadata"], first["size"]) == (bam["format"], bam["metadata"], len(READS))
    assert path_of(first).is_relative_to(two.task.folder)


def test_a_folder_comes_as_it_was(machines: Machines) -> None:
    one = machines.task("one")
    top = one.task.folder / "d"
    odd = os.fsdecode(b"not utf-8 \xff") if os.uname().sysname == "Linux" else "odd"
    for name, content in (("a", b""), ("sub/b\n'\"", READS), (odd, b"x"), ("sub/large", b"y" * 200_000)):
        made(one, f"d/{name}", content)
    (top / "sub/a script").write_text("#!/bin/sh\n")
    (top / "sub/a script").chmod(0o755)
    (top / "empty/inner").mkdir(parents=True)
    (top / "link").symlink_to("sub")
    made(one, "other/o", b"beside")
    (top / "to a file").symlink_to("../other/o")
    given = handed_on(one, {"d": [folder(top), "success"]})
    assert len(machines.names()) == 2, "the folder, and its large file"
    here = machines.task("two").fetch(given)["d"][0]
    there = path_of(here)
    assert there.name == "d"
    assert "size" not in here
    found = {path.relative_to(there).as_posix() for path in there.rglob("*")}
    assert found == {
        "a", "sub", "sub/b\n'\"", odd, "sub/large", "sub/a script", "empty", "empty/inner", "to a file",
        "link", "link/b\n'\"", "link/large", "link/a script",
    }  # fmt: skip
    assert (there / "sub/large").read_bytes() == b"y" * 200_000
    assert (there / "to a file").read_bytes() == b"beside"
    assert not any(path.is_symlink() for path in there.rglob("*"))
    assert os.access(there / "sub/a script", os.X_OK)
    assert not (there / "a").stat().st_mode & 0o111


def test_equal_content_is_sent_and_fetched_once(machines: Machines) -> None:
    one = machines.task("one")
    given = handed_on(one, [file(made(one, "a/x")), file(made(one, "b/y")), file(made(one, "a/x"))])
    again = machines.task("three")
    assert [item["location"] for item in given] == 3 * [handed_on(again, file(made(again, "z")))["location"]]
    assert len(machines.asked("PUT")) == 1
    for _task in range(2):
        here = machines.task("two").fetch(given)
        assert [path_of(item).name for item in here] == ["x", "y", "x"]
    assert len(machines.asked("GET")) == 1
    assert len(machines.kept("two")) == 1


def test_what_was_fetched_is_handed_on_without_being_read(machines: Machines) -> None:
    one = machines.task("one")
    given = handed_on(one, file(made(one, "a")))
    two = machines.task("two")
    here = two.fetch(given)
    (two.task.folder / "b").symlink_to(path_of(here))
    machines.server.asked.clear()
    assert handed_on(two, file(two.task.folder / "b"))["location"] == given["location"]
    assert handed_on(two, here)["location"] == given["location"]
    assert handed_on(two, given)["location"] == given["location"]
    assert not machines.server.asked


@pytest.mark.parametrize("is_own", [True, False])
def test_a_tool_that_writes_to_its_input_changes_nothing_but_its_own(machines: Machines, is_own: bool) -> None:
    one = machines.task("one")
    given = handed_on(one, file(made(one, "a")))
    two = machines.task("two")
    path = path_of(two.fetch(given, is_own=is_own))
    if is_own:
        assert path.stat().st_mode & 0o200
    else:
        assert not path.stat().st_mode & 0o222, "nobody but root can write to it"
        path.chmod(0o644)
    path.write_bytes(READS.lower())
    assert handed_on(two, file(path))["location"] != given["location"], "it is another file by now"
    assert path_of(machines.task("two").fetch(given)).read_bytes() == READS


def test_what_a_folder_lists_is_found_in_it(machines: Machines) -> None:
    one = machines.task("one")
    inner = made(one, "d/sub/f")
    listing = [folder(inner.parent, listing=[file(inner, size=5)])]
    given = handed_on(one, folder(one.task.folder / "d", listing=listing))
    here = machines.task("two").fetch(given)
    assert path_of(here["listing"][0]["listing"][0]) == path_of(here) / "sub" / "f"
    assert path_of(here["listing"][0]["listing"][0]).read_bytes() == READS


def test_a_folder_that_lists_what_is_elsewhere_has_both(machines: Machines) -> None:
    one = machines.task("one")
    made(one, "d/own", b"own")
    given = handed_on(one, folder(one.task.folder / "d", listing=[file(made(one, "e/other"))]))
    assert "location" not in given
    here = machines.task("two").fetch(given)
    assert {path_of(item).name: path_of(item).read_bytes() for item in here["listing"]} == {
        "own": b"own",
        "other": READS,
    }


def test_equal_folders_may_belong_to_one_file(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = machines.task("one"), machines.task("two")
    at_once, unpack = threading.Barrier(2), folders.unpack

    def unpacked(*arguments: Any) -> None:
        at_once.wait(60)
        unpack(*arguments)

    monkeypatch.setattr(folders, "unpack", unpacked)
    parts = [folder(made(one, f"d{number}/same").parent) for number in range(8)]
    here = two.fetch(handed_on(one, file(made(one, "f"), secondaryFiles=parts)))
    found = [path_of(part) for part in here["secondaryFiles"]]
    assert [path.name for path in found] == [f"d{number}" for number in range(8)]
    assert [[inner.name for inner in path.iterdir()] for path in found] == 8 * [["same"]]
    assert {path.name for path in path_of(here).parent.iterdir()} == {"f", *(path.name for path in found)}


def test_a_file_that_can_be_executed_can_be_there(machines: Machines) -> None:
    one = machines.task("one")
    script = made(one, "s.sh", b"#!/bin/sh\n")
    script.chmod(0o755)
    two = machines.task("two")
    here = two.fetch(handed_on(one, file(script)))
    assert os.access(path_of(here), os.X_OK)
    assert handed_on(two, here)["location"].endswith("#x")


@pytest.mark.parametrize("kind", ["link out", "link in a folder", "pipe", "nothing", "loop", "no name"])
def test_what_a_run_may_not_hand_on_stays_where_it_is(machines: Machines, kind: str, tmp_path: Path) -> None:
    one, secret = machines.task("one"), tmp_path / "secret"
    secret.write_text("secret")
    place = made(one, "d/f").parent
    value = file(place / "x")
    if kind == "link out":
        (place / "x").symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(place / "x")
    elif kind == "no name":
        value = file(made(one, "d/x"), basename="../x")
    elif kind != "nothing":
        (place / "x").symlink_to({"loop": "..", "link in a folder": str(secret)}[kind])
        value = folder(place)
    with pytest.raises(StepError) as failure:
        one.put({"x": [value, "success"]})
    assert failure.value.kind == "permanentFail"
    assert not machines.names("")


@pytest.mark.parametrize("forged", ["other run", "other kind", "no digest", "elsewhere"])
def test_a_reference_that_a_task_was_not_given_is_refused(machines: Machines, forged: str) -> None:
    other = machines.task("one", run="other")
    given = handed_on(other, file(made(other, "f", b"secret")))
    two = machines.task("two")
    if forged == "other kind":
        two.note(given)
        given = {**given, "class": "Directory"}
    if forged == "no digest":
        given = {**given, "location": f"s3://{BUCKET}/{PREFIX}/runs/x"}
    if forged == "elsewhere":
        given = {**given, "location": "s3://elsewhere/x"}
    with pytest.raises(StepError):
        two.put({"x": [{"y": given}, "success"]})


@pytest.mark.parametrize("most_named", [0, marks.MAX_NAMED])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_object_of_another_run_is_not_had(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, kind: str, most_named: int
) -> None:
    """Who changes what a task is given, and knows the digest, reads nothing of other runs."""
    monkeypatch.setattr(marks, "MAX_NAMED", most_named)
    other, one, two = machines.task("one", run="other"), machines.task("one"), machines.task("two")

    def put(task: Any) -> Any:
        path = made(task, "d/f", b"secret")
        return handed_on(task, file(path) if kind == "file" else folder(path.parent))

    forged = put(other)
    handed_on(one, file(made(one, "own")))
    with pytest.raises(StepError, match="No task of this run"):
        two.fetch({"x": [{"y": [forged]}]})
    assert not machines.kept("two")
    assert put(one) == forged, "the run has the same object"
    assert path_of(two.fetch(forged)).exists()


def test_a_task_looks_only_for_what_it_reads_in_what_others_have_said(machines: Machines) -> None:
    one = machines.task("one")
    given = [handed_on(one, file(made(one, f"f{number}", bytes([number])))) for number in range(5)]
    two = machines.task("two")
    two.fetch(given[3])
    two.fetch({"x": [given[3]]})
    assert len(machines.asked("GET", "/runs/")) == 1


@pytest.mark.parametrize("wrong", [{"basename": "../f"}, {"size": None}, {"class": "Directory"}, {"basename": None}])
def test_a_value_that_no_task_has_put_is_no_file(machines: Machines, wrong: dict[str, Any]) -> None:
    one = machines.task("one")
    given = {**handed_on(one, file(made(one, "f"))), **wrong}
    with pytest.raises(StepError):
        machines.task("two").fetch(given)


def test_a_file_that_looks_like_the_list_of_a_folder_is_a_file(machines: Machines) -> None:
    other = machines.task("one", run="other")
    digest = handed_on(other, file(made(other, "f", b"secret" * 20_000)))["location"].rpartition("/")[2]
    content = json.dumps({"folders": [], "files": [["f", 120_000, False, digest]]}).encode()
    one = machines.task("one")
    given = handed_on(one, file(made(one, "g", b"cwl-folder 1 " + str(len(content)).encode() + b"\n" + content)))
    two = machines.task("two")
    for location in (given["location"], given["location"] + ".folder"):
        with pytest.raises(StepError):
            two.fetch({"class": "Directory", "basename": "g", "size": 99, "location": location})


def test_a_login_that_may_not_write_is_told_with_its_option(machines: Machines) -> None:
    one = machines.task("one")
    value = file(made(one, "f"))
    machines.server.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    with pytest.raises(StepError, match="intermediate_storage") as failure:
        one.put(value)
    assert failure.value.kind == "permanentFail"
