"""Files of a job that are on the network come here before the first step, once, and as they were announced."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.web import Web, endless, giving, web

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import Problem, StepError
from cwl_ui_plugin.cwl.jobs.types import Checker
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import brought

READS = b"ACGT\n"
SHA1 = f"sha1${hashlib.sha1(READS).hexdigest()}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, folders: Path) -> Iterator[Web]:
    with web() as running:
        monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", running.host)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


def go_on() -> None:
    """Nobody has stopped it."""


def file(location: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def path_of(item: dict[str, Any]) -> Path:
    return Path(item["location"].removeprefix("file://"))


def test_files_come_once_wherever_they_are_in_a_job(site: Web) -> None:
    reads, index = site.put("/reads.fq", READS), site.put("/reads.fq.fai", b"index")
    job = {
        "text": "x",
        "files": [file(reads, checksum=SHA1, secondaryFiles=[file(index)])],
        "record": {"one": file(reads)},
    }
    for _run in range(2):
        here = brought(job, go_on)
        first = here["files"][0]
        assert path_of(first).read_bytes() == READS
        assert (first["basename"], "checksum" in first) == ("reads.fq", False)
        assert path_of(first["secondaryFiles"][0]).name == "reads.fq.fai"
        assert path_of(here["record"]["one"]).read_bytes() == READS
        assert not file_rules().allows(path_of(first)), "whoever knows the address may have it, nobody else"
    assert sorted(site.asked) == ["/reads.fq", "/reads.fq", "/reads.fq.fai"], "with and without a checksum"
    assert not list(config.fetched_folder().glob("?*.lock"))
    assert here["text"] == "x"


def test_a_checksum_that_is_wrong_fails_for_good(site: Web) -> None:
    url = site.put("/reads.fq", b"other")
    with pytest.raises(StepError, match=r"not what was announced: its sha1") as caught:
        brought({"file": file(url, checksum=SHA1)}, go_on)
    assert caught.value.kind == "permanentFail"
    assert [path.name for path in config.fetched_folder().iterdir() if path.is_dir()] == []


def test_a_size_that_is_wrong_fails_for_good_and_tells_no_key(site: Web) -> None:
    url = site.put("/reads.fq", READS)
    with pytest.raises(StepError, match=r"reads.fq is not what was announced: it has 5 bytes, not 6") as caught:
        brought({"file": file(f"{url}?key=a-secret", size=6)}, go_on)
    assert "a-secret" not in str(caught.value)
    assert caught.value.kind == "permanentFail"
    assert "size" not in brought({"file": file(url, size=5)}, go_on)["file"]


def test_a_host_that_is_away_may_be_back_later(site: Web) -> None:
    site.pages["/reads.fq"] = giving(b"", 503)
    with pytest.raises(StepError) as caught:
        brought({"file": file(site.url("/reads.fq"))}, go_on)
    assert caught.value.kind == "temporaryFail"
    site.put("/reads.fq", READS)
    assert path_of(brought({"file": file(site.url("/reads.fq"))}, go_on)["file"]).read_bytes() == READS


class _Stopped(Exception):
    pass


def test_a_stop_ends_it(site: Web) -> None:
    site.pages["/reads.fq"] = endless
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise _Stopped

    with pytest.raises(_Stopped):
        brought({"file": file(site.url("/reads.fq"))}, check)
    assert [path for path in config.fetched_folder().iterdir() if path.is_dir()] == []


def test_two_runs_at_once_fetch_one_file(site: Web) -> None:
    begun, goes_on, found = threading.Event(), threading.Event(), []

    def slowly(handler: Any) -> None:
        begun.set()
        goes_on.wait(60)
        giving(READS)(handler)

    site.pages["/reads.fq"] = slowly
    job = {"file": file(site.url("/reads.fq"))}

    def run() -> None:
        found.append(path_of(brought(job, go_on)["file"]))

    threads = [threading.Thread(target=run) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    goes_on.set()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert len(set(found)) == 1
    assert site.asked == ["/reads.fq"]


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("MAX_FETCHED_FILES", "2", r"more than 2 files.*max_fetched_files"),
        ("MAX_FETCHED_SIZE", "12", r"/c is larger than 2 bytes .*max_fetched_size"),
    ],
)
def test_the_files_of_a_job_are_bounded_together(
    site: Web, monkeypatch: pytest.MonkeyPatch, option: str, value: str, match: str
) -> None:
    """Also where they are here already, and each once however often it is named."""
    a, b, c = (file(site.put(f"/{name}", READS)) for name in "abc")
    brought({"files": [a, b, a, {**b, "secondaryFiles": [a]}]}, go_on)
    monkeypatch.setenv(f"AIRFLOW__CWL__{option}", value)
    brought({"files": [a, b, a, {**b, "secondaryFiles": [a]}]}, go_on)
    with pytest.raises(StepError, match=match) as caught:
        brought({"files": [a, b, c]}, go_on)
    assert caught.value.kind == "permanentFail"
    monkeypatch.delenv(f"AIRFLOW__CWL__{option}")
    brought({"files": [a, b, c]}, go_on)
    monkeypatch.setenv(f"AIRFLOW__CWL__{option}", value)
    with pytest.raises(StepError, match=option.lower()):
        brought({"record": {"files": [a, b]}, "more": c}, go_on)


def test_names_that_are_none_get_another(site: Web) -> None:
    for path in ("/", "/a%2Fb", "/%2E%2E", f"/{'x' * 300}"):
        site.pages[path] = giving(READS)
        here = brought({"file": file(site.url(path))}, go_on)["file"]
        assert path_of(here).parent.parent == config.fetched_folder()


def test_a_name_may_be_as_long_as_names_are_and_have_a_percent_sign(site: Web) -> None:
    for name in ("\N{HIRAGANA LETTER A}" * 80, "100%41.txt"):
        site.put(f"/{quote(name)}", READS)
        assert path_of(brought({"file": file(site.url(f"/{quote(name)}"))}, go_on)["file"]).name == quote(name)


def test_schemes_may_be_in_capitals(site: Web) -> None:
    url = site.put("/reads.fq", READS).replace("http:", "HTTP:")
    problems: list[Problem] = []
    checked = Checker(file_rules()).check("File", file(url, checksum=SHA1), problems)
    assert problems == []
    assert path_of(brought({"file": checked}, go_on)["file"]).read_bytes() == READS


def test_what_was_not_used_for_long_is_removed(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.services.retention import cached

    place = path_of(brought({"file": file(site.put("/reads.fq", READS))}, go_on)["file"]).parent
    monkeypatch.setattr(cached, "needed_since", lambda: 10.0**10)
    assert list(cached.FETCHED.find()) == []
    os.utime(place, (1000, 1000))
    lock = place.with_name(f"{place.name}.lock")
    lock.touch()  # as an earlier version has left it
    cached.sweep_fetched()
    assert not lock.exists()
    (item,) = cached.FETCHED.find()
    assert cached.FETCHED.remove(item)
    assert not place.exists()


def put_object(site: Web, **more: Any) -> str:
    """Have a DRS server with one object; return its address."""
    access = [{"type": "s3", "access_url": {"url": "s3://x/y"}}, {"type": "https", "access_id": "a/1"}]
    sums = [{"type": "md5", "checksum": hashlib.md5(READS).hexdigest()}, {"type": "etag", "checksum": "x"}]
    found = {"id": "x", "name": "reads.fq", "checksums": sums, "access_methods": access, **more}
    site.put("/ga4gh/drs/v1/objects/x", json.dumps(found).encode())
    given = {"url": site.put("/bytes", READS), "headers": ["X-Key: secret"]}
    site.put("/ga4gh/drs/v1/objects/x/access/a%2F1", json.dumps(given).encode())
    return f"drs://{site.host}/x"


def test_an_object_of_a_drs_server_is_fetched_and_verified(site: Web) -> None:
    here = brought({"file": file(put_object(site))}, go_on)["file"]
    assert (here["basename"], path_of(here).read_bytes()) == ("reads.fq", READS)
    assert site.headers[-1]["x-key"] == "secret"
    with pytest.raises(StepError, match="its sha1"):
        brought({"file": file(put_object(site), checksum=f"sha1${'0' * 40}")}, go_on)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"checksums": [{"type": "sha-256", "checksum": "0" * 64}]}, "its sha256"),
        ({"access_methods": [{"type": "gs"}]}, "without a login"),
        ({"access_methods": 7}, "without a login"),
        ({"contents": [{"name": "a"}]}, "a bundle"),
        ({"access_methods": [{"type": "https", "access_url": {"url": "http://169.254.169.254/"}}]}, "fetch_hosts"),
        ({"access_methods": [{"type": "https", "access_url": {"url": "file:///etc/passwd"}}]}, "only http"),
        (
            {"access_methods": [{"type": "https", "access_url": {"url": "http://x/", "headers": ["Host: y"]}}]},
            "a header that is not sent",
        ),
    ],
)
def test_drs_servers_that_lie_are_told_of(site: Web, more: dict[str, Any], match: str) -> None:
    with pytest.raises(StepError, match=match) as caught:
        brought({"file": file(put_object(site, **more))}, go_on)
    assert caught.value.kind == "permanentFail"
