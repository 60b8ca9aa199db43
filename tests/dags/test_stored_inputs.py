"""Files and folders of a job that are in a bucket come here before the first step, as they are there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, buckets, connection_id, listing_without_end, refusing

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import Problem, StepError
from cwl_ui_plugin.cwl.jobs.types import Checker
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import Origins, brought

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"
BUCKET = "sequencing"


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


def go_on() -> None:
    """Nobody has stopped it."""


def file(location: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def folder(location: str) -> dict[str, Any]:
    return {"class": "Directory", "location": location}


def path_of(item: dict[str, Any]) -> Path:
    from urllib.parse import unquote

    return Path(unquote(item["location"].removeprefix("file://")))


def one(item: dict[str, Any]) -> dict[str, Any]:
    """Check a value as it is checked when a run starts; return it as a step gets it."""
    problems: list[Problem] = []
    checked = Checker(file_rules()).check(item["class"], item, problems)
    assert problems == []
    found = brought({"x": checked}, go_on)["x"]
    assert isinstance(found, dict)
    return found


def refused(item: dict[str, Any]) -> str:
    """Return what is said of a value when a run starts."""
    problems: list[Problem] = []
    Checker(file_rules()).check(item["class"], item, problems)
    return " ".join(map(str, problems))


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
    "roots", ["sequencing", "s3://", "file:///etc", "https://x.org", "s3://a/b, s3://c@a/b/", "s3://a/../b", "s3:// a"]
)
def test_a_root_that_is_none_is_told(store: Buckets, monkeypatch: pytest.MonkeyPatch, roots: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", roots)
    with pytest.raises(config.ConfigError, match=r"\[cwl\] storage_roots: "):
        file_rules()


def kept() -> list[Path]:
    return [path for path in config.fetched_folder().glob("*") if path.is_dir()]


def failure(item: dict[str, Any]) -> StepError:
    with pytest.raises(StepError) as caught:
        one(item)
    assert kept() == [], "nothing of it is kept"
    return caught.value


@pytest.mark.parametrize(
    ("announced", "match"),
    [({"checksum": f"sha1${'0' * 40}"}, "not what was announced: its sha1"), ({"size": 7}, "it has 5 bytes, not 7")],
)
def test_what_is_not_as_announced_fails_for_good(store: Buckets, announced: dict[str, Any], match: str) -> None:
    error = failure(file(store.put(BUCKET, "reads", READS), **announced))
    assert (error.kind, match in str(error)) == ("permanentFail", True)


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
        store.put(BUCKET, key, READS)
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


@pytest.mark.parametrize(("method", "option"), [("HEAD", "FETCH_TIMEOUT"), ("GET", "FETCH_INPUT_TIMEOUT")])
def test_a_store_that_is_silent_is_left(
    store: Buckets, monkeypatch: pytest.MonkeyPatch, method: str, option: str
) -> None:
    address = store.put(BUCKET, "reads", READS)
    monkeypatch.setenv(f"AIRFLOW__CWL__{option}", "0.5")
    store.moods.append(slow(store, method))
    error = failure(file(address))
    assert f"[cwl] {option.lower()}" in str(error)


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


def test_a_listing_that_is_stale_may_be_right_later(store: Buckets) -> None:
    """What it names is gone, or another by now."""
    store.put(BUCKET, "d/reads", READS)

    def change(environ: dict[str, Any], _start_response: Callable[..., Any]) -> None:
        if environ["REQUEST_METHOD"] == "HEAD":
            store.moods.clear()
            store.put(BUCKET, "d/reads", b"other")

    store.moods.append(change)
    error = failure(folder("s3://sequencing/d"))
    assert (error.kind, "was changed" in str(error)) == ("temporaryFail", True)
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


def test_another_store_is_read_by_what_speaks_to_it(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    """Of any scheme that a provider of Airflow brings; here the memory of this process plays Azure's."""
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem

    class Blobs(MemoryFileSystem):  # type: ignore[misc]
        protocol = ("abfs",)
        store: dict[str, Any] = {}
        pseudo_dirs = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(str(path).removeprefix("abfs://")))

    name = connection_id()
    system = Blobs(skip_instance_cache=True)
    attach("abfs", conn_id=name, fs=system)
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", "wasb://x")
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"abfs://{name}@container/data")
    system.pipe("/container/data/d/reads", READS)
    system.pipe("/container/data/d/deeper/more", b"more")
    assert path_of(one(file("abfs://container/data/d/reads", checksum=SHA1))).read_bytes() == READS
    top = path_of(one(folder("abfs://container/data/d")))
    assert (top / "deeper" / "more").read_bytes() == b"more"
    system.pipe("/container/data/d/reads", b"other")
    assert path_of(one(file("abfs://container/data/d/reads"))).read_bytes() == b"other"
    shutil.rmtree(top)


def test_a_scheme_that_nothing_speaks_is_told(monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "gopher://bucket")
    error = failure(file("gopher://bucket/a"))
    assert "no provider of Airflow that speaks gopher://" in str(error)
    assert error.kind == "permanentFail"
