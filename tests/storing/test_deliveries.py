"""Outputs that are delivered to a bucket: all of them, or nothing that anybody takes for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support.buckets import Buckets, refusing
from support.results import BUCKET, PART, content_of, unfinished

from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.engine.outputs.record import NOBODY, Owner
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.fetching import storage
from cwl_ui_plugin.fetching.errors import OtherContent
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.storing.folder import StoredFolder

RUN = "of/dag/run 1"
WHOLE = ".cwl-outputs.json"
RECORD = ".cwl-record.json"
NAMES = ["a b#1%41.txt", "Ünï.txt", "a?b.txt", "A", "a", "+.txt", "&<>.txt"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    return folder


Deliver = Callable[..., dict[str, Any]]


@pytest.fixture
def delivered(root: StorageRoot, tmp_path: Path) -> Deliver:
    def deliver_there(outputs: object, machine: str = "", owner: Owner = NOBODY) -> dict[str, Any]:
        store, record = StoredFolder(StorageAddress(root, RUN), 60), tmp_path / f"record{machine}"
        return deliver(outputs, Destination(Path("/nowhere"), Path("/"), record=record, store=store, owner=owner))

    return deliver_there


def file(path: Path, content: bytes = b"x", **more: object) -> dict[str, object]:
    path.write_bytes(content)
    return {"class": "File", "location": path.as_uri(), "basename": path.name, **more}


def keys(store: Buckets) -> set[str]:
    """Return what there is, but for the record."""
    found = {entry["Key"] for entry in store.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())}
    return found - {f"{RUN}/{RECORD}"}


def folder(path: Path, *names: str) -> dict[str, object]:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(f"{path} {name}")
    return {"class": "Directory", "location": path.as_uri(), "basename": "out"}


def writing_of(name: str, answer: Callable[..., Iterable[bytes] | None]) -> Callable[..., Iterable[bytes] | None]:
    def mood(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        is_it = environ["REQUEST_METHOD"] == "PUT" and environ["RAW_URI"].partition("?")[0].endswith(name)
        return answer(environ, start) if is_it else None

    return mood


def test_files_folders_and_secondary_files_are_there_with_checksums_and_the_output_object_last(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    (made / "d" / "empty").mkdir(parents=True)
    (made / "d" / "in").write_bytes(b"inside")
    secondary = file(made / "r.bam.bai", b"index")
    outputs = {
        "reads": file(made / "r.bam", b"reads", secondaryFiles=[secondary]),
        "all": [{"class": "Directory", "location": (made / "d").as_uri(), "basename": "d"}],
        "said": {"class": "File", "location": "_:1", "basename": "said.txt", "contents": "said"},
        "number": 5,
    }
    found = delivered(outputs)
    base = f"s3://{BUCKET}/{RUN}"
    assert found["reads"]["location"] == f"{base}/r.bam"
    assert found["reads"]["checksum"] == f"sha1${hashlib.sha1(b'reads').hexdigest()}"
    assert found["reads"]["secondaryFiles"][0] | {"size": 5} == found["reads"]["secondaryFiles"][0]
    listing = {entry["location"]: entry for entry in found["all"][0]["listing"]}
    assert set(listing) == {f"{base}/d/empty", f"{base}/d/in"}
    assert found["number"] == 5
    named = {f"{RUN}/{name}" for name in ("r.bam", "r.bam.bai", "d/in", "d/empty/", "said.txt", WHOLE)}
    assert keys(store) == named
    written = [asked for asked in store.asked if asked.startswith("PUT")]
    assert written[-1].endswith(WHOLE)
    whole = content_of(store, f"{RUN}/{WHOLE}")
    assert whole is not None
    assert json.loads(whole) == found
    assert "conn" not in whole.decode()


def test_names_are_as_they_are_also_those_that_differ_by_case(store: Buckets, made: Path, delivered: Deliver) -> None:
    found = delivered({"all": [file(made / name, name.encode()) for name in NAMES]})
    assert [item["location"] for item in found["all"]] == [f"s3://{BUCKET}/{RUN}/{name}" for name in NAMES]
    for name in NAMES:
        assert content_of(store, f"{RUN}/{name}") == name.encode()


def test_two_of_one_name_and_one_with_the_name_of_the_output_object_get_others(made: Path, delivered: Deliver) -> None:
    (made / "b").mkdir()
    reserved = {"c": file(made / WHOLE), "d": file(made / RECORD)}
    found = delivered({"a": file(made / "x"), "b": file(made / "b" / "x", b"y"), **reserved})
    assert [found[name]["basename"] for name in "abcd"] == ["x", "x_2", f"{WHOLE}_2", f"{RECORD}_2"]


def test_a_second_try_takes_over_what_is_there_and_removes_what_is_not_to_be(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    first, second = file(made / "1", bytes(PART + 1)), file(made / "2")
    refused = writing_of("/2", refusing("403 Forbidden", code="AccessDenied"))
    store.moods.append(refused)
    with pytest.raises(StepError, match=r"outputs_folder names for it is wrong, or may not write it") as failure:
        delivered({"a": first, "b": second, "c": file(made / "3")})
    assert failure.value.kind == "permanentFail"
    assert keys(store) == {f"{RUN}/1"}
    store.moods.clear()
    store.client.create_multipart_upload(Bucket=BUCKET, Key=f"{RUN}/1")
    store.asked.clear()
    delivered({"a": first, "b": second})
    assert [asked.rpartition("/")[2] for asked in store.asked if asked.startswith("PUT")] == ["2", RECORD, WHOLE]
    assert keys(store) == {f"{RUN}/{name}" for name in ("1", "2", WHOLE)}
    assert unfinished(store) == []
    store.asked.clear()
    delivered({"a": first, "b": second})
    assert {asked.partition(" ")[0] for asked in store.asked} == {"HEAD", "GET"}
    delivered({"a": first})
    assert keys(store) == {f"{RUN}/{name}" for name in ("1", WHOLE)}


def test_a_second_try_leaves_nothing_of_a_folder_that_has_less_in_it_or_is_a_file_now(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    delivered({"a": folder(made / "1", "a", "b", "in/c")})
    delivered({"a": folder(made / "2", "a")})
    assert keys(store) == {f"{RUN}/out/a", f"{RUN}/{WHOLE}"}
    delivered({"a": {**file(made / "file"), "basename": "out"}})
    assert keys(store) == {f"{RUN}/out", f"{RUN}/{WHOLE}"}
    delivered({"a": folder(made / "3", "d")})
    assert keys(store) == {f"{RUN}/out/d", f"{RUN}/{WHOLE}"}


def test_a_second_try_on_another_machine_knows_what_the_first_has_delivered(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    ours, theirs = Owner("dag/run", 1.0), Owner("dag/run", 9.0)
    store.moods.append(writing_of("/2", refusing("403 Forbidden", code="AccessDenied")))
    with pytest.raises(StepError):
        delivered({"a": file(made / "1"), "b": file(made / "2"), "c": file(made / "gone")}, "A", ours)
    store.moods.clear()
    found = delivered({"a": file(made / "1", b"changed"), "b": file(made / "2")}, "B", ours)
    assert [found[name]["basename"] for name in "ab"] == ["1", "2"]
    assert keys(store) == {f"{RUN}/{name}" for name in ("1", "2", WHOLE)}
    other = delivered({"a": file(made / "1", b"others")}, "C", theirs)
    assert other["a"]["basename"] == "1_2"
    assert content_of(store, f"{RUN}/1") == b"changed"


def test_what_was_delivered_here_before_another_machine_did_is_not_taken_for_what_is_there(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    first, second = {"a": file(made / "1")}, {"a": file(made / "2")}
    delivered(first, "A")
    delivered(second, "B")
    delivered(first, "A")
    assert keys(store) == {f"{RUN}/{name}" for name in ("1", WHOLE)}


def test_another_kind_of_store_is_left_with_the_outputs_alone(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryFileSystem()
    monkeypatch.setattr(storage, "_system", lambda _root: memory)
    root = StorageRoot.parse(f"memory://{tmp_path.name}", "[cwl] outputs_folder")
    store = StoredFolder(StorageAddress(root, RUN), 60)

    def kept(value: object, machine: str) -> set[str]:
        record = tmp_path / machine
        deliver({"a": value}, Destination(Path("/nowhere"), Path("/"), record=record, store=store))
        found = memory.find(f"/{tmp_path.name}/{RUN}")
        return {path.partition(f"{RUN}/")[2] for path in found}

    assert kept(folder(made / "1", "a", "b"), "A") == {"out/a", "out/b", WHOLE, RECORD}
    assert kept(folder(made / "2", "a"), "B") == {"out/a", WHOLE, RECORD}


def test_other_values_are_not_taken_for_complete_before_they_are(
    store: Buckets, made: Path, delivered: Deliver
) -> None:
    delivered({"a": file(made / "1")})
    store.moods.append(writing_of("/2", refusing("503 Slow Down")))
    with pytest.raises(StepError, match="HTTP 503") as failure:
        delivered({"a": file(made / "2")})
    assert failure.value.kind == "temporaryFail"
    assert f"{RUN}/{WHOLE}" not in keys(store)


def test_what_others_have_put_there_stays(store: Buckets, made: Path, delivered: Deliver) -> None:
    store.put(BUCKET, f"{RUN}/x", b"theirs")
    assert delivered({"a": file(made / "x", b"ours")})["a"]["basename"] == "x_2"
    assert content_of(store, f"{RUN}/x") == b"theirs"


def test_what_can_have_no_key_is_told(made: Path, delivered: Deliver) -> None:
    deep = made
    for _level in range(5):
        deep = deep / ("d" * 250)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    with pytest.raises(StepError, match=r"a key may have 1024 bytes"):
        delivered({"a": {"class": "Directory", "location": (made / ("d" * 250)).as_uri(), "basename": "d" * 250}})
    with pytest.raises(StepError, match="is no Unicode"):
        delivered({"a": {**file(made / "x"), "basename": "\udcff"}})


def test_no_link_is_followed_to_where_it_leads_later(
    made: Path, delivered: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.cwl.engine.outputs import to_store

    outputs, place = {"a": file(made / "x")}, to_store.path_of

    def swapped(source: str) -> Path:
        path = place(source)
        path.unlink()
        path.symlink_to("/etc/passwd")
        return path

    monkeypatch.setattr(to_store, "path_of", swapped)
    with pytest.raises(StepError, match="symbolic link"):
        delivered(outputs)


def test_a_place_that_no_key_may_have_is_told_before_the_store_is_asked(store: Buckets, root: StorageRoot) -> None:
    with pytest.raises(OtherContent, match="versionId"):
        StoredFolder(StorageAddress(root, "results?versionId=1"), 60).check()
    assert store.asked == []


def test_whether_a_place_can_be_written_to_is_seen_by_nobody(store: Buckets, root: StorageRoot) -> None:
    StoredFolder(StorageAddress(root, RUN), 60).check()
    assert (keys(store), unfinished(store)) == (set(), [])
