"""What is put into a store is there whole, and as its checksums say, or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from support.buckets import Buckets, refusing
from support.results import BUCKET, PART, content_of, unfinished

from cwl_ui_plugin.fetching import storage
from cwl_ui_plugin.fetching.errors import Away, FetchError, NotThere, OtherContent
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.fetching.waiting import Patience
from cwl_ui_plugin.storing.put import given_up, put

SMALL = b"ACGT\n"
LARGE = bytes(range(256)) * (PART // 128) + b"the end"
SILENT = 60.0


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[bytes], BinaryIO]]:
    files = []

    def make(content: bytes) -> BinaryIO:
        (tmp_path / "file").write_bytes(content)
        files.append((tmp_path / "file").open("rb"))
        return files[-1]

    yield make
    for file in files:
        file.close()


def sums(content: bytes) -> dict[str, str]:
    return {"sha1": hashlib.sha1(content).hexdigest()}


def put_at(address: StorageAddress, file: BinaryIO, checksums: dict[str, str], **more: Any) -> StoredObject:
    return put(file, address, checksums, **{"patience": Patience(SILENT, "It is silent."), **more})


def writes(store: Buckets) -> list[str]:
    return [asked for asked in store.asked if asked.startswith(("PUT", "POST"))]


@pytest.mark.parametrize("content", [b"", SMALL, LARGE[:PART], LARGE])
def test_a_file_becomes_an_object_with_its_checksum(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], content: bytes
) -> None:
    address = StorageAddress(root, "of/a run/reads #1 100%.bam")
    found = put_at(address, opened(content), sums(content))
    assert content_of(store, address.key) == content
    head = store.client.head_object(Bucket=BUCKET, Key=address.key)
    assert head["Metadata"] == {"cwl-sha1": sums(content)["sha1"]}
    assert (found.size, found.told["ETag"]) == (len(content), head["ETag"])
    assert unfinished(store) == []


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_what_is_there_already_is_not_sent_again_and_what_is_other_is_replaced(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], content: bytes
) -> None:
    address = StorageAddress(root, "of/x")
    store.put(BUCKET, "of/x", bytes(len(content)))
    put_at(address, opened(content), sums(content))
    assert content_of(store, "of/x") == content
    store.asked.clear()
    put_at(address, opened(content), sums(content))
    assert writes(store) == []


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_file_that_is_not_what_its_checksum_says_does_not_become_an_object(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], content: bytes
) -> None:
    with pytest.raises(OtherContent, match="is not what was announced: its sha1"):
        put_at(StorageAddress(root, "of/x"), opened(content), sums(b"other"))
    assert content_of(store, "of/x") is None
    assert unfinished(store) == []


def test_a_file_that_changes_meanwhile_does_not_become_an_object(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], tmp_path: Path
) -> None:
    file, reading = opened(LARGE), threading.Event()

    def shorter(environ: dict[str, Any], _start: object) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and not reading.is_set():
            reading.set()
            with (tmp_path / "file").open("r+b") as writing:
                writing.truncate(PART + 1)

    store.moods.append(shorter)
    with pytest.raises(OtherContent, match="changed while it was put there"):
        put_at(StorageAddress(root, "of/x"), file, sums(LARGE))
    assert content_of(store, "of/x") is None
    assert unfinished(store) == []


@pytest.mark.parametrize("content", [SMALL, LARGE])
@pytest.mark.parametrize("status", ["503 Slow Down", "500 Internal Server Error", "429 Too Many Requests"])
def test_a_store_that_is_busy_is_asked_again(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], content: bytes, status: str
) -> None:
    store.moods.append(refusing(status, times=2, code="Busy"))
    put_at(StorageAddress(root, "of/x"), opened(content), sums(content))
    assert content_of(store, "of/x") == content


@pytest.mark.parametrize(
    ("status", "code", "error", "match"),
    [
        (
            "403 Forbidden",
            "AccessDenied",
            NotThere,
            r"\[cwl\] outputs_folder names for it is wrong, or may not",
        ),
        ("403 Forbidden", "QuotaExceeded", Away, "no room left"),
        ("507 Insufficient Storage", "XMinioStorageFull", Away, "no room left"),
        ("400 Bad Request", "KeyTooLongError", OtherContent, "its key is too long"),
        ("404 Not Found", "NoSuchBucket", NotThere, "no such bucket"),
        ("503 Slow Down", "Busy", Away, r"Busy, HTTP 503"),
        ("403 Forbidden", "RequestTimeTooSkewed", Away, "clocks of the worker and of the store differ"),
    ],
)
@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_why_a_store_does_not_take_it_is_said(
    store: Buckets,
    root: StorageRoot,
    opened: Callable[[bytes], BinaryIO],
    content: bytes,
    status: str,
    code: str,
    error: type[FetchError],
    match: str,
) -> None:
    answer = refusing(status, code=code, message="s3cr3t says no")

    def writing_is_refused(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        return answer(environ, start) if environ["REQUEST_METHOD"] in ("PUT", "POST") else None

    store.moods.append(writing_is_refused)
    with pytest.raises(error, match=match) as raised:
        put_at(StorageAddress(root, "of/x"), opened(content), sums(content))
    assert "s3cr3t" not in str(raised.value)
    store.moods.clear()
    assert content_of(store, "of/x") is None
    assert unfinished(store) == []


def test_a_part_that_is_refused_ends_the_upload(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO]
) -> None:
    answer = refusing("400 Bad Request", code="BadDigest")

    def second_is_refused(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        return answer(environ, start) if "partNumber=2" in environ.get("QUERY_STRING", "") else None

    store.moods.append(second_is_refused)
    with pytest.raises(Away, match="BadDigest, HTTP 400"):
        put_at(StorageAddress(root, "of/x"), opened(LARGE), sums(LARGE))
    assert unfinished(store) == []


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_what_a_store_has_made_of_it_is_compared(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], content: bytes
) -> None:
    def other_there(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "HEAD" or not writes(store):
            return None
        start("200 OK", [("Content-Length", "3"), ("ETag", '"e"'), ("x-amz-meta-cwl-sha1", sums(content)["sha1"])])
        return []

    store.moods.append(other_there)
    with pytest.raises(Away, match="is not what was sent"):
        put_at(StorageAddress(root, "of/x"), opened(content), sums(content))


def test_an_etag_of_something_else_is_told(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO]
) -> None:
    def of_other(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "PUT":
            return None
        start("200 OK", [("ETag", f'"{hashlib.md5(b"other").hexdigest()}"')])
        return []

    store.moods.append(of_other)
    with pytest.raises(Away, match="is not what was sent"):
        put_at(StorageAddress(root, "of/x"), opened(SMALL), sums(SMALL))


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_a_stop_and_patience_end_it_while_a_store_is_silent_and_the_upload_is_given_up(
    store: Buckets, root: StorageRoot, opened: Callable[[bytes], BinaryIO], how: str
) -> None:
    hanging, go_on, aborted = threading.Event(), threading.Event(), threading.Event()

    def silent(environ: dict[str, Any], _start: object) -> None:
        if "partNumber=2" in environ.get("QUERY_STRING", ""):
            hanging.set()
            go_on.wait(SILENT)
        if environ["REQUEST_METHOD"] == "DELETE":
            aborted.set()

    def on_wait() -> None:
        if how == "stopped" and hanging.is_set():
            raise _StoppedError

    store.moods.append(silent)
    patience = Patience(SILENT if how == "stopped" else 3, "It is silent.")
    with pytest.raises(_StoppedError if how == "stopped" else Away, match="It is silent" if how == "silent" else None):
        put_at(StorageAddress(root, "of/x"), opened(LARGE), sums(LARGE), patience=patience, on_wait=on_wait)
    go_on.set()
    assert aborted.wait(SILENT)
    assert content_of(store, "of/x") is None


def test_what_killed_tries_have_left_is_given_up_and_nothing_of_others(store: Buckets, root: StorageRoot) -> None:
    for key in ("of/run/a", "of/run/b", "of/run2/a"):
        store.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    assert given_up(StorageAddress(root, "of/run/"), patience=Patience(SILENT, "")) == 2
    assert unfinished(store) == ["of/run2/a"]


def test_other_stores_are_written_to_by_their_library(
    opened: Callable[[bytes], BinaryIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryFileSystem()
    monkeypatch.setattr(storage, "_system", lambda _root: memory)
    address = StorageAddress(StorageRoot.parse("memory://results"), "of/x")
    found = put_at(address, opened(LARGE), sums(LARGE))
    assert found.size == len(LARGE)
    assert memory.cat(address.url) == LARGE
    with pytest.raises(OtherContent):
        put_at(address, opened(LARGE), sums(b"other"))


def test_a_broken_off_write_is_not_finished_when_it_is_collected() -> None:
    from fsspec.spec import AbstractBufferedFile

    from cwl_ui_plugin.storing.put import _discard

    flushed = []

    class Writing(AbstractBufferedFile):
        def _initiate_upload(self) -> None:
            flushed.append("begun")

        def _upload_chunk(self, final: bool = False) -> bool:
            flushed.append(f"final {final}")
            return True

    class System:
        def invalidate_cache(self, _path: str) -> None:
            pass

    target = Writing(System(), "x", mode="wb", block_size=1024)
    target.write(b"half")
    _discard(target)
    target.close()
    assert flushed == []
    _discard(io.BytesIO())
