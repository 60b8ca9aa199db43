"""Many samples in a real browser: from a sheet to a batch, and its page while it goes on."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from support.batches import end_row, go_on, made_batch
from support.browsers import DROP, barriers
from support.served import NARROW, fits, picture, while_held

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.batches import batches, stops
from cwl_ui_plugin.services.errors import StopIncomplete
from cwl_ui_plugin.services.run_models import StopReport

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
WIDE = {"width": 1440, "height": 900}
INPUTS = (
    Parameter("text", "string", label="What to say"),
    Parameter("reads", ["null", {"type": "array", "items": "File"}], label="Reads"),
    Parameter("genome", "string", label="Genome"),
    Parameter("threads", ["null", "int"]),
)
SHEET = "sample,text,threads,notes\nS1,one,4,x\nS2,two,many,y\nS<3>,three,8,\n"


@pytest.fixture
def dag_id(add: Callable[..., Any]) -> Iterator[str]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    name = f"samples-{uuid.uuid4().hex[:8]}"
    add(name, inputs=INPUTS)
    yield name
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.dag_id == name).values(_state="success"))


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "week 7.csv"
    path.write_text(SHEET)
    return path


def test_from_a_sheet_to_a_batch(open_page: OpenPage, dag_id: str, sheet: Path) -> None:
    page = open_page(f"/cwl/workflows/{dag_id}/batches", expected="422")
    page.get_by_label("A sheet with a row for each sample").set_input_files(sheet)
    expect(page.get_by_text("0 of 3 rows can start; 3 can't.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="S2")
    expect(row.locator("td.wrong")).to_contain_text("many")
    page.get_by_label("Genome").fill("hg38")  # it is checked without a button
    expect(page.get_by_text("2 of 3 rows can start; 1 can't.")).to_be_visible()
    page.get_by_label("Input for the column threads").select_option("")
    expect(page.get_by_text("All 3 rows can start.")).to_be_visible()
    expect(page.locator("#job-fields").get_by_label("threads")).to_be_visible()
    expect(page.get_by_label("Genome")).to_have_value("hg38")
    page.get_by_label("Input for the column threads").select_option("threads")
    expect(page.get_by_text("2 of 3 rows can start")).to_be_visible()
    page.reload()  # nothing is lost
    expect(page.get_by_label("Genome")).to_have_value("hg38")
    page.get_by_label("Only rows that can't start").check()
    expect(page.locator("table.sheet tbody tr")).to_have_count(1)
    page.get_by_label("Name", exact=True).fill("Week 7")
    page.get_by_role("button", name="Start the 2 good ones").click()
    expect(page.get_by_role("heading", name="Week 7")).to_be_visible()
    [batch] = batches.list_of(dag_id).items
    assert (batch.name, batch.counts.get("invalid")) == ("Week 7", 1)


@pytest.fixture
def draft(open_page: OpenPage, dag_id: str, tmp_path: Path) -> Page:
    """The page of a sheet with 55 rows that can't start, and five that can."""
    table = tmp_path / "many.csv"
    threads = ["many" if number < 55 else "4" for number in range(60)]
    table.write_text("sample,text,threads\n" + "".join(f"S{at},{at},{one}\n" for at, one in enumerate(threads)))
    page = open_page(f"/cwl/workflows/{dag_id}/batches", expected="ERR_FAILED")
    page.get_by_label("A sheet with a row for each sample").set_input_files(table)
    page.get_by_label("Genome").fill("hg38")
    expect(page.get_by_text("5 of 60 rows can start; 55 can't.")).to_be_visible()
    return page


