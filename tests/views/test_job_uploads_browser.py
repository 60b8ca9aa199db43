"""Uploads on their way, in a real browser that sends to the real REST API: many, cancelled, broken, tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, Route, expect
from support.browsers import DROP
from support.file_form import Form, content, opened
from support.served import serving_with_api

from cwl_ui_plugin.services.inputs import single

pytestmark = pytest.mark.e2e
COUNT_ABORTS = """() => {
  const { abort } = XMLHttpRequest.prototype;
  window.aborted = 0;
  XMLHttpRequest.prototype.abort = function () {
    if (this.readyState < XMLHttpRequest.DONE) window.aborted += 1;
    abort.call(this);
  };
}"""


@pytest.fixture(scope="module")
def address(flask_app: Any) -> Iterator[str]:
    """The address of the pages, and of the REST API that they send files to."""
    with serving_with_api(flask_app) as found:
        yield found


@pytest.fixture
def form(open_page: Callable[..., Page], add: Callable[..., Any]) -> Form:
    return opened(open_page, add)


def test_a_folder_of_three_hundred_files_arrives_three_at_a_time(
    form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run 1"
    (folder / "lane").mkdir(parents=True)
    for number in range(300):
        (folder / "lane" / f"s{number}.fastq").write_text(str(number))
    (folder / ".DS_Store").write_text("x")
    (folder / "md5.txt").write_text("x")
    under_way, most = [0], [0]
    save = single.save_input

    def counted(*arguments: Any, **more: Any) -> Path:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        try:
            return save(*arguments, **more)
        finally:
            under_way[0] -= 1

    monkeypatch.setattr(single, "save_input", counted)
    form.choose("Reads 1", "Upload a folder", folder)
    expect(form.box("Reads 1").locator("[data-busy] progress").first).to_be_visible()
    form.arrived("Reads 1", 300)
    assert most[0] <= 3
    assert form.names("Reads 1") == [f"s{number}.fastq" for number in range(300)]
    assert [content(location) for location in form.lines("Reads 1")[::100]] == ["0", "100", "200"]
    expect(form.box("Reads 1")).to_contain_text("2 files, hidden or of another type: left out.")
    expect(form.page.locator("#job-status")).to_contain_text("uploaded")
    form.press("Reads 1", "Add them, too")
    form.arrived("Reads 1", 302)


def test_uploads_are_cancelled_one_by_one_and_all(form: Form, folders: Path) -> None:
    held: list[Route] = []
    form.page.route("**/api/v1/inputs?*", lambda route: held.append(route))
    form.drop("Reads 1", *(f"f{number}.fq" for number in range(8)))
    expect(form.box("Reads 1").locator(".uploads li")).to_have_count(3)
    expect(form.rows("Reads 1").nth(7)).to_contain_text("waits")
    form.page.get_by_role("button", name="Run", exact=True).click()
    expect(form.page.locator("#job-message")).to_contain_text("still on its way")
    form.press("Reads 1", "Cancel the upload of f1.fq")
    expect(form.rows("Reads 1")).to_have_count(7)
    expect(form.box("Reads 1").locator(".uploads li")).to_have_count(3)
    form.press("Reads 1", "Cancel all uploads for Reads 1")
    expect(form.rows("Reads 1")).to_have_count(0)
    expect(form.page.locator("[data-busy]")).to_have_count(0)
    assert form.lines("Reads 1") == []
    form.page.unroute("**/api/v1/inputs?*")
    form.drop("Reads 1", "f1.fq")
    form.arrived("Reads 1", 1)


def large(form: Form, content: str) -> None:
    """Drop a file that goes in parts."""
    form.page.locator("#trigger-form").evaluate("(form) => { form.dataset.partsAbove = 10 }")
    form.box("Reads 1").evaluate(DROP, [["big.fq", content]])


def test_a_cancelled_large_upload_leaves_nothing_on_the_server(form: Form, folders: Path) -> None:
    held: list[Route] = []
    form.page.route("**/inputs/parts/*?offset=*", lambda route: held.append(route))
    large(form, "x" * 1000)
    expect(form.box("Reads 1").locator(".uploads li")).to_have_count(1)
    waiting = folders / "inputs/uploads/.parts"
    with form.page.expect_request_finished(lambda request: request.method == "DELETE"):
        form.press("Reads 1", "Cancel the upload of big.fq")
    expect(form.rows("Reads 1")).to_have_count(0)
    assert list(waiting.iterdir()) == []
    assert form.page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('cwl-upload'))") == []


def test_a_broken_large_upload_goes_on_where_it_was(form: Form, folders: Path) -> None:
    form.page.route(
        "**/inputs/parts/*?offset=*", lambda route: route.fulfill(status=400, json={"detail": "Broken off."})
    )
    large(form, "x" * 1000)
    expect(form.rows("Reads 1").first).to_contain_text("Broken off.")
    [upload] = (folders / "inputs/uploads/.parts").iterdir()
    (upload / "data").write_text("y" * 400)  # what has arrived before it broke off
    form.page.unroute("**/inputs/parts/*?offset=*")
    form.page.reload()
    large(form, "x" * 1000)
    form.arrived("Reads 1", 1)
    assert content(form.lines("Reads 1")[0]) == "y" * 400 + "x" * 600


def test_files_that_look_the_same_are_not_taken_for_one_another(form: Form) -> None:
    held: list[Route] = []
    form.page.route("**/inputs/parts/*?offset=*", lambda route: route.continue_() if held else held.append(route))
    with form.page.expect_request("**/inputs/parts/*?offset=*"):
        large(form, "x" * 1000)
    form.box("Reads 2").evaluate(DROP, [["big.fq", "y" * 1000]])
    expect(form.box("Reads 2").locator(".uploads li")).to_have_count(0)
    held[0].continue_()
    for label, sent in (("Reads 1", "x" * 1000), ("Reads 2", "y" * 1000)):
        form.arrived(label, 1)
        assert [content(location) for location in form.lines(label)] == [sent]


def test_a_failed_upload_is_tried_again(form: Form) -> None:
    form.page.route(
        "**/api/v1/inputs?name=b.fq*", lambda route: route.fulfill(status=503, json={"detail": "Full disk."})
    )
    form.drop("Reads 1", "a.fq", "b.fq", "c.fq")
    expect(form.rows("Reads 1").nth(1)).to_contain_text("Full disk.")
    expect(form.box("Reads 1")).to_contain_text("2 of 3 uploaded")
    form.page.get_by_role("button", name="Run", exact=True).click()
    expect(form.page.locator("#job-message")).to_contain_text("were not uploaded")
    form.page.unroute("**/api/v1/inputs?name=b.fq*")
    form.press("Reads 1", "Try failed uploads for Reads 1 again")
    form.arrived("Reads 1", 3)
    assert [unquote(line).rpartition("/")[2] for line in form.lines("Reads 1")] == ["a.fq", "b.fq", "c.fq"]


def test_a_file_and_its_index_are_tried_again_together(form: Form) -> None:
    held: list[Route] = []
    full = {"status": 503, "json": {"detail": "Full disk."}}
    form.page.route("**/inputs?name=a.bam&*", lambda route: route.fulfill(**full))
    form.page.route("**/inputs?name=a.bam.bai&*", lambda route: route.continue_() if held else held.append(route))
    form.drop("Alignments", "a.bam", "a.bam.bai")
    expect(form.rows("Alignments").first).to_contain_text("Full disk.")
    form.page.evaluate(COUNT_ABORTS)
    form.page.unroute("**/inputs?name=a.bam&*")
    form.press("Alignments", "Try failed uploads for Alignments again")
    form.page.wait_for_function("() => aborted === 1")  # the index is not put where the file will not be
    form.arrived("Alignments", 1)
    assert content(f"{form.lines('Alignments')[0]}.bai") == "content of a.bam.bai"


def test_an_index_that_was_broken_off_earlier_goes_where_its_file_goes(form: Form) -> None:
    parts = "**/inputs/parts"
    broken = {"status": 400, "json": {"detail": "Broken off."}}
    for dropped in (["a.bam.bai"], ["a.bam", "a.bam.bai"]):
        form.page.reload()
        form.page.locator("#trigger-form").evaluate("(form) => { form.dataset.partsAbove = 10 }")
        form.page.route(f"{parts}/*?offset=*", lambda route: route.fulfill(**broken))
        form.drop("Alignments", *dropped)
        expect(form.rows("Alignments").first).to_contain_text("Broken off.")
        form.page.route(f"{parts}?name=a.bam.bai&*", lambda route: route.fulfill(**broken))  # the second time
    form.page.unroute_all()
    form.press("Alignments", "Try failed uploads for Alignments again")
    form.arrived("Alignments", 1)
    assert content(f"{form.lines('Alignments')[0]}.bai") == "content of a.bam.bai"
