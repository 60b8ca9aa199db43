"""Files and folders of a job that are in a bucket come here before the first step, as they are there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.buckets import BUCKET, Buckets, connection_id
from support.stored_jobs import failure, file, folder, go_on, one, path_of, refused

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import Origins, brought

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"
HIDING = [
    "s3://secret/reader@bucket/pre",
    "s3://AKIA:se@secret@bucket",
    "s3://secret@bucket/../b",
    "s3://a@b/secret@c, s3://d@b/secret@c",
]
"""Entries that are none, of which nothing is shown before the last ``@``."""


def gets(object_store: Buckets) -> list[str]:
    return [asked for asked in object_store.asked if asked.startswith("GET") and "list-type" not in asked]


def test_a_file_comes_with_its_secondary_files_and_once(object_store: Buckets) -> None:
    reads, index = (
        object_store.put(BUCKET, "run 1/reads.bam", READS),
        object_store.put(BUCKET, "run 1/reads.bam.bai", b"index"),
    )
    for _run in range(2):
        here = one(file(reads, checksum=SHA1, size=len(READS), secondaryFiles=[file(index)]))
        assert path_of(here).read_bytes() == READS
        assert here["basename"] == "reads.bam"
        assert not here.keys() & {"checksum", "size"}, "cwltool finds them out itself"
        assert path_of(here["secondaryFiles"][0]).name == "reads.bam.bai"
        assert not file_rules().allows(path_of(here)), "whoever knows the address may have it, nobody else"
    assert len(gets(object_store)) == 2, "the second run has asked only whether they are the same"
    assert not list(config.fetched_folder().glob("?*.lock"))


def test_secondary_files_that_an_input_asks_for_are_found_beside_an_object(object_store: Buckets) -> None:
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
        object_store.put(BUCKET, f"d/{name}", name.encode())
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


def test_what_was_written_anew_is_fetched_anew_and_the_old_stays_for_who_reads_it(object_store: Buckets) -> None:
    address = object_store.put(BUCKET, "reads", READS)
    before = path_of(one(file(address)))
    object_store.put(BUCKET, "reads", b"other")
    assert path_of(one(file(address))).read_bytes() == b"other"
    assert before.read_bytes() == READS


def test_a_folder_comes_with_all_that_is_below_it(object_store: Buckets) -> None:
    object_store.put(BUCKET, "genome/")
    object_store.put(BUCKET, "genome/chr 1/a.fa", READS)
    object_store.put(BUCKET, "genome/empty/")
    object_store.put(BUCKET, "genome/none.txt")
    object_store.put(BUCKET, "genomes/other", b"not below it")
    for address in ("s3://sequencing/genome", "S3://sequencing/genome/"):
        here = one(folder(address))
        top = path_of(here)
        assert (top.name, here["basename"]) == ("genome", "genome")
        found = {str(path.relative_to(top)): path.is_dir() for path in top.rglob("*")}
        assert found == {"chr 1": True, "chr 1/a.fa": False, "empty": True, "none.txt": False}
        assert (top / "chr 1/a.fa").read_bytes() == READS
    assert len(gets(object_store)) == 1, "of files with no bytes nothing is asked"
    object_store.put(BUCKET, "genome/none.txt", b"now some")
    assert (path_of(one(folder("s3://sequencing/genome"))) / "none.txt").read_bytes() == b"now some"
    assert path_of(one(folder("s3://sequencing"))).name == BUCKET


def test_a_large_object_comes_in_parts(object_store: Buckets) -> None:
    content = bytes(range(256)) * 4096 * 20
    here = one(file(object_store.put(BUCKET, "large", content), checksum=f"sha1${hashlib.sha1(content).hexdigest()}"))
    assert path_of(here).read_bytes() == content
    assert len(gets(object_store)) > 1


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
def test_odd_keys_are_taken_as_they_are(object_store: Buckets, key: str) -> None:
    here = one(file(object_store.put(BUCKET, key, READS)))
    assert path_of(here).read_bytes() == READS
    assert path_of(here).name == here["basename"] == key.rpartition("/")[2]


def test_a_name_that_no_file_can_have_becomes_another(object_store: Buckets) -> None:
    assert path_of(one(file(object_store.put(BUCKET, "z" * 1000, READS)))).name == "download"


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
def test_what_may_not_be_read_is_said_when_the_run_starts(object_store: Buckets, location: str, match: str) -> None:
    said = refused(file(location))
    assert match in said
    assert "secret" not in said
    with pytest.raises(StepError):
        brought({"x": file(location)}, go_on)
    assert object_store.asked == []


def test_only_what_begins_with_the_prefix_of_a_root_is_read_and_the_innermost_says_how(
    object_store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", object_store.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/open/, s3://not_there@{BUCKET}/open/not")
    assert path_of(one(file(object_store.put(BUCKET, "open/a", READS)))).read_bytes() == READS
    for key in ("a", "opened/a", "open"):
        assert "storage_roots" in refused(file(f"s3://{BUCKET}/{key}")), key
    assert path_of(one(folder(f"s3://{BUCKET}/open"))).name == "open"
    with pytest.raises(StepError, match=r"Connection that .* is not there"):
        one(file(object_store.put(BUCKET, "open/not/a", READS)))


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
def test_a_root_that_is_none_is_told(object_store: Buckets, monkeypatch: pytest.MonkeyPatch, roots: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", roots)
    with pytest.raises(config.ConfigError, match=r"\[cwl\] storage_roots: ") as caught:
        file_rules()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("announced", "match"),
    [({"checksum": f"sha1${'0' * 40}"}, "not what was announced: its sha1"), ({"size": 7}, "it has 5 bytes, not 7")],
)
def test_what_is_not_as_announced_fails_for_good(object_store: Buckets, announced: dict[str, Any], match: str) -> None:
    error = failure(file(object_store.put(BUCKET, "reads", READS), **announced))
    assert (error.kind, match in str(error)) == ("permanentFail", True)
    assert bool(gets(object_store)) == ("checksum" in announced), "a store tells the size without its bytes"


@pytest.mark.parametrize("size", [-1, "5", True, 1.5])
def test_a_size_is_a_number_of_bytes(object_store: Buckets, size: object) -> None:
    assert "number of bytes" in refused(file("s3://sequencing/a", size=size))


@pytest.mark.parametrize("item", [file("s3://sequencing/gone"), folder("s3://sequencing/gone")])
def test_what_is_not_there_fails_for_good(object_store: Buckets, item: dict[str, Any]) -> None:
    error = failure(item)
    assert (error.kind, "s3://sequencing/gone" in str(error)) == ("permanentFail", True)


def test_a_file_that_is_a_folder_is_told(object_store: Buckets) -> None:
    object_store.put(BUCKET, "a/b", READS)
    assert "give a Directory" in str(failure(file("s3://sequencing/a")))


@pytest.mark.parametrize("keys", [["d/a", "d/a/b"], ["d/a", "d/a/"], ["d//a"], [f"d/{'x' * 300}"]])
def test_keys_that_can_not_be_files_beside_each_other_are_told(object_store: Buckets, keys: list[str]) -> None:
    for key in keys:
        object_store.put(BUCKET, key, b"" if key.endswith("/") else READS)
    error = failure(folder("s3://sequencing/d"))
    assert error.kind == "permanentFail"
    assert "s3://sequencing/d" in str(error)


def test_files_and_bytes_are_bounded_together(object_store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = file(object_store.put(BUCKET, "d/a", READS)), file(object_store.put(BUCKET, "d/b", READS))
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


def test_the_id_of_a_connection_is_taken_as_it_is(
    object_store: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    """With a ``#`` in an address it was lost, and the worker's own credentials were used."""
    name = f"{connection_id()}#1?a"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", object_store.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert path_of(one(file(object_store.put(BUCKET, "reads", READS)))).read_bytes() == READS


