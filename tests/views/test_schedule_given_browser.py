"""What a schedule gives to inputs, on its page: a watched folder with a preview, and outputs of another workflow."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.served import fits, picture
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.watching.rounds import WatchRound

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
PAIR = {"type": "record", "name": "pair", "fields": [{"name": "r1", "type": "File"}, {"name": "r2", "type": "File"}]}
INPUTS = (
    Parameter("reads", PAIR, label="Paired reads"),
    Parameter("sample", "string"),
    Parameter("level", ["null", "int"]),
)


@pytest.fixture
def incoming(folders: Path) -> Path:
    folder = folders / "inputs/incoming"
    folder.mkdir(parents=True)
    for name in ("a_R1.gz", "a_R2.gz", "b_R1.gz", "<b>notes.txt", "c_R1.gz.part"):
        (folder / name).touch()
    (folder / "out_R1.gz").symlink_to("/etc/passwd")
    return folder


def test_a_folder_is_looked_into_before_it_is_watched(
    open_page: OpenPage, add: Callable[..., Any], incoming: Path
) -> None:
    dag_id = f"watched-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=INPUTS)
    page = open_page(f"/cwl/workflows/{dag_id}/schedule")
    page.get_by_label("Watch a folder").check()
    page.get_by_role("textbox", name="Folder", exact=True).fill("/etc")
    page.get_by_label("Files for Paired reads").fill("{sample}_R{1,2}.gz")
    page.get_by_label("Group for sample").fill("{sample}")
    page.get_by_role("button", name="Show what is found now").click()
    found = page.locator("#found-sets")
    expect(found.get_by_role("alert")).to_contain_text("can't be watched")
    page.get_by_role("textbox", name="Folder", exact=True).fill(str(incoming))
    page.get_by_role("button", name="Show what is found now").click()
    expect(found.get_by_role("row").filter(has_text="a_R1.gz, a_R2.gz")).to_contain_text("complete")
    expect(found.get_by_role("row").filter(has_text="b_R2.gz")).to_contain_text("waits for files")
    expect(found).to_contain_text("out_R1.gz: It is a link to what lies outside of the folder")
    expect(found).to_contain_text("<b>notes.txt")
    expect(found).to_contain_text("1 hidden or unfinished file is ignored")
    assert barriers(page) == []
    picture(page, "schedule-folder")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_text("The schedule is saved.")).to_be_visible()
    expect(page.get_by_text("It was not looked at yet.")).to_be_visible()
    WatchRound()()
    page.reload()
    expect(page.get_by_role("row").filter(has_text="a_R1.gz")).to_contain_text("still changes")
    expect(page.get_by_label("Files for Paired reads")).to_have_value("{sample}_R{1,2}.gz")
    picture(page, "schedule-folder-saved")
    page.set_viewport_size({"width": 360, "height": 700})
    assert fits(page)


def test_an_input_is_given_the_output_of_another_workflow(
    open_page: OpenPage, add: Callable[..., Any], store: WorkflowStore
) -> None:
    from cwl_ui_plugin.dags.registration import register

    making, taking = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("making", "taking"))
    outputs = (Parameter("counts", "File"),)
    add_version(store, making, replace(plan_of("a", inputs=()), outputs=outputs), "one")
    register(making)
    add(taking, inputs=(Parameter("counted", "File"), Parameter("label", ["null", "string"])))
    page = open_page(f"/cwl/workflows/{taking}/schedule", expected="status of 4")
    page.get_by_label("After assets").check()
    page.get_by_text("Inputs from outputs of other workflows").click()
    page.locator("#output-1").fill(f"cwl://{making}/counts")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.locator("#job-problems")).to_contain_text("is File; the input is string")
    page.locator("#output-1").fill("")
    page.locator("#output-0").fill(f"cwl://{making}/counts")
    picture(page, "schedule-chain")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_text("The schedule is saved.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text=f"counted from cwl://{making}/counts")).to_be_visible()
    store.delete(making)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text(f"There is no workflow '{making}' any more")
