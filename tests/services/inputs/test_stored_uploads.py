"""Uploads to a bucket, part by part: signed for one part each, complete or not there, for the user who sent them."""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from support.buckets import Buckets, buckets, connection_id, refusing

from cwl_ui_plugin import config
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.types import Checker
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import brought
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs import browsing, owners, stored_uploads
from cwl_ui_plugin.services.inputs.access import GrantedAccess, InputAccess, shared_only
from cwl_ui_plugin.services.inputs.use import note_use
from cwl_ui_plugin.services.retention import uploads as retention
from cwl_ui_plugin.services.retention.items import DAY, Item
from cwl_ui_plugin.storing import browser_uploads

BUCKET = "sequencing"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        running.client.create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture
def bucket(server: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path, airflow_home: Path) -> Iterator[Buckets]:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}")
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_STORAGE", f"s3://{name}@{BUCKET}/sent")
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", server.endpoint)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr(stored_uploads, "PART_BYTES", 100)
    yield server
    server.moods.clear()
    server.clear(BUCKET)
    for upload in server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
        server.client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def user() -> str:
    return f"user-{uuid.uuid4().hex[:8]}"


def send(content: bytes, name: str, who: str, folder: str | None = None) -> str:
    """Upload a file as a browser does; return its address."""
    begun = stored_uploads.start(name, len(content), user=who, folder=folder)
    for number in range(1, begun.parts + 1):
        url = stored_uploads.signed_part(begun.id, number, user=who)
        part = content[(number - 1) * begun.part_size : number * begun.part_size]
        assert httpx.put(url, content=part, trust_env=False).status_code == 200
    return stored_uploads.complete(begun.id, user=who).location


def access(who: str) -> InputAccess:
    return InputAccess(who, lambda _dag_id: False)


def job(location: str, kind: str = "File") -> dict[str, Any]:
    return {"x": {"class": kind, "location": location}}


def refused(files: InputAccess, given: dict[str, Any]) -> str:
    problems: list[Problem] = []
    Checker(files.rules(given)).check(given["x"]["class"], given["x"], problems)
    return " ".join(map(str, problems))


def unfinished(bucket: Buckets) -> list[str]:
    return [upload["Key"] for upload in bucket.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]


@pytest.mark.parametrize("content", [b"", b"ACGT", os.urandom(205), os.urandom(300)])
def test_a_file_is_sent_in_parts_and_is_there_as_it_was(bucket: Buckets, content: bytes) -> None:
    location = send(content, "run 1/ä b#100%41.fq", user())
    folder = location.split("/")[4]
    assert location == f"s3://{BUCKET}/sent/{folder}/run 1/ä b#100%41.fq"
    found = bucket.client.get_object(Bucket=BUCKET, Key=location.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    assert found == content
    assert unfinished(bucket) == []


def test_an_address_is_for_one_part_of_a_size_and_for_a_while(bucket: Buckets) -> None:
    who = user()
    begun = stored_uploads.start("a.fq", 105, user=who)
    url = urlsplit(stored_uploads.signed_part(begun.id, 2, user=who))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}" == bucket.endpoint
    assert query["partNumber"] == "2"
    assert set(query["X-Amz-SignedHeaders"].split(";")) == {"content-length", "host"}
    assert int(query["X-Amz-Expires"]) <= 900
    assert "a-secret-of-the-tests" not in url.query
    with pytest.raises(NotFound):
        stored_uploads.signed_part(begun.id, 3, user=who)


