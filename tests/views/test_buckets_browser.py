"""Buckets in the form, in a real browser: looked into a page at a time, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.buckets import Buckets, buckets, connection_id, refusing
from support.file_form import Form, opened
from support.served import NARROW, fits, picture, serving_with_api

from cwl_ui_plugin.services.inputs import stored_browsing

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
