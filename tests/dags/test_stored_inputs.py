"""Files and folders of a job that are in a bucket come here before the first step, as they are there."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.buckets import Buckets, answering, buckets, connection_id, listing_without_end, refusing
from support.stored_jobs import failure, file, folder, go_on, kept, one, path_of, refused

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import Origins, brought
from cwl_ui_plugin.fetching import connecting, storage

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"
BUCKET = "sequencing"
HIDING = [
    "s3://secret/reader@bucket/pre",
    "s3://AKIA:se@secret@bucket",
    "s3://secret@bucket/../b",
    "s3://a@b/secret@c, s3://d@b/secret@c",
]
"""Entries that are none, of which nothing is shown before the last ``@``."""


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        yield running


@pytest.fixture
def store(server: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path) -> Iterator[Buckets]:
    """The server with an empty bucket, which jobs may read from."""
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.client.create_bucket(Bucket=BUCKET)
    server.asked.clear()
    yield server
    server.moods.clear()
    for entry in server.client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        server.client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    server.client.delete_bucket(Bucket=BUCKET)


def gets(store: Buckets) -> list[str]:
    return [asked for asked in store.asked if asked.startswith("GET") and "list-type" not in asked]


def test_a_file_comes_with_its_secondary_files_and_once(store: Buckets) -> None:
    reads, index = store.put(BUCKET, "run 1/reads.bam", READS), store.put(BUCKET, "run 1/reads.bam.bai", b"index")
    for _run in range(2):
        here = one(file(reads, checksum=SHA1, size=len(READS), secondaryFiles=[file(index)]))
        assert path_of(here).read_bytes() == READS
        assert here["basename"] == "reads.bam"
        assert not here.keys() & {"checksum", "size"}, "cwltool finds them out itself"
        assert path_of(here["secondaryFiles"][0]).name == "reads.bam.bai"
        assert not file_rules().allows(path_of(here)), "whoever knows the address may have it, nobody else"
    assert len(gets(store)) == 2, "the second run has asked only whether they are the same"
    assert not list(config.fetched_folder().glob("?*.lock"))


def test_secondary_files_that_an_input_asks_for_are_found_beside_an_object(store: Buckets) -> None:
    wanted = Parameter(
        id="x",
        type="File",
        secondary_files=(
            {"pattern": ".bai", "required": None},
            {"pattern": "^.dict", "required": False},
            {"pattern": ".gone", "required": True},
            {"pattern": "$(self.basename + '.md5')", "required": None},
        ),
    )
    for name in ("r.bam", "r.bam.bai", "r.dict", "r.bam.md5"):
        store.put(BUCKET, f"d/{name}", name.encode())
    reads = file(f"s3://{BUCKET}/d/r.bam")
    one_of = brought({"x": reads}, go_on, [wanted])["x"]
    assert isinstance(one_of, dict)
    found = {path_of(part).name: path_of(part).read_bytes() for part in one_of["secondaryFiles"]}
    assert found == {"r.bam.bai": b"r.bam.bai", "r.dict": b"r.dict"}
    given = {
        **reads,
        "basename": "other.bam",
        "secondaryFiles": [file(f"s3://{BUCKET}/d/r.dict", basename="other.dict")],
    }
    (several,) = brought({"x": [given]}, go_on, [wanted])["x"]  # type: ignore[misc]
    assert [part["basename"] for part in several["secondaryFiles"]] == ["other.dict", "other.bam.bai"]
    with pytest.raises(StepError, match="storage_roots"):
        brought({"x": file("s3://other/a")}, go_on, [wanted])


def test_what_was_written_anew_is_fetched_anew_and_the_old_stays_for_who_reads_it(store: Buckets) -> None:
    address = store.put(BUCKET, "reads", READS)
    before = path_of(one(file(address)))
    store.put(BUCKET, "reads", b"other")
    assert path_of(one(file(address))).read_bytes() == b"other"
    assert before.read_bytes() == READS


def test_a_folder_comes_with_all_that_is_below_it(store: Buckets) -> None:
    store.put(BUCKET, "genome/")
    store.put(BUCKET, "genome/chr 1/a.fa", READS)
    store.put(BUCKET, "genome/empty/")
    store.put(BUCKET, "genome/none.txt")
    store.put(BUCKET, "genomes/other", b"not below it")
    for address in ("s3://sequencing/genome", "S3://sequencing/genome/"):
        here = one(folder(address))
        top = path_of(here)
        assert (top.name, here["basename"]) == ("genome", "genome")
        found = {str(path.relative_to(top)): path.is_dir() for path in top.rglob("*")}
        assert found == {"chr 1": True, "chr 1/a.fa": False, "empty": True, "none.txt": False}
        assert (top / "chr 1/a.fa").read_bytes() == READS
    assert len(gets(store)) == 1, "of files with no bytes nothing is asked"
    store.put(BUCKET, "genome/none.txt", b"now some")
    assert (path_of(one(folder("s3://sequencing/genome"))) / "none.txt").read_bytes() == b"now some"
    assert path_of(one(folder("s3://sequencing"))).name == BUCKET


def test_a_large_object_comes_in_parts(store: Buckets) -> None:
    content = bytes(range(256)) * 4096 * 20
    here = one(file(store.put(BUCKET, "large", content), checksum=f"sha1${hashlib.sha1(content).hexdigest()}"))
    assert path_of(here).read_bytes() == content
    assert len(gets(store)) > 1


@pytest.mark.parametrize(
    "key",
    [
        "with space.txt",
        "ünïcode-\N{HIRAGANA LETTER A}.txt",
        "100%41.txt",
        "a?b#c.txt",
        "plus+and&more=.txt",
        "a//b.txt",
        "/leading.txt",
        "-rf.txt",
        ".hidden",
        "$(inputs.x).txt",
        "x" * 255,
        "/".join(["y" * 200] * 5)[:1000],
    ],
)
def test_odd_keys_are_taken_as_they_are(store: Buckets, key: str) -> None:
    here = one(file(store.put(BUCKET, key, READS)))
    assert path_of(here).read_bytes() == READS
    assert path_of(here).name == here["basename"] == key.rpartition("/")[2]


def test_a_name_that_no_file_can_have_becomes_another(store: Buckets) -> None:
    assert path_of(one(file(store.put(BUCKET, "z" * 1000, READS)))).name == "download"


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("s3://sequencing/a/../b", "between slashes is not read"),
        ("s3://sequencing/../other", "between slashes is not read"),
        ("s3://sequencing/a/", "does not end with a slash"),
        ("s3://sequencing", "a file has a key"),
        ("s3://sequencing/" + "x" * 1025, "1024 bytes"),
        ("s3://sequencing/a?versionId=1", "versionId"),
        ("s3://other/a", "[cwl] storage_roots"),
        ("s3://sequencing.example.org/a", "[cwl] storage_roots"),
        ("gs://sequencing/a", "[cwl] storage_roots"),
        ("s3://mine@sequencing/a", "names a login or a connection"),
        ("s3://key:secret@sequencing/a", "names a login or a connection"),
        ("s3://key:a@secret@sequencing/a", "names a login or a connection"),
        ("s3://[key:secret@sequencing/a", "...@sequencing/a is no address"),
        ("s3://key:se/secret@sequencing/a", "[cwl] storage_roots"),
        ("s3://key:se/secret@sequencing/../a", "between slashes is not read"),
        ("s3://sequencing/open\\..\\..\\x", "between slashes is not read"),
        ("s3://sequencing/" + "a/" * 100 + "b", "100 parts"),
        ("s3://sequencing/\x1b[31m/../a", "s3://sequencing/\\x1b[31m/"),
        ("s3:///a", "[cwl] storage_roots"),
    ],
)
def test_what_may_not_be_read_is_said_when_the_run_starts(store: Buckets, location: str, match: str) -> None:
    said = refused(file(location))
    assert match in said
    assert "secret" not in said
    with pytest.raises(StepError):
        brought({"x": file(location)}, go_on)
    assert store.asked == []


def test_only_what_begins_with_the_prefix_of_a_root_is_read_and_the_innermost_says_how(
    store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/open/, s3://not_there@{BUCKET}/open/not")
    assert path_of(one(file(store.put(BUCKET, "open/a", READS)))).read_bytes() == READS
    for key in ("a", "opened/a", "open"):
        assert "storage_roots" in refused(file(f"s3://{BUCKET}/{key}")), key
    assert path_of(one(folder(f"s3://{BUCKET}/open"))).name == "open"
    with pytest.raises(StepError, match=r"Connection that .* is not there"):
        one(file(store.put(BUCKET, "open/not/a", READS)))


@pytest.mark.parametrize(
    "roots",
    [
        "sequencing",
        "s3://",
        "file:///etc",
        "https://x.org",
        "s3://a/b, s3://c@a/b/",
        "s3://a/../b",
        "s3:// a",
        *HIDING,
        "sftp://a",
    ],
)
def test_a_root_that_is_none_is_told(store: Buckets, monkeypatch: pytest.MonkeyPatch, roots: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", roots)
    with pytest.raises(config.ConfigError, match=r"\[cwl\] storage_roots: ") as caught:
        file_rules()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("announced", "match"),
    [({"checksum": f"sha1${'0' * 40}"}, "not what was announced: its sha1"), ({"size": 7}, "it has 5 bytes, not 7")],
)
def test_what_is_not_as_announced_fails_for_good(store: Buckets, announced: dict[str, Any], match: str) -> None:
    error = failure(file(store.put(BUCKET, "reads", READS), **announced))
    assert (error.kind, match in str(error)) == ("permanentFail", True)
    assert bool(gets(store)) == ("checksum" in announced), "a store tells the size without its bytes"


@pytest.mark.parametrize("size", [-1, "5", True, 1.5])
def test_a_size_is_a_number_of_bytes(store: Buckets, size: object) -> None:
    assert "number of bytes" in refused(file("s3://sequencing/a", size=size))


@pytest.mark.parametrize("item", [file("s3://sequencing/gone"), folder("s3://sequencing/gone")])
def test_what_is_not_there_fails_for_good(store: Buckets, item: dict[str, Any]) -> None:
    error = failure(item)
    assert (error.kind, "s3://sequencing/gone" in str(error)) == ("permanentFail", True)


def test_a_bucket_that_vanishes_fails_for_good(store: Buckets) -> None:
    store.client.delete_bucket(Bucket=BUCKET)
    try:
        assert "no such bucket" in str(failure(file("s3://sequencing/a")))
        assert failure(folder("s3://sequencing/a")).kind == "permanentFail"
    finally:
        store.client.create_bucket(Bucket=BUCKET)


def test_a_file_that_is_a_folder_is_told(store: Buckets) -> None:
    store.put(BUCKET, "a/b", READS)
    assert "give a Directory" in str(failure(file("s3://sequencing/a")))


@pytest.mark.parametrize("keys", [["d/a", "d/a/b"], ["d/a", "d/a/"], ["d//a"], [f"d/{'x' * 300}"]])
def test_keys_that_can_not_be_files_beside_each_other_are_told(store: Buckets, keys: list[str]) -> None:
    for key in keys:
        store.put(BUCKET, key, b"" if key.endswith("/") else READS)
    error = failure(folder("s3://sequencing/d"))
    assert error.kind == "permanentFail"
    assert "s3://sequencing/d" in str(error)


def test_of_too_many_objects_few_are_listed(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix with 100,000 keys, or without end, costs no more than a page beyond the bound."""
    store.moods.append(listing_without_end)
    error = failure(folder("s3://sequencing/many"))
    assert (error.kind, "more than 1000 objects" in str(error)) == ("permanentFail", True)
    assert "max_fetched_files" in str(error)
    assert len(store.asked) <= 5