def test_a_folder_that_is_a_marker_alone_is_not_there(object_store: Buckets) -> None:
    object_store.put(BUCKET, "d/")
    assert "nothing below" in str(failure(folder(f"s3://{BUCKET}/d")))


def test_a_store_is_asked_once_for_secondary_files_of_one_file(object_store: Buckets) -> None:
    wanted = Parameter(
        id="x",
        type="File[]",
        secondary_files=({"pattern": ".bai", "required": None}, {"pattern": "^.bai", "required": None}),
    )
    reads = file(object_store.put(BUCKET, "d/r", READS))
    object_store.put(BUCKET, "d/r.bai", b"index")
    several = brought({"x": [reads, reads, reads]}, go_on, [wanted])["x"]
    assert isinstance(several, list)
    assert [[part["basename"] for part in item["secondaryFiles"]] for item in several] == [["r.bai"]] * 3
    asked = [one for one in object_store.asked if one.startswith("HEAD")]
    assert len(asked) == 3, "whether the index is there, and each of the two before it comes"


def test_two_roots_in_a_job_are_told_apart_by_their_address_in_what_is_said_of_a_run(object_store: Buckets) -> None:
    job = {
        "file": file(object_store.put(BUCKET, "a?b/reads", READS), checksum=SHA1),
        "folder": folder("s3://sequencing/a?b/"),
    }
    here = brought(job, go_on)
    origins = Origins(job)
    assert origins.address_of(path_of(here["file"])) == "s3://sequencing/a?b/reads"
    assert origins.address_of(path_of(here["folder"])) == "s3://sequencing/a?b/"
    assert origins.address_of(path_of(here["folder"]) / "reads") == "s3://sequencing/a?b/reads"
    assert origins.address_of(config.fetched_folder() / "x" / "y") == ""
    assert origins.address_of(Path("/etc/passwd")) == ""
