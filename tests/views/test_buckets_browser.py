"""Buckets in the form, in a real browser: looked into a page at a time, and uploaded to, part by part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from support.browsers import DROP, barriers
from support.buckets import Buckets, buckets, connection_id, refusing
from support.file_form import Form, opened
from support.served import NARROW, fits, picture, serving_with_api

from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.services.inputs import stored_browsing, stored_uploads

pytestmark = pytest.mark.e2e
BUCKET = "sequencing"


@pytest.fixture(scope="module")
def address(flask_app: Any) -> Iterator[str]:
    """The address of the pages, and of the REST API that looks into buckets."""
    with serving_with_api(flask_app) as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        running.client.create_bucket(Bucket=BUCKET)
        for name in ("s1_R1.fastq.gz", "s2_R1.fastq.gz", "s2_R2.fastq.gz", "x 100%41#.fastq.gz", "notes.txt"):
            running.put(BUCKET, f"2026/run 1/{name}", b"x" * 5000)
        yield running


@pytest.fixture
def bucket(server: Buckets, monkeypatch: pytest.MonkeyPatch, folders: Path) -> Iterator[Buckets]:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_ROOTS", f"s3://{name}@{BUCKET}/2026")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.moods.clear()


@pytest.fixture
def form(bucket: Buckets, open_page: Callable[..., Page], add: Callable[..., Any]) -> Form:
    return opened(open_page, add)


def test_files_of_a_bucket_are_chosen_page_by_page(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_browsing, "PAGE_ENTRIES", 2)
    form.press("Reads 1", "Browse the server for Reads 1")
    dialog = form.page.get_by_role("dialog")
    note = dialog.get_by_role("status")
    dialog.get_by_role("button", name=f"s3://{BUCKET}/2026/").click()
    dialog.get_by_role("button", name="run 1/").click()
    expect(dialog.locator("#browse-list input")).to_have_count(1)
    expect(note).to_have_text("1 so far; there are more. 1 file of other names is left out.")
    more = dialog.get_by_role("button", name="Show more")
    more.press("Enter")
    expect(dialog.locator("#browse-list input")).to_have_count(3)
    expect(dialog.get_by_label("s2_R1.fastq.gz")).to_be_focused()
    dialog.get_by_label("s2_R1.fastq.gz").press("Space")
    more.click()
    expect(dialog.get_by_label("x 100%41#.fastq.gz")).to_be_visible()
    expect(more).to_be_hidden()
    dialog.get_by_label("x 100%41#.fastq.gz").check()
    expect(dialog.get_by_text("5.0 kB").first).to_be_visible()
    expect(dialog.locator("#browse-path [aria-current]")).to_have_text("run 1")
    assert barriers(form.page) == []
    picture(form.page, "form-bucket")
    form.page.set_viewport_size(NARROW)
    assert fits(form.page)
    dialog.get_by_role("button", name="Choose 2 files").click()
    assert form.names("Reads 1") == ["s2_R1.fastq.gz", "x 100%41#.fastq.gz"]
    assert [file["location"] for file in form.job()["reads1"]] == [
        f"s3://{BUCKET}/2026/run 1/s2_R1.fastq.gz",
        f"s3://{BUCKET}/2026/run 1/x 100%41#.fastq.gz",
    ]


def test_a_folder_of_a_bucket_is_chosen_and_a_store_that_refuses_is_told(form: Form, bucket: Buckets) -> None:
    form.press("Genomes", "Browse the server for Genomes")
    dialog = form.page.get_by_role("dialog")
    bucket.moods.append(refusing("503 Slow Down"))
    dialog.get_by_role("button", name=f"s3://{BUCKET}/2026/").click()
    expect(dialog.get_by_role("status")).to_contain_text("can't be had now")
    expect(dialog.get_by_role("button", name="Inputs")).to_be_visible()
    bucket.moods.clear()
    dialog.get_by_role("button", name=f"s3://{BUCKET}/2026/").click()
    dialog.get_by_label("Choose run 1").check()
    dialog.get_by_role("button", name="Choose 1 folder").click()
    assert [folder["location"] for folder in form.job()["folders"]] == [f"s3://{BUCKET}/2026/run 1/"]


@pytest.fixture
def sending(bucket: Buckets, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Form:
    """The form of a site whose uploads go to the bucket, straight from the browser; parts have ten bytes."""
    [root] = site.storage_rules().roots
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_STORAGE", f"s3://{root.connection}@{BUCKET}/sent")
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_ORIGIN", bucket.endpoint)
    monkeypatch.setattr(stored_uploads, "_part_size", lambda _size: 10)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    bucket.asked.clear()
    open_page, add = request.getfixturevalue("open_page"), request.getfixturevalue("add")
    return opened(open_page, add, allowed=bucket.endpoint, expected="Failed to load resource")


def content(bucket: Buckets, location: str) -> str:
    key = location.removeprefix(f"s3://{BUCKET}/")
    return str(bucket.client.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())


def straight(bucket: Buckets) -> list[str]:
    """Return the parts that came by an address that was signed."""
    return [asked for asked in bucket.asked if asked.startswith("PUT") and "X-Amz-Signature" in asked]


def test_files_go_straight_to_the_bucket(sending: Form, bucket: Buckets) -> None:
    sending.drop("Reads 1", "s1_R1.fastq", "ä 100%41#.fastq")
    sending.drop("Alignments", "a.bam.bai", "a.bam")
    sending.arrived("Reads 1", 2)
    sending.arrived("Alignments", 1)
    assert sending.names("Reads 1") == ["ä 100%41#.fastq", "s1_R1.fastq"]
    found = sending.job()
    assert [content(bucket, file["location"]) for file in found["reads1"]] == [
        "content of ä 100%41#.fastq",
        "content of s1_R1.fastq",
    ]
    assert content(bucket, f"{found['bams']['location']}.bai") == "content of a.bam.bai"
    assert len(straight(bucket)) == 3 + 3 + 2 + 2
    assert barriers(sending.page) == []
    picture(sending.page, "form-uploaded-to-bucket")


def test_what_does_not_get_there_goes_through_the_server(sending: Form, bucket: Buckets) -> None:
    sending.page.route(f"{bucket.endpoint}/**", lambda route: route.abort())
    sending.drop("Reads 1", "a.fastq")
    sending.arrived("Reads 1", 1)
    assert content(bucket, sending.job()["reads1"][0]["location"]) == "content of a.fastq"
    assert straight(bucket) == []


def test_an_upload_goes_on_after_the_page_was_loaded_anew_and_one_is_cancelled(sending: Form, bucket: Buckets) -> None:
    held: list[Route] = []
    sending.page.route("**/parts/3", lambda route: held.append(route))
    with sending.page.expect_request("**/parts/3"):
        sending.box("Reads 1").evaluate(DROP, [["a.fastq", "0123456789abcdefghij-end"]])
    sending.page.reload()
    sending.page.unroute("**/parts/3")
    sent = len(straight(bucket))
    sending.box("Reads 1").evaluate(DROP, [["a.fastq", "0123456789abcdefghij-end"]])
    sending.arrived("Reads 1", 1)
    assert content(bucket, sending.job()["reads1"][0]["location"]) == "0123456789abcdefghij-end"
    assert len(straight(bucket)) == sent + 1 == 3
    sending.page.route("**/parts/2", lambda route: held.append(route))
    with sending.page.expect_request("**/parts/2"):
        sending.drop("Reads 1", "b.fastq")
    with sending.page.expect_response(lambda answer: answer.request.method == "DELETE"):
        sending.press("Reads 1", "Cancel the upload of b.fastq")
    expect(sending.rows("Reads 1")).to_have_count(1)
    assert not bucket.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_files_of_a_folder_that_look_the_same_stay_what_they_are(
    sending: Form, bucket: Buckets, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    for name in ("a/__init__.py", "b.py", "c.py", "d/__init__.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name[0]}, and so on, and on")
        os.utime(path, (1, 1))
    held: list[Route] = []
    sending.page.route("**/parts/1", lambda route: route.continue_() if held else held.append(route))
    with sending.page.expect_response("**/inputs/stored?name=*d%2F__init__.py&*"):
        sending.choose("Genomes", "Upload a folder", folder)
    held[0].continue_()
    sending.arrived("Genomes", 1)
    location = sending.job()["folders"][0]["location"].rstrip("/")
    for name in ("a/__init__.py", "b.py", "d/__init__.py"):
        assert content(bucket, f"{location}/{name}") == f"{name[0]}, and so on, and on"
    assert not bucket.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_what_cannot_change_is_not_asked_again(sending: Form) -> None:
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        route.fulfill(status=409, json={"detail": "There is such a file already."})

    sending.page.route("**/inputs/stored?*", refuse)
    sending.drop("Reads 1", "a.fastq")
    expect(sending.rows("Reads 1").first).to_contain_text("There is such a file already.")
    assert len(asked) == 1
    sending.page.unroute("**/inputs/stored?*")
    sending.press("Reads 1", "Try failed uploads for Reads 1 again")
    sending.arrived("Reads 1", 1)


def test_a_part_that_is_missing_at_the_end_is_sent_once_more(sending: Form, bucket: Buckets) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        [upload] = bucket.client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
        if not lost:
            key, number = upload["Key"], upload["UploadId"]
            bucket.client.upload_part(Bucket=BUCKET, Key=key, UploadId=number, PartNumber=2, Body=b"half")
            lost.append(key)
        route.continue_()

    sending.page.route("**/complete", lose)
    sending.drop("Reads 1", "a.fastq")
    sending.arrived("Reads 1", 1)
    assert content(bucket, sending.job()["reads1"][0]["location"]) == "content of a.fastq"
    assert len(straight(bucket)) == 2 + 1


def test_forms_may_send_to_that_origin_and_other_pages_to_none(sending: Form, bucket: Buckets) -> None:
    answer = sending.page.reload()
    assert answer is not None
    assert f"; connect-src 'self' {bucket.endpoint}" in answer.headers["content-security-policy"]
    other = sending.page.goto(sending.page.url.partition("/workflows")[0] + "/workflows")
    assert other is not None
    assert "connect-src" not in other.headers["content-security-policy"]