def test_uploads_go_on_while_columns_and_rows_change(draft: Page) -> None:
    held: list[Route] = []
    draft.route("**/api/v1/inputs?*", lambda route: held.append(route))
    reads = draft.locator('[data-title="Reads"]')
    reads.evaluate(DROP, [["a.fq", "x"]])
    expect(reads.locator("[data-busy]")).to_be_visible()
    draft.get_by_label("Only rows that can't start").check()
    expect(draft.get_by_text("1 to 50 of 55")).to_be_visible()
    draft.get_by_role("link", name="Next").click()
    expect(draft.get_by_text("51 to 55 of 55")).to_be_visible()
    draft.get_by_label("Input for the column threads").select_option("")
    expect(draft.locator("#job-fields").get_by_label("threads")).to_be_visible()
    draft.get_by_role("button", name="Start all 60").click()
    expect(reads.locator(".file-note")).to_have_text("An upload is still on its way. Wait for it, or cancel it.")
    held[0].fulfill(json={"location": "file:///inputs/a.fq"})
    expect(reads.locator("[data-busy]")).to_have_count(0)
    expect(reads.locator("textarea")).to_have_value("file:///inputs/a.fq")
    expect(draft.get_by_label("Genome")).to_have_value("hg38")


def test_a_column_that_is_chosen_before_the_scripts_are_there(draft: Page) -> None:
    def choose() -> None:
        draft.get_by_label("Input for the column threads").select_option("")

    while_held(draft, "batch_draft.js", choose)
    expect(draft.get_by_role("button", name="Start all 60")).to_be_visible()
    expect(draft.locator("#job-fields").get_by_label("threads")).to_be_visible()


def test_checking_leaves_one_where_one_is(draft: Page) -> None:
    again = draft.get_by_role("button", name="Check again")
    rows = draft.get_by_role("region", name="Rows of the sheet")
    draft.add_style_tag(content=".scroll { height: 100px; }")
    rows.evaluate("(box) => box.scrollTo(0, 60)")
    again.focus()
    with draft.expect_response(lambda answer: answer.request.method == "POST"):
        draft.keyboard.press("Enter")
    expect(draft.locator("#batch-preview")).not_to_have_attribute("aria-busy", "true")
    expect(again).to_be_focused()
    assert rows.evaluate("(box) => box.scrollTop") == 60


def test_one_message_says_that_the_server_is_away(draft: Page) -> None:
    draft.route("**/sheets/*", lambda route: route.abort())
    for _try in range(2):
        with draft.expect_event("requestfailed"):
            draft.get_by_role("button", name="Check again").click()
        expect(draft.get_by_role("alert").filter(has_text="The server can't be reached.")).to_have_count(1)
    draft.unroute("**/sheets/*")
    draft.get_by_role("button", name="Check again").click()
    expect(draft.get_by_text("can't be reached")).to_have_count(0)


def test_what_is_wrong_with_a_sheet_is_said_where_it_was_given(open_page: OpenPage, dag_id: str) -> None:
    page = open_page(f"/cwl/workflows/{dag_id}/batches", expected="422")
    page.get_by_text("Paste a table").click()
    page.get_by_label("Table").fill("text\ttext\n1\t2")
    page.get_by_role("button", name="Next: look at the rows").click()
    expect(page.get_by_role("alert")).to_contain_text("there are several columns of this name")
    page.get_by_label("Table").fill("sample\ttext\nA\tb")
    page.get_by_role("button", name="Next: look at the rows").click()
    expect(page.get_by_text("0 of 1 rows can start")).to_be_visible()


def test_without_scripts(open_page: OpenPage, dag_id: str) -> None:
    page = open_page(f"/cwl/workflows/{dag_id}/batches", java_script_enabled=False)
    page.get_by_text("Paste a table").click()
    page.get_by_label("Table").fill("sample\ttext\nA\tb")
    page.get_by_role("button", name="Next: look at the rows").click()
    page.get_by_label("Genome").fill("hg38")
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_text("The row can start.")).to_be_visible()
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_role("columnheader", name="Step sort")).to_be_visible()
    assert batches.list_of(dag_id).total == 1