def test_files_and_bytes_are_bounded_together(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = file(store.put(BUCKET, "d/a", READS)), file(store.put(BUCKET, "d/b", READS))
    for option, value, job in (
        ("MAX_INPUT_SIZE", "4", [a]),
        ("MAX_FETCHED_SIZE", "9", [folder("s3://sequencing/d")]),
        ("MAX_FETCHED_SIZE", "9", [a, b]),
        ("MAX_FETCHED_FILES", "2", [folder("s3://sequencing/d"), a]),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(f"AIRFLOW__CWL__{option}", value)
            with pytest.raises(StepError, match=option.lower()) as caught:
                brought({"x": job}, go_on)
            assert caught.value.kind == "permanentFail"
    monkeypatch.setenv("AIRFLOW__CWL__MAX_FETCHED_FILES", "2")
    brought({"x": [folder("s3://sequencing/d")]}, go_on)
    brought({"x": [a, b, a]}, go_on)


def test_a_login_that_is_wrong_is_told(store: Buckets) -> None:
    store.moods.append(refusing("403 Forbidden", code="InvalidAccessKeyId"))
    for item in (file("s3://sequencing/a"), folder("s3://sequencing/a")):
        error = failure(item)
        assert error.kind == "permanentFail", str(error)
        assert "the login of the Connection" in str(error)
    store.moods.clear()


def test_a_store_that_is_busy_is_asked_again(store: Buckets) -> None:
    address = store.put(BUCKET, "reads", READS)
    store.moods.append(refusing("503 Slow Down", times=2))
    assert path_of(one(folder("s3://sequencing"))).is_dir()
    assert path_of(one(file(address))).read_bytes() == READS


def test_a_store_that_stays_busy_may_be_back_later(store: Buckets) -> None:
    store.put(BUCKET, "d/reads", READS)
    store.moods.append(refusing("503 Slow Down"))
    for item in (file("s3://sequencing/d/reads"), folder("s3://sequencing/d")):
        assert failure(item).kind == "temporaryFail"
    store.moods.clear()
    assert path_of(one(file("s3://sequencing/d/reads"))).read_bytes() == READS


def slow(store: Buckets, method: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes] | None]:
    def answer(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] == method:
            store.over.wait(60)
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
    store: Buckets, monkeypatch: pytest.MonkeyPatch, item: dict[str, Any], method: str, option: str, kind: str
) -> None:
    store.put(BUCKET, "d/reads", READS)
    monkeypatch.setenv(f"AIRFLOW__CWL__{option}", "0.5")
    store.moods.append(slow(store, method))
    error = failure(item)
    assert (error.kind, f"[cwl] {option.lower()}" in str(error)) == (kind, True)


