"""Looking into buckets for input files: a page at a time, in time, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, buckets, connection_id, refusing

from cwl_ui_plugin.fetching import quick_answers
from cwl_ui_plugin.fetching.quick_answers import LOOKING
from cwl_ui_plugin.fetching.storage_roots import StorageRoot
from cwl_ui_plugin.services.errors import BadRequest, NotFound, Unavailable
from cwl_ui_plugin.services.inputs import browsing, stored_browsing
from cwl_ui_plugin.services.inputs.access import shared_only
from cwl_ui_plugin.services.inputs.entries import Folder

BUCKET = "sequencing"
ODD = ["a b#1.txt", "100%41.txt", "ä ?.txt", "<i>.txt"]


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        running.client.create_bucket(Bucket=BUCKET)
        for name in ("run/s10.fq", "run/s2.fq", "run/S3.FQ", "run/notes.txt", "run/lane/x.fq", "other/x.fq", "run/"):
            running.put(BUCKET, name, b"x" * 2000)
        for name in (*ODD, "x\u202ey.txt", "v?versionId=1", "a//b/c.txt"):
            running.put(BUCKET, f"run/odd/{name}")
        yield running


@pytest.fixture
def store(server: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path) -> Iterator[Buckets]:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/run")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.asked.clear()
    yield server
    server.moods.clear()


def look(path: str, match: str = "", after: str = "") -> Folder:
    return browsing.browse(shared_only(), path, match, after)


def names(found: Folder) -> list[str]:
    return [entry.name for entry in found.entries]


def test_places_of_stores_come_behind_the_folders(store: Buckets) -> None:
    assert names(look(""))[1:] == [f"s3://{BUCKET}/run/"]
    assert store.asked == [], "they are listed without asking any store"


def test_a_folder_has_sizes_and_moments_and_leads_back(store: Buckets) -> None:
    found = look(f"s3://{BUCKET}/run/")
    assert names(found) == ["lane", "odd", "notes.txt", "s2.fq", "S3.FQ", "s10.fq"]
    file = found.entries[3]
    assert (file.path, file.size_text) == (f"s3://{BUCKET}/run/s2.fq", "2.0 kB")
    assert file.modified.endswith("+00:00")
    inner = look(found.entries[0].path)
    assert inner.path == f"s3://{BUCKET}/run/lane/"
    assert [entry.path for entry in inner.trail] == [f"s3://{BUCKET}/run/", f"s3://{BUCKET}/run/lane/"]
    assert names(inner) == ["x.fq"]


def test_odd_names_are_shown_as_they_are_unless_no_job_can_have_them(store: Buckets) -> None:
    found = look(f"s3://{BUCKET}/run/odd/")
    assert sorted(names(found)) == sorted(["a", *ODD])
    assert found.unusable == 2
    nameless = look(f"{found.entries[0].path}")
    assert names(nameless) == [""]
    assert names(look(nameless.entries[0].path)) == ["b"]


@pytest.mark.parametrize(
    ("match", "shown"),
    [
        ("s", ["s2.fq", "s10.fq"]),
        ("*.fq", ["lane", "odd", "s2.fq", "S3.FQ", "s10.fq"]),
        ("s?.fq", ["s2.fq"]),
        ("otes", []),
        ("notes s1", ["lane", "odd", "notes.txt", "s10.fq"]),
    ],
)
def test_words_begin_names_and_patterns_fit_them(store: Buckets, match: str, shown: list[str]) -> None:
    assert names(look(f"s3://{BUCKET}/run", match)) == shown


def test_a_store_is_asked_for_a_page_and_for_what_names_begin_with(
    store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_browsing, "PAGE_ENTRIES", 2)
    seen, after, asked = [], "", 0
    while asked == 0 or after:
        found = look(f"s3://{BUCKET}/run/", "", after)
        seen, after, asked = [*seen, *names(found)], found.after, asked + 1
        assert len(store.asked) == asked
    assert sorted(seen) == ["S3.FQ", "lane", "notes.txt", "odd", "s10.fq", "s2.fq"]
    store.asked.clear()
    assert names(look(f"s3://{BUCKET}/run/", "s1*")) == ["s10.fq"]
    assert "prefix=run%2Fs1&" in store.asked[0]
    assert "max-keys=2" in store.asked[0]


def test_a_filter_that_nothing_fits_looks_on_for_some_pages_only(
    store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_browsing, "PAGE_ENTRIES", 1)
    monkeypatch.setattr(stored_browsing, "PAGES_LOOKED_AT", 2)
    store.put(BUCKET, "run/lane/y.txt")
    store.put(BUCKET, "run/lane/z.txt")
    found = look(f"s3://{BUCKET}/run/lane/", "*z*")
    assert (found.entries, found.hidden, bool(found.after)) == ((), 2, True)
    assert names(look(f"s3://{BUCKET}/run/lane/", "*z*", found.after)) == ["z.txt"]


@pytest.mark.parametrize(
    "path",
    [
        f"s3://{BUCKET}/",
        f"s3://{BUCKET}/other/",
        f"s3://{BUCKET}/runs/",
        f"s3://{BUCKET}/run/../other/",
        "s3://elsewhere/",
        f"s3://me@{BUCKET}/run/",
        "gs://sequencing/run/",
        "S3://",
    ],
)
def test_nothing_else_is_shown(store: Buckets, path: str) -> None:
    with pytest.raises(NotFound):
        look(path)
    assert store.asked == []


@pytest.mark.parametrize(("match", "after"), [("*a" * 9, ""), ("", "x" * 5000)])
def test_what_is_asked_has_a_bound(store: Buckets, match: str, after: str) -> None:
    with pytest.raises(BadRequest):
        look(f"s3://{BUCKET}/run/", match, after)


@pytest.mark.parametrize(
    ("status", "code", "error", "said"),
    [
        ("503 Slow Down", "SlowDown", Unavailable, "HTTP 503"),
        ("403 Forbidden", "AccessDenied", NotFound, "does not give"),
        ("404 Not Found", "NoSuchBucket", NotFound, "no such bucket"),
        ("500 Internal Server Error", "InternalError", Unavailable, "HTTP 500"),
    ],
)
def test_a_store_that_refuses_is_told_in_words(
    store: Buckets, status: str, code: str, error: type[Exception], said: str
) -> None:
    store.moods.append(refusing(status, code=code, message="secret-of-the-store"))
    with pytest.raises(error, match=said) as caught:
        look(f"s3://{BUCKET}/run/")
    assert "secret-of-the-store" not in str(caught.value)


def test_a_dead_store_and_a_connection_that_is_not_there_are_told(
    store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = connection_id()
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/run")
    with pytest.raises(Unavailable, match="Connection"):
        look(f"s3://{BUCKET}/run/")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection(endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match=f"s3://{BUCKET}/run"):
        look(f"s3://{BUCKET}/run/")


def test_a_connection_that_was_changed_counts_at_once(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    name = connection_id()
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/run")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection(endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        look(f"s3://{BUCKET}/run/")
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", store.connection())
    assert "s2.fq" in names(look(f"s3://{BUCKET}/run/"))


def silent(let_go: threading.Event) -> Callable[..., Iterable[bytes] | None]:
    def hang(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        let_go.wait(60)
        start_response("503 Slow Down", [("Content-Length", "0")])
        return []

    return hang


def test_a_silent_store_takes_a_bounded_time_and_few_threads(store: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_answers, "SECONDS", 0.5)
    let_go = threading.Event()
    store.moods.append(silent(let_go))
    for _time in range(LOOKING.at_once):
        with pytest.raises(Unavailable, match=r"did not answer within 0\.5 seconds"):
            look(f"s3://{BUCKET}/run/")
    asked = len(store.asked)
    with pytest.raises(Unavailable, match="others wait"):
        look(f"s3://{BUCKET}/run/")
    assert len(store.asked) == asked
    store.moods.clear()
    let_go.set()
    slots = quick_answers.slots_of(StorageRoot("s3", BUCKET, "", None), LOOKING)
    for _place in range(LOOKING.at_once):
        assert slots.acquire(timeout=60), "what nobody waited for any more has given its place back"
    for _place in range(LOOKING.at_once):
        slots.release()
    monkeypatch.setattr(quick_answers, "SECONDS", 60)
    assert "s2.fq" in names(look(f"s3://{BUCKET}/run/"))


def test_other_stores_are_looked_into_too(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import airflow.sdk.io.fs as stores
    from fsspec.implementations.memory import MemoryFileSystem

    system = MemoryFileSystem()
    for name in ("b/d/in/x.txt", "b/d/one.txt", "b/d/two.txt"):
        system.pipe(f"/{name}", b"12")
    monkeypatch.setattr(stores, "get_fs", lambda *_named: system)
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", "memory://b/d")
    monkeypatch.setattr(stored_browsing, "PAGE_ENTRIES", 2)
    found = look("memory://b/d/")
    assert names(found) == ["in", "one.txt"]
    assert names(look("memory://b/d/", "", found.after)) == ["two.txt"]
    assert names(look("memory://b/d/in/")) == ["x.txt"]
    assert names(look("memory://b/d/", "t")) == ["two.txt"]
