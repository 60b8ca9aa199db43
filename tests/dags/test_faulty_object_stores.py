"""What stores do wrong, or what is no fault of a job: it fails for good, or it may pass, and is told in either case."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from support.buckets import BUCKET, Buckets, answering, listing_without_end, refusing
from support.stored_jobs import failure, file, folder, kept, one, path_of

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.remote_inputs import brought
from cwl_ui_plugin.fetching import connecting, storage

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"


def test_a_bucket_that_vanishes_fails_for_good(object_store: Buckets) -> None:
    object_store.client.delete_bucket(Bucket=BUCKET)
    try:
        assert "no such bucket" in str(failure(file("s3://sequencing/a")))
        assert failure(folder("s3://sequencing/a")).kind == "permanentFail"
    finally:
        object_store.client.create_bucket(Bucket=BUCKET)


def test_of_too_many_objects_few_are_listed(object_store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix with 100,000 keys, or without end, costs no more than a page beyond the bound."""
    object_store.moods.append(listing_without_end)
    error = failure(folder("s3://sequencing/many"))
    assert (error.kind, "more than 1000 objects" in str(error)) == ("permanentFail", True)
    assert "max_fetched_files" in str(error)
    assert len(object_store.asked) <= 5


def test_a_login_that_is_wrong_is_told(object_store: Buckets) -> None:
    object_store.moods.append(refusing("403 Forbidden", code="InvalidAccessKeyId"))
    for item in (file("s3://sequencing/a"), folder("s3://sequencing/a")):
        error = failure(item)
        assert error.kind == "permanentFail", str(error)
        assert "the login of the Connection" in str(error)
    object_store.moods.clear()


def test_a_store_that_is_busy_is_asked_again(object_store: Buckets) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    object_store.moods.append(refusing("503 Slow Down", times=2))
    assert path_of(one(folder("s3://sequencing"))).is_dir()
    assert path_of(one(file(address))).read_bytes() == READS


def test_a_store_that_stays_busy_may_be_back_later(object_store: Buckets) -> None:
    object_store.put(BUCKET, "d/reads", READS)
    object_store.moods.append(refusing("503 Slow Down"))
    for item in (file("s3://sequencing/d/reads"), folder("s3://sequencing/d")):
        assert failure(item).kind == "temporaryFail"
    object_store.moods.clear()
    assert path_of(one(file("s3://sequencing/d/reads"))).read_bytes() == READS


def slow(object_store: Buckets, method: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes] | None]:
    def answer(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] == method:
            object_store.over.wait(60)
        return None

    return answer


@pytest.mark.parametrize(
    ("item", "method", "option", "kind"),
    [
        (file(f"s3://{BUCKET}/d/reads"), "HEAD", "FETCH_TIMEOUT", "temporaryFail"),
        (folder(f"s3://{BUCKET}/d"), "GET", "FETCH_TIMEOUT", "temporaryFail"),
        (file(f"s3://{BUCKET}/d/reads"), "GET", "FETCH_INPUT_TIMEOUT", "permanentFail"),
    ],
)
def test_a_store_that_is_silent_is_left(
    object_store: Buckets, monkeypatch: pytest.MonkeyPatch, item: dict[str, Any], method: str, option: str, kind: str
) -> None:
    object_store.put(BUCKET, "d/reads", READS)
    monkeypatch.setenv(f"AIRFLOW__CWL__{option}", "0.5")
    object_store.moods.append(slow(object_store, method))
    error = failure(item)
    assert (error.kind, f"[cwl] {option.lower()}" in str(error)) == (kind, True)