def test_the_page_follows_its_batch(open_page: OpenPage, dag_id: str) -> None:
    batch = made_batch(dag_id, ["S1", "S2", "S3"], constants={"genome": "x"})
    go_on(batch)
    page = open_page(f"/cwl/workflows/{dag_id}/batches/{batch.id}")
    box = page.get_by_label("Compare S1")
    box.check()
    expect(page.get_by_role("button", name="Compare two samples")).to_be_disabled()
    end_row(batch, "S1")
    row = page.get_by_role("row").filter(has_text="S1")
    expect(row.get_by_text("success").first).to_be_visible()
    expect(box).to_be_checked()
    for name in ("S2", "S3"):
        end_row(batch, name, "failed", "sort")
    expect(page.get_by_role("button", name="Run failed ones again")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    page.get_by_role("link", name="failed 2").click()
    expect(page.locator("table.matrix tbody tr")).to_have_count(2)
    page.get_by_label("Compare S2").check()
    page.get_by_label("Compare S3").check()
    page.get_by_role("button", name="Compare two samples").click()
    expect(page).to_have_url(re.compile(r"/compare\?run="))
    expect(page.get_by_role("heading").first).to_contain_text("ompar")


def test_stopped_by_keyboard_and_what_is_left_is_said(
    open_page: OpenPage, dag_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlived = [True]

    def stop_run(dag_id: str, run_id: str, *, user: str) -> StopReport:
        from cwl_ui_plugin.services.stopping.database_state import fail_unfinished

        if outlived.pop() if outlived else False:
            raise StopIncomplete("left", ("pid 5 on worker1: <bwa>",))
        found = fail_unfinished(dag_id, run_id, user)
        return StopReport(dag_id=dag_id, run_id=run_id, stopped=found.stopped, seconds=0, message="")

    monkeypatch.setattr(stops.stops, "stop_run", stop_run)
    batch = made_batch(dag_id, ["S1"], constants={"genome": "x"})
    go_on(batch)
    page = open_page(f"/cwl/workflows/{dag_id}/batches/{batch.id}", expected="504")
    for said in ("pid 5 on worker1: <bwa>", "nothing of them runs any more"):
        page.get_by_role("button", name="Stop", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#batch-said")).to_contain_text(said)
    expect(page.locator("#batch-head")).to_contain_text("by the-admin")
    assert batches.get(dag_id, batch.id).state == "stopped"


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_how_it_looks(open_page: OpenPage, dag_id: str, viewport: Any, sheet: Path) -> None:
    width = viewport["width"]
    page = open_page(f"/cwl/workflows/{dag_id}/batches", viewport=viewport)
    page.get_by_label("A sheet with a row for each sample").set_input_files(sheet)
    page.get_by_label("Genome").fill("hg38")
    expect(page.get_by_text("2 of 3 rows can start; 1 can't.")).to_be_visible()
    _look(page, f"batch-draft-{width}", width)
    names = [f"Patient {number:03}" for number in range(1, 30)]
    batch = made_batch(dag_id, [*names, "W" * 60], constants={"genome": "x"}, name="Cohort of week 7", max_active=20)
    go_on(batch)
    for number, name in enumerate(names[:15]):
        end_row(batch, name, "failed" if number % 5 == 3 else "success", "count" if number % 5 == 3 else "")
    page.goto(page.url.partition("/sheets")[0])
    _look(page, f"batches-{width}", width)
    page.get_by_role("link", name="Cohort of week 7").click()
    expect(page.get_by_role("columnheader", name="Step sort")).to_be_visible()
    _look(page, f"batch-{width}", width)
    page.get_by_role("link", name="Outputs").click()
    expect(page.get_by_role("heading", name="Outputs of Cohort")).to_be_visible()
    _look(page, f"batch-outputs-{width}", width)


def _look(page: Page, name: str, width: int) -> None:
    picture(page, name, width)
    assert fits(page)
    assert barriers(page) == []