@pytest.mark.parametrize(
    ("origin", "starts"),
    [
        (f"https://{BUCKET}.s3.eu-central-1.amazonaws.com", f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/sent/"),
        ("https://s3.internal.example", f"https://s3.internal.example/{BUCKET}/sent/"),
        ("", ""),
    ],
)
def test_addresses_begin_as_the_site_says(
    bucket: Buckets, monkeypatch: pytest.MonkeyPatch, origin: str, starts: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", origin)
    who = user()
    begun = stored_uploads.start("a.fq", 5, user=who)
    assert stored_uploads.signed_part(begun.id, 1, user=who).startswith(starts)
    assert bool(stored_uploads.signed_part(begun.id, 1, user=who)) == bool(starts)


def test_a_store_whose_host_begins_as_the_bucket_has_it_in_the_path(
    bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, origin = connection_id(), f"https://{BUCKET}.example.org"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", bucket.connection(endpoint_url=origin))
    address = StorageAddress(StorageRoot("s3", BUCKET, "", name), "a.fq")
    url = browser_uploads.signed_part(browser_uploads.Upload(address, "x"), 1, 5, origin)
    assert url.startswith(f"{origin}/{BUCKET}/a.fq?")


def test_parts_that_come_through_the_server_though_they_need_not_are_logged_once(
    bucket: Buckets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stored_uploads._tell_once.cache_clear()
    who = user()
    begun = stored_uploads.start("a.fq", 103, user=who)
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", "")
    stored_uploads.add_part(begun.id, 2, b"end", user=who)
    assert "uploads_origin" not in caplog.text
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", "https://s3.example.org")
    for _part in range(2):
        stored_uploads.add_part(begun.id, 2, b"end", user=who)
    assert caplog.text.count("https://s3.example.org") == 1


@pytest.mark.parametrize("origin", ["https://a.example/path", "a.example", "https://a;script-src *", "javascript:x"])
def test_no_other_origin_gets_into_the_policy_of_pages(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", origin)
    with pytest.raises(ConfigError):
        config.uploads_origin()


def test_who_does_not_reach_the_store_sends_through_the_server(bucket: Buckets) -> None:
    who = user()
    begun = stored_uploads.start("a.fq", 103, user=who)
    stored_uploads.add_part(begun.id, 2, b"end", user=who)
    assert stored_uploads.get(begun.id, user=who).arrived == (2,)
    with pytest.raises(Conflict, match="part 1"):
        stored_uploads.complete(begun.id, user=who)
    with pytest.raises(BadRequest):
        stored_uploads.add_part(begun.id, 1, b"short", user=who)
    stored_uploads.add_part(begun.id, 1, b"x" * 100, user=who)
    done = stored_uploads.complete(begun.id, user=who)
    assert stored_uploads.complete(begun.id, user=who) == done, "the answer of the first one may have been lost"
    assert stored_uploads.get(begun.id, user=who).location == done.location


def test_a_part_of_another_size_is_no_part(bucket: Buckets) -> None:
    """Whatever let it through: moto checks no signature."""
    who = user()
    begun = stored_uploads.start("a.fq", 5, user=who)
    httpx.put(stored_uploads.signed_part(begun.id, 1, user=who), content=b"more than that", trust_env=False)
    assert stored_uploads.get(begun.id, user=who).arrived == ()
    with pytest.raises(Conflict, match="not arrived"):
        stored_uploads.complete(begun.id, user=who)


def test_an_upload_is_its_users_alone(bucket: Buckets) -> None:
    who, other = user(), user()
    begun = stored_uploads.start("a.fq", 1, user=who)
    for act in (stored_uploads.get, stored_uploads.complete, stored_uploads.cancel):
        with pytest.raises(NotFound):
            act(begun.id, user=other)
    with pytest.raises(NotFound):
        stored_uploads.signed_part(begun.id, 1, user=other)
    with pytest.raises(NotFound):
        stored_uploads.add_part(begun.id, 1, b"x", user=other)
    folder = send(b"x", "b.fq", who).split("/")[4]
    with pytest.raises(Conflict, match="not yours"):
        stored_uploads.start("c.fq", 1, user=other, folder=folder)
    with pytest.raises(Conflict, match="already"):
        stored_uploads.start("b.fq", 1, user=who, folder=folder)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", "", "x" * 300, "d/" * 99 + "x"])
def test_names_lead_nowhere_else(bucket: Buckets, name: str) -> None:
    with pytest.raises(BadRequest):
        stored_uploads.start(name, 1, user=user())
    assert unfinished(bucket) == []


def test_bounds_are_those_of_other_uploads(bucket: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_uploads, "MAX_WAITING", 1)
    who = user()
    begun = stored_uploads.start("a.fq", 1, user=who)
    with pytest.raises(TooLarge, match="were not ended"):
        stored_uploads.start("b.fq", 1, user=who)
    stored_uploads.cancel(begun.id, user=who)
    assert unfinished(bucket) == []
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "10")
    with pytest.raises(TooLarge, match="max_input_size"):
        stored_uploads.start("b.fq", 11, user=who)


def test_what_goes_through_the_server_has_parts_that_it_takes(bucket: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "1e13")
    size = 10_000 * stored_uploads.MAX_PART
    stored_uploads.start("b.fq", size + 1, user=user())
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", "")
    stored_uploads.start("b.fq", size, user=user())
    with pytest.raises(TooLarge, match="uploads_origin"):
        stored_uploads.start("b.fq", size + 1, user=user())


def test_a_file_that_is_there_is_not_replaced_by_another_upload(bucket: Buckets) -> None:
    who, folder = user(), str(uuid.uuid4())
    begun = [stored_uploads.start("a.fq", 4, user=who, folder=folder) for _upload in range(2)]
    for upload, content in zip(begun, (b"ACGT", b"TTTT"), strict=True):
        stored_uploads.add_part(upload.id, 1, content, user=who)
    stored_uploads.complete(begun[0].id, user=who)
    with pytest.raises(Conflict, match=r"'a\.fq' in this folder already"):
        stored_uploads.complete(begun[1].id, user=who)
    stored_uploads.cancel(begun[1].id, user=who)
    found = bucket.client.get_object(Bucket=BUCKET, Key=f"sent/{folder}/a.fq")["Body"].read()
    assert found == b"ACGT"
    assert unfinished(bucket) == []


def test_a_file_that_is_there_at_the_last_moment_is_not_replaced_either(bucket: Buckets) -> None:
    who = user()
    begun = stored_uploads.start("a.fq", 4, user=who)
    stored_uploads.add_part(begun.id, 1, b"ACGT", user=who)
    [key] = unfinished(bucket)

    def be_faster(environ: dict[str, Any], _start_response: object) -> None:
        if environ["REQUEST_METHOD"] == "POST":
            bucket.put(BUCKET, key, b"TTTT")

    bucket.moods.append(be_faster)
    with pytest.raises(Conflict, match="already"):
        stored_uploads.complete(begun.id, user=who)
    assert bucket.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"TTTT"


def test_stores_that_know_no_conditions_take_uploads(bucket: Buckets) -> None:
    refuse = refusing("501 Not Implemented", code="NotImplemented")
    bucket.moods.append(lambda environ, start: refuse(environ, start) if "HTTP_IF_NONE_MATCH" in environ else None)
    location = send(b"ACGT", "a.fq", user())
    assert objects(bucket) == [location.removeprefix(f"s3://{BUCKET}/")]


@pytest.mark.parametrize(("size", "part_size", "parts"), [(0, 8, 1), (10_240, 10.24, 1000), (200_000, 20, 10_000)])
def test_large_files_have_larger_parts_but_not_more_than_s3_takes(size: int, part_size: float, parts: int) -> None:
    state = stored_uploads._State("u", "f", size * MIB, stored_uploads._part_size(size * MIB), "k", "x")
    assert state.part_size == pytest.approx(part_size * MIB, abs=1)
    assert len(state.sizes) == parts
    assert sum(state.sizes) == size * MIB


def test_a_job_may_name_ones_own_uploads_and_nobody_elses(bucket: Buckets) -> None:
    who = user()
    location = send(b"ACGT", "reads/a.fq", who)
    folder = location.rpartition("/")[0]
    upload = config.uploads_folder() / location.split("/")[4]
    for given in (job(location), job(folder, "Directory")):
        assert refused(access(who), given) == ""
        assert access(who).granted(given) == (upload,)
        for files in (access(user()), shared_only()):
            assert "somebody else" in refused(files, given)
            assert files.granted(given) == ()
        assert refused(GrantedAccess((upload,)), given) == ""
    assert refused(access(who), job(f"s3://{BUCKET}/", "Directory"))
    found = brought(job(location), lambda: None, (), file_rules([upload]).storage)["x"]
    assert Path(found["location"].removeprefix("file://")).read_bytes() == b"ACGT"  # type: ignore[index]


def test_the_chooser_shows_no_uploads(bucket: Buckets) -> None:
    location = send(b"x", "a.fq", user())
    bucket.put(BUCKET, "runs/a.fq")
    assert [entry.name for entry in browsing.browse(shared_only(), f"s3://{BUCKET}/").entries] == ["runs"]
    for path in (f"s3://{BUCKET}/sent/", location.rpartition("/")[0]):
        with pytest.raises(NotFound):
            browsing.browse(shared_only(), path)


def test_what_is_not_used_goes_with_its_objects(bucket: Buckets) -> None:
    who = user()
    kept, gone = send(b"x", "a.fq", who), send(b"x", "d/b.fq", who)
    old = time.time() - 40 * DAY
    for location in (kept, gone):
        os.utime(config.uploads_folder() / location.split("/")[4], (old, old))
    note_use(job(kept), access(who))
    (item,) = [item for item in retention.find() if item.name in {kept.split("/")[4], gone.split("/")[4]}]
    assert item.name == gone.split("/")[4]
    assert retention.remove(item)
    with pytest.raises(Conflict):
        owners.claim(item.name, user())
    retention.sweep()
    keys = [entry["Key"] for entry in bucket.client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == [kept.removeprefix(f"s3://{BUCKET}/")]
    assert refused(access(who), job(gone))
    owners.claim(item.name, user())


def objects(bucket: Buckets) -> list[str]:
    return [entry["Key"] for entry in bucket.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


def unused(location: str) -> Item:
    """Have an upload not be used for long."""
    name, old = location.split("/")[4], time.time() - 40 * DAY
    os.utime(config.uploads_folder() / name, (old, old))
    return next(item for item in retention.find() if item.name == name)


def test_a_cleaner_that_comes_second_leaves_what_the_first_has_marked(bucket: Buckets) -> None:
    item = unused(send(b"x", "a.fq", user()))
    assert retention.remove(item)
    assert not retention.remove(item)
    with pytest.raises(Conflict):
        owners.claim(item.name, user())
    retention.sweep()
    assert objects(bucket) == []


def test_objects_of_a_folder_that_is_somebodys_stay(bucket: Buckets) -> None:
    """A removal was broken off between the mark and the end of the claim."""
    who = user()
    folder = send(b"x", "a.fq", who).split("/")[4]
    mark = config.uploads_folder() / owners.GONE / folder
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    retention.sweep()
    assert objects(bucket) == [f"sent/{folder}/a.fq"]
    assert not mark.exists()


def test_one_process_at_a_time_removes_the_objects_of_a_folder(bucket: Buckets) -> None:
    item = unused(send(b"x", "a.fq", user()))
    assert retention.remove(item)
    mark = config.uploads_folder() / owners.GONE / item.name
    with mark.open("r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        retention.sweep()
        assert len(objects(bucket)) == 1
    assert mark.exists()
    retention.sweep()
    assert objects(bucket) == []
    assert not mark.exists()


def test_an_upload_that_was_broken_off_is_given_up_after_a_week(bucket: Buckets) -> None:
    who = user()
    begun, other = (stored_uploads.start(name, 1, user=who) for name in ("a.fq", "b.fq"))
    path = config.uploads_folder() / ".stored" / f"{begun.id}.json"
    old = time.time() - 8 * DAY
    os.utime(path, (old, old))
    bucket.moods.append(refusing("503 Slow Down"))
    retention.sweep()
    assert path.exists(), "the store is asked again later"
    bucket.moods.clear()
    retention.sweep()
    assert [key.rpartition("/")[2] for key in unfinished(bucket)] == ["b.fq"]
    with pytest.raises(NotFound):
        stored_uploads.get(begun.id, user=who)
    assert stored_uploads.get(other.id, user=who).arrived == ()


def test_an_upload_waits_a_week_for_its_next_part(bucket: Buckets) -> None:
    who = user()
    signed, sent, done = (stored_uploads.start(name, 1, user=who) for name in ("a.fq", "b.fq", "c.fq"))
    stored_uploads.add_part(done.id, 1, b"x", user=who)
    old = time.time() - 8 * DAY
    for upload in (signed, sent, done):
        os.utime(config.uploads_folder() / ".stored" / f"{upload.id}.json", (old, old))
    stored_uploads.signed_part(signed.id, 1, user=who)
    stored_uploads.add_part(sent.id, 1, b"x", user=who)
    location = stored_uploads.complete(done.id, user=who).location
    retention.sweep()
    assert stored_uploads.get(signed.id, user=who).arrived == ()
    assert stored_uploads.get(sent.id, user=who).arrived == (1,)
    assert stored_uploads.get(done.id, user=who).location == location


def test_an_upload_that_the_store_has_given_up_is_none_that_waits(
    bucket: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_uploads, "MAX_WAITING", 1)
    who = user()
    begun = stored_uploads.start("a.fq", 1, user=who)
    [upload] = bucket.client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    bucket.client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    with pytest.raises(NotFound):
        stored_uploads.get(begun.id, user=who)
    stored_uploads.start("a.fq", 1, user=who)


def test_a_store_that_refuses_is_told(bucket: Buckets) -> None:
    bucket.moods.append(refusing("503 Slow Down", message="secret-of-the-store"))
    with pytest.raises(Unavailable, match="HTTP 503") as caught:
        stored_uploads.start("a.fq", 1, user=user())
    assert "secret-of-the-store" not in str(caught.value)
    bucket.moods[:] = [refusing("403 Forbidden", code="AccessDenied")]
    with pytest.raises(NotFound, match=r"\[cwl\] uploads_storage"):
        stored_uploads.start("a.fq", 1, user=user())


def test_a_state_that_was_cut_is_no_upload(bucket: Buckets) -> None:
    who = user()
    begun = stored_uploads.start("a.fq", 1, user=who)
    path = config.uploads_folder() / ".stored" / f"{begun.id}.json"
    assert json.loads(path.read_text())["user"] == who
    path.write_text("{")
    with pytest.raises(NotFound):
        stored_uploads.get(begun.id, user=who)


@pytest.mark.parametrize("entry", ["gs://b/x", "s3://b, s3://c", "nothing"])
def test_the_place_is_one_of_s3(monkeypatch: pytest.MonkeyPatch, folders: Path, entry: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_STORAGE", entry)
    with pytest.raises(ConfigError, match="uploads_storage"):
        stored_uploads.is_on()


def test_without_a_place_there_are_none(folders: Path) -> None:
    with pytest.raises(NotFound, match="uploads_storage"):
        stored_uploads.start("a.fq", 1, user=user())