def test_the_time_of_an_input_is_that_of_all_objects_of_a_folder(
    object_store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        object_store.put(BUCKET, f"d/{name}", READS)
    now = [0.0]

    def take_long(environ: dict[str, Any], _start_response: Callable[..., Any]) -> None:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            now[0] += 40

    object_store.moods.append(take_long)
    monkeypatch.setattr(connecting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_INPUT_TIMEOUT", "100")
    assert "[cwl] fetch_input_timeout" in str(failure(folder(f"s3://{BUCKET}/d")))


def test_a_login_that_takes_for_ever_is_left(object_store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    monkeypatch.setattr(storage, "_system", lambda _root: object_store.over.wait(60))
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_TIMEOUT", "0.5")
    error = failure(file(address))
    assert (error.kind, "[cwl] fetch_timeout" in str(error)) == ("temporaryFail", True)


@pytest.mark.parametrize("part", [None, f"bytes 0-{len(READS) - 1}/{len(READS)}"])
def test_an_answer_without_end_is_not_read_to_its_end(object_store: Buckets, part: str | None) -> None:
    """Not into memory, whatever its head says; of one that begins as announced, so much is taken."""
    address = object_store.put(BUCKET, "reads", READS)
    blocks: list[int] = []

    def endless(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "GET":
            return None
        start_response("206 Partial Content" if part else "200 OK", [("Content-Range", part)] if part else [])
        return sending()

    def sending() -> Iterator[bytes]:
        yield READS
        while len(blocks) < 64:
            blocks.append(1)
            yield b"x" * 2**20

    object_store.moods.append(endless)
    if part:
        assert path_of(one(file(address, checksum=SHA1))).read_bytes() == READS
    else:
        error = failure(file(address))
        assert (error.kind, "does not give a part" in str(error)) == ("temporaryFail", True)
    assert len(blocks) < 32


@pytest.mark.parametrize("part", ["bytes 0-4/10", "bytes 1-5/6", "bytes 0-4/*"])
def test_a_part_of_something_else_is_not_taken(object_store: Buckets, part: str) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    object_store.moods.append(answering("206 Partial Content", READS, [("Content-Range", part)]))
    error = failure(file(address))
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)


@pytest.mark.parametrize("times", [2, 3])
def test_an_answer_that_breaks_off_is_asked_for_again(object_store: Buckets, times: int) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    part = [("Content-Range", f"bytes 0-{len(READS) - 1}/{len(READS)}"), ("Content-Length", str(len(READS)))]
    object_store.moods.append(answering("206 Partial Content", READS[:2], part, times))
    if times == 2:
        assert path_of(one(file(address, checksum=SHA1))).read_bytes() == READS
    else:
        assert failure(file(address)).kind == "temporaryFail"


def test_what_a_store_says_is_shown_to_nobody(object_store: Buckets, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a login, or an address that is a key; the log has it without these."""
    address = object_store.put(BUCKET, "reads", READS)
    said = "no https://user:se/cret@object_store.internal/x?sig=secret for arn:aws:iam::1:user/secret"
    object_store.moods.append(refusing("500 Oh", code="InternalError", message=said))
    with pytest.raises(StepError) as caught:
        one(folder(f"s3://{BUCKET}"))
    told = "".join(traceback.format_exception(caught.value))
    assert "(InternalError, HTTP 500)" in str(caught.value)
    assert "secret" not in told
    assert "cret@" not in told
    object_store.moods.clear()
    assert "https://...@object_store.internal/x?..." in caplog.text
    assert "se/cret" not in caplog.text
    assert path_of(one(file(address))).read_bytes() == READS


@pytest.mark.parametrize(
    ("key", "content", "match"),
    [
        ("d/a?versionId=1", READS, "versionId"),
        ("d/" + "x/" * 100 + "y", READS, "100 parts"),
        ("d/..\\x", READS, "between slashes"),
        ("d/a/", READS, "this one has bytes"),
        ("d/", READS, "this one has bytes"),
        ("d/\x1b[31m/../a", READS, "d/\\x1b[31m/"),
    ],
)
def test_keys_of_a_listing_are_checked_as_those_of_jobs(
    object_store: Buckets, key: str, content: bytes, match: str
) -> None:
    object_store.put(BUCKET, key, content)
    error = failure(folder(f"s3://{BUCKET}/d"))
    assert (error.kind, match in str(error)) == ("permanentFail", True), str(error)


def test_keys_that_a_listing_names_elsewhere_are_not_read(object_store: Buckets) -> None:
    object_store.moods.append(listing_without_end)
    error = failure(folder(f"s3://{BUCKET}/other"))
    assert (error.kind, "the store names it among" in str(error)) == ("permanentFail", True)


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_stop_ends_it_even_while_a_store_is_silent(object_store: Buckets, method: str) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    object_store.moods.append(slow(object_store, method))

    def check() -> None:
        if any(asked.startswith(method) for asked in object_store.asked):
            raise _Stopped

    with pytest.raises(_Stopped):
        brought({"x": file(address)}, check)
    assert kept() == []


@pytest.mark.parametrize("now", [b"other", b"longer than before", None])
def test_a_listing_that_is_stale_may_be_right_later(object_store: Buckets, now: bytes | None) -> None:
    """What it names is gone, or another by now."""
    object_store.put(BUCKET, "d/reads", READS)

    def change(environ: dict[str, Any], _start_response: Callable[..., Any]) -> None:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            object_store.moods.clear()
            object_store.client.delete_object(Bucket=BUCKET, Key="d/reads")
            if now is not None:
                object_store.put(BUCKET, "d/reads", now)

    object_store.moods.append(change)
    error = failure(folder("s3://sequencing/d"))
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)
    object_store.put(BUCKET, "d/reads", b"other")
    assert (path_of(one(folder("s3://sequencing/d"))) / "reads").read_bytes() == b"other"