def test_the_time_of_an_input_is_that_of_all_objects_of_a_folder(
    store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        store.put(BUCKET, f"d/{name}", READS)
    now = [0.0]

    def take_long(environ: dict[str, Any], _start_response: Callable[..., Any]) -> None:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            now[0] += 40

    store.moods.append(take_long)
    monkeypatch.setattr(connecting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_INPUT_TIMEOUT", "100")
    assert "[cwl] fetch_input_timeout" in str(failure(folder(f"s3://{BUCKET}/d")))


def test_a_login_that_takes_for_ever_is_left(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    address = store.put(BUCKET, "reads", READS)
    monkeypatch.setattr(storage, "_system", lambda _root: store.over.wait(60))
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_TIMEOUT", "0.5")
    error = failure(file(address))
    assert (error.kind, "[cwl] fetch_timeout" in str(error)) == ("temporaryFail", True)


@pytest.mark.parametrize("part", [None, f"bytes 0-{len(READS) - 1}/{len(READS)}"])
def test_an_answer_without_end_is_not_read_to_its_end(store: Buckets, part: str | None) -> None:
    """Not into memory, whatever its head says; of one that begins as announced, so much is taken."""
    address = store.put(BUCKET, "reads", READS)
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

    store.moods.append(endless)
    if part:
        assert path_of(one(file(address, checksum=SHA1))).read_bytes() == READS
    else:
        error = failure(file(address))
        assert (error.kind, "does not give a part" in str(error)) == ("temporaryFail", True)
    assert len(blocks) < 32


@pytest.mark.parametrize("part", ["bytes 0-4/10", "bytes 1-5/6", "bytes 0-4/*"])
def test_a_part_of_something_else_is_not_taken(store: Buckets, part: str) -> None:
    address = store.put(BUCKET, "reads", READS)
    store.moods.append(answering("206 Partial Content", READS, [("Content-Range", part)]))
    error = failure(file(address))
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)


@pytest.mark.parametrize("times", [2, 3])
def test_an_answer_that_breaks_off_is_asked_for_again(store: Buckets, times: int) -> None:
    address = store.put(BUCKET, "reads", READS)
    part = [("Content-Range", f"bytes 0-{len(READS) - 1}/{len(READS)}"), ("Content-Length", str(len(READS)))]
    store.moods.append(answering("206 Partial Content", READS[:2], part, times))
    if times == 2:
        assert path_of(one(file(address, checksum=SHA1))).read_bytes() == READS
    else:
        assert failure(file(address)).kind == "temporaryFail"


def test_what_a_store_says_is_shown_to_nobody(store: Buckets, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a login, or an address that is a key; the log has it without these."""
    address = store.put(BUCKET, "reads", READS)
    said = "no https://user:se/cret@store.internal/x?sig=secret for arn:aws:iam::1:user/secret"
    store.moods.append(refusing("500 Oh", code="InternalError", message=said))
    with pytest.raises(StepError) as caught:
        one(folder(f"s3://{BUCKET}"))
    told = "".join(traceback.format_exception(caught.value))
    assert "(InternalError, HTTP 500)" in str(caught.value)
    assert "secret" not in told
    assert "cret@" not in told
    store.moods.clear()
    assert "https://...@store.internal/x?..." in caplog.text
    assert "se/cret" not in caplog.text
    assert path_of(one(file(address))).read_bytes() == READS


def test_the_id_of_a_connection_is_taken_as_it_is(
    store: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    """With a ``#`` in an address it was lost, and the worker's own credentials were used."""
    name = f"{connection_id()}#1?a"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert path_of(one(file(store.put(BUCKET, "reads", READS)))).read_bytes() == READS


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
def test_keys_of_a_listing_are_checked_as_those_of_jobs(store: Buckets, key: str, content: bytes, match: str) -> None:
    store.put(BUCKET, key, content)
    error = failure(folder(f"s3://{BUCKET}/d"))
    assert (error.kind, match in str(error)) == ("permanentFail", True), str(error)


def test_keys_that_a_listing_names_elsewhere_are_not_read(store: Buckets) -> None:
    store.moods.append(listing_without_end)
    error = failure(folder(f"s3://{BUCKET}/other"))
    assert (error.kind, "the store names it among" in str(error)) == ("permanentFail", True)


def test_a_folder_that_is_a_marker_alone_is_not_there(store: Buckets) -> None:
    store.put(BUCKET, "d/")
    assert "nothing below" in str(failure(folder(f"s3://{BUCKET}/d")))


def test_a_store_is_asked_once_for_secondary_files_of_one_file(store: Buckets) -> None:
    wanted = Parameter(
        id="x",
        type="File[]",
        secondary_files=({"pattern": ".bai", "required": None}, {"pattern": "^.bai", "required": None}),
    )
    reads = file(store.put(BUCKET, "d/r", READS))
    store.put(BUCKET, "d/r.bai", b"index")
    several = brought({"x": [reads, reads, reads]}, go_on, [wanted])["x"]
    assert isinstance(several, list)
    assert [[part["basename"] for part in item["secondaryFiles"]] for item in several] == [["r.bai"]] * 3
    asked = [one for one in store.asked if one.startswith("HEAD")]
    assert len(asked) == 3, "whether the index is there, and each of the two before it comes"


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_stop_ends_it_even_while_a_store_is_silent(store: Buckets, method: str) -> None:
    address = store.put(BUCKET, "reads", READS)
    store.moods.append(slow(store, method))

    def check() -> None:
        if any(asked.startswith(method) for asked in store.asked):
            raise _Stopped

    with pytest.raises(_Stopped):
        brought({"x": file(address)}, check)
    assert kept() == []


@pytest.mark.parametrize("now", [b"other", b"longer than before", None])
def test_a_listing_that_is_stale_may_be_right_later(store: Buckets, now: bytes | None) -> None:
    """What it names is gone, or another by now."""
    store.put(BUCKET, "d/reads", READS)

    def change(environ: dict[str, Any], _start_response: Callable[..., Any]) -> None:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" not in environ["QUERY_STRING"]:
            store.moods.clear()
            store.client.delete_object(Bucket=BUCKET, Key="d/reads")
            if now is not None:
                store.put(BUCKET, "d/reads", now)

    store.moods.append(change)
    error = failure(folder("s3://sequencing/d"))
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)
    store.put(BUCKET, "d/reads", b"other")
    assert (path_of(one(folder("s3://sequencing/d"))) / "reads").read_bytes() == b"other"


def test_two_roots_in_a_job_are_told_apart_by_their_address_in_what_is_said_of_a_run(store: Buckets) -> None:
    job = {
        "file": file(store.put(BUCKET, "a?b/reads", READS), checksum=SHA1),
        "folder": folder("s3://sequencing/a?b/"),
    }
    here = brought(job, go_on)
    origins = Origins(job)
    assert origins.address_of(path_of(here["file"])) == "s3://sequencing/a?b/reads"
    assert origins.address_of(path_of(here["folder"])) == "s3://sequencing/a?b/"
    assert origins.address_of(path_of(here["folder"]) / "reads") == "s3://sequencing/a?b/reads"
    assert origins.address_of(config.fetched_folder() / "x" / "y") == ""
    assert origins.address_of(Path("/etc/passwd")) == ""
