"""The pages about workflows in a real browser: upload, list, source, versions, deleting, the first visit."""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.documents import ECHO
from support.keyboard import press
from support.served import NARROW, fits, picture, while_held

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.triggering import triggers

pytestmark = pytest.mark.e2e
HOSTILE = '<img src=x onerror="alert(1)">\u202e\u2066</script>'
WORKFLOW = """cwlVersion: v1.2
class: Workflow
inputs: {text: string}
outputs: {out: {type: File, outputSource: say/out}}
steps:
  say: {run: tools/say.cwl, in: {text: text}, out: [out]}
"""


@pytest.fixture
def two_versions(add: Callable[..., StoredVersion]) -> str:
    dag_id = f"two-{uuid.uuid4().hex[:8]}"
    add(dag_id, "first: 1\nsame: x\n")
    add(dag_id, f"first: 2\nsame: x\n# {HOSTILE}\n")
    return dag_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "say/tools").mkdir(parents=True)
    (tmp_path / "say/.git").mkdir()
    (tmp_path / "say/say.cwl").write_text(WORKFLOW)
    (tmp_path / "say/tools/say.cwl").write_text(ECHO)
    (tmp_path / "say/.git/config").write_text("x")
    return tmp_path / "say"


def test_the_first_visit_offers_examples_that_run_with_one_click_more(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/cwl/workflows", viewport=NARROW)
    expect(page.locator("main")).to_contain_text("There are no workflows yet")
    assert barriers(page) == []
    assert fits(page)
    picture(page, "first-visit")
    press(page, page.get_by_role("button", name="Add this example GC content"))
    page.locator('#graph [data-node="count"]').click(timeout=60_000)
    picture(page, "graph")
    page.get_by_role("link", name="Try it with the data of the example").click(timeout=60_000)
    page.get_by_text("YAML or JSON", exact=True).click()
    expect(page.locator("#job")).to_have_value(re.compile("examples/lambda_virus.fa"))
    viewers = open_page("/cwl/workflows?search=nothing-like-it", role="viewer")
    expect(viewers.locator("main")).to_contain_text("No workflow matches")
    expect(viewers.get_by_role("button", name="Upload")).to_have_count(0)


@pytest.mark.parametrize("way", ["folder", "drop", "zip"])
def test_a_folder_a_drop_and_a_zip_are_uploaded(
    open_page: Callable[..., Page],
    folder: Path,
    way: str,
) -> None:
    page = open_page("/cwl/workflows")
    if way == "folder":
        press(page, page.get_by_role("button", name="Upload a workflow"))
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a folder").click()
        chooser.value.set_files(folder)
        expect(page.locator("#upload-chosen")).to_have_text("2 files: say.cwl, tools/say.cwl", use_inner_text=True)
    elif way == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("say.cwl", WORKFLOW)
            archive.writestr("tools/say.cwl", ECHO)
        file = {"name": "say.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
        page.locator("input[type=file]").first.set_input_files(file)
    else:
        page.evaluate(
            """(text) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([text], "say.cwl"));
                const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new DragEvent("drop", options));
            }""",
            ECHO,
        )
        expect(page.locator("#upload-chosen")).to_have_text("1 file: say.cwl")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/cwl/workflows/say", timeout=60_000)
    expect(page.locator('#graph [data-node="say"]')).to_be_visible()


def test_which_process_is_meant_is_chosen_by_a_button(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/cwl/workflows", viewport=NARROW)
    graph = "cwlVersion: v1.2\n$graph:\n" + "".join(
        f"- {{class: Workflow, id: {name}, label: do it, inputs: [], outputs: [], steps: []}}\n"
        for name in ("plan", "do", "'<i>x'")
    )
    file = {"name": "several.cwl", "mimeType": "", "buffer": graph.encode()}
    page.locator("input[type=file]").first.set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    choice = page.get_by_role("group", name="Run one of these").get_by_role("button", name="Take do")
    expect(choice).to_be_visible(timeout=60_000)
    assert page.locator("#upload i").count() == 0
    picture(page, "upload-choice")
    assert barriers(page) == []
    assert fits(page)
    press(page, choice)
    page.wait_for_url("**/cwl/workflows/several-do", timeout=60_000)
    expect(page.get_by_role("heading", name="do it")).to_be_visible()


def test_what_is_wrong_is_shown_in_the_source_at_its_line(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/cwl/workflows", viewport=NARROW)
    broken = WORKFLOW.replace("inputs:", f"doc: |\n  {HOSTILE}\ninputs:")
    file = {"name": "broken.cwl", "mimeType": "", "buffer": broken.encode()}
    page.locator("input[type=file]").first.set_input_files(file)
    page.get_by_role("button", name="Upload", exact=True).click()
    wrong = page.locator(".excerpt .line.wrong")
    expect(wrong).to_have_text("  say: {run: tools/say.cwl, in: {text: text}, out: [out]}", timeout=60_000)
    expect(wrong).to_have_attribute("data-line", "8")
    assert page.locator("main img").count() == 0
    picture(page, "upload-error")
    assert barriers(page) == []
    assert fits(page)


def test_the_list_is_searched_sorted_and_shows_the_last_runs(
    open_page: Callable[..., Page],
    add: Callable[..., StoredVersion],
    airflow: object,
) -> None:
    ids = sorted(f"listed-{uuid.uuid4().hex[:8]}" for _ in range(2))
    add(ids[0], steps=("sort",))
    add(ids[1])
    for number, state in enumerate(("success", "failed")):
        triggers.trigger(ids[1], conf={"job": {"text": "x"}}, run_id=f"r{number}", user="ada", via=triggers.REST)
        airflow.set_run(ids[1], f"r{number}", state)  # type: ignore[attr-defined]
    page = open_page("/cwl/workflows?search=listed")
    names = page.locator("tbody tr td:first-child .muted")
    expect(names).to_have_text(ids)
    page.get_by_role("link", name="Steps").click()
    page.get_by_role("link", name="Steps").click()
    expect(names).to_have_text(ids[::-1])
    expect(page.get_by_role("columnheader", name="Steps")).to_have_attribute("aria-sort", "descending")
    bars = page.get_by_role("link", name=f"Last run of {ids[1]}: failed")
    expect(bars.locator("[data-state=success]")).to_have_count(1)
    assert barriers(page) == []


def test_on_a_narrow_page_each_workflow_is_a_card_with_all_that_can_be_done(
    open_page: Callable[..., Page], two_versions: str
) -> None:
    page = open_page(f"/cwl/workflows?search={two_versions}", viewport=NARROW)
    expect(page.locator("thead")).to_be_hidden()
    for action in (page.get_by_role("link", name=f"Run {two_versions}"), page.locator("summary", has_text="for two-")):
        box = action.bounding_box()
        assert box
        assert box["x"] + box["width"] <= NARROW["width"]
    page.locator("summary", has_text="for two-").click()
    expect(page.get_by_role("link", name="Versions (2)")).to_be_in_viewport()
    expect(page.locator("td").filter(has_text="v2")).to_be_visible()
    assert barriers(page) == []
    assert fits(page)


def test_examples_that_were_not_added_yet_are_still_offered(
    open_page: Callable[..., Page], add: Callable[..., StoredVersion]
) -> None:
    add("word-count")
    page = open_page("/cwl/workflows", viewport=NARROW)
    page.get_by_text("Examples to try out (2)").click()
    expect(page.get_by_role("button", name="Add this example Variant calling")).to_be_visible()
    expect(page.get_by_role("button", name="Add this example Word count")).to_have_count(0)
    assert fits(page)
    assert barriers(page) == []


def test_missing_files_are_named_and_what_was_said_goes_when_others_are_chosen(
    open_page: Callable[..., Page], folder: Path
) -> None:
    page = open_page("/cwl/workflows", viewport=NARROW)
    file = page.locator("input[type=file]").first
    file.set_input_files({"name": "say.cwl", "mimeType": "", "buffer": WORKFLOW.encode()})
    page.get_by_role("button", name="Upload", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("say.cwl needs a file that is not in the upload: tools/say.cwl. Choose the folder")
    assert barriers(page) == []
    assert fits(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    expect(alert).to_have_count(0)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/cwl/workflows/say", timeout=60_000)


def test_runs_come_first_and_what_is_long_is_folded(
    open_page: Callable[..., Page], add: Callable[..., StoredVersion], airflow: object
) -> None:
    many = tuple(
        Parameter(f"input_{number}", ["null", "File"], label=f"Reads {number}", doc="What *it* is.")
        for number in range(52)
    )
    version = add("long-page", inputs=(*many, Parameter("text", "string")))
    plan = json.loads((version.folder / "plan.json").read_text())
    plan["doc"] = "*About* it\n\n" + "A long story. " * 400
    (version.folder / "plan.json").write_text(json.dumps(plan))
    triggers.trigger("long-page", conf={"job": {"text": "x"}}, run_id="first-run", user="ada", via=triggers.REST)
    page = open_page("/cwl/workflows/long-page", viewport={"width": 1440, "height": 900})
    expect(page.locator("#graph .node").first).to_be_visible()
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Last runs", "About", "Graph", "Inputs", "Outputs", "Steps",
    ]  # fmt: skip
    expect(page.get_by_role("link", name="first-run")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollHeight") < 2500
    whole = page.locator(".fold .prose em")
    expect(whole).to_be_hidden()
    press(page, page.locator("summary", has_text="Show all"))
    expect(whole).to_have_text("About")
    expect(whole).to_be_visible()
    press(page, page.locator("summary", has_text="53 inputs, 1 of them required"))
    row = page.locator("tr", has_text="input_51")
    expect(row).to_contain_text("file")
    expect(row).to_contain_text("optional")
    expect(row.get_by_text("What it is.")).to_be_hidden()
    press(page, row.locator("summary"))
    expect(row.get_by_text("What it is.")).to_be_visible()
    assert barriers(page) == []
    page.set_viewport_size(NARROW)
    assert fits(page)


def test_two_versions_are_compared_and_the_old_one_made_current(
    open_page: Callable[..., Page],
    two_versions: str,
) -> None:
    page = open_page(f"/cwl/workflows/{two_versions}", viewport=NARROW)
    press(page, page.get_by_role("link", name="Versions (2)"))
    press(page, page.get_by_role("button", name="Compare"))
    expect(page.get_by_role("heading", name="From v1 to v2: 1 file changed")).to_be_visible()
    expect(page.locator(".diff .removed code")).to_have_text("first: 1")
    expect(page.locator(".diff .added code")).to_have_text(
        ["first: 2", "# " + HOSTILE.replace("\u202e\u2066", "⟨U+202E⟩⟨U+2066⟩")]
    )
    picture(page, "versions")
    assert barriers(page) == []
    assert fits(page)
    press(page, page.get_by_role("button", name="Make current"))
    press(page, page.get_by_role("link", name="Source"))
    expect(page.locator("pre.source")).to_contain_text("first: 1")
    viewer = open_page(f"/cwl/workflows/{two_versions}/versions", role="viewer")
    expect(viewer.get_by_role("button", name="Compare")).to_be_visible()
    expect(viewer.get_by_role("button", name="Make current")).to_have_count(0)


def test_lines_of_a_source_have_addresses_and_it_can_be_taken_away(
    open_page: Callable[..., Page],
    add: Callable[..., StoredVersion],
) -> None:
    dag_id = f"source-{uuid.uuid4().hex[:8]}"
    version = add(dag_id, "a: 1\n" * 200 + f"b: {HOSTILE}\n")
    (version.source / HOSTILE.replace("/", "")).write_text("x" * 1_500_000)
    page = open_page(f"/cwl/workflows/{dag_id}/source#L201", viewport=NARROW)
    expect(page.locator("#L201")).to_be_in_viewport()
    expect(page.locator("#L201")).to_contain_text("U+202E")
    assert barriers(page) == []
    page.locator(".number").nth(2).click()
    assert page.url.endswith("#L3")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as uploaded").click()
    with zipfile.ZipFile(download.value.path()) as packed:
        assert len(packed.namelist()) == 2
    page.get_by_role("link", name="<img").click()
    expect(page.locator("pre.source")).to_contain_text("1500000 characters")
    assert page.locator("main img").count() == 0
    assert fits(page)


def test_a_workflow_is_deleted_and_restored_by_keyboard(
    open_page: Callable[..., Page],
    two_versions: str,
) -> None:
    page = open_page("/cwl/workflows?search=two-")
    press(page, page.locator("summary", has_text=f"for {two_versions}"))
    press(page, page.get_by_role("button", name=f"Delete {two_versions}"))
    dialog = page.get_by_role("dialog", name=f"Delete {two_versions}?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    press(page, page.locator("summary", has_text=f"for {two_versions}"))
    press(page, page.get_by_role("button", name=f"Delete {two_versions}"))
    press(page, dialog.get_by_role("button", name="Delete"))
    expect(page.get_by_role("status").first).to_contain_text(f"{two_versions} was deleted")
    assert barriers(page) == []
    press(page, page.get_by_role("button", name=f"Restore {two_versions}").first)
    expect(page.get_by_role("link", name="Versions (2)")).to_be_visible()


def test_what_can_be_seen_can_be_pressed_while_scripts_still_load(
    open_page: Callable[..., Page],
    two_versions: str,
) -> None:
    page = open_page(f"/cwl/workflows/{two_versions}")

    def press() -> None:
        page.locator("details.menu summary").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()

    while_held(page, "workflow.js", press)
