"""Presets in a real browser: saved without losing the form, updated, used only when nothing is lost unasked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.served import NARROW, fits, picture

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.presets import presets

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
BIG = 2**70
INPUTS = (
    Parameter("sample", "string"),
    Parameter("count", ["null", "long"]),
    Parameter("password", ["null", "string"], is_secret=True),
)


@pytest.fixture
def dag_id(add: Callable[..., Any]) -> str:
    name = f"preset-{uuid.uuid4().hex[:8]}"
    add(name, inputs=INPUTS)
    return name


def job_of(dag_id: str, name: str, user: str = "the-admin") -> dict[str, Any]:
    [found] = [item for item in presets.list_presets(dag_id, user) if item.name == name]
    return presets.get_preset(dag_id, found.id, user).job


def test_saved_updated_and_used_by_keyboard(open_page: OpenPage, dag_id: str) -> None:
    page = open_page(f"/cwl/workflows/{dag_id}/run", expected="409")
    page.get_by_label("sample").fill("first")
    page.get_by_label("count").fill(str(BIG))
    page.get_by_label("password").fill("hush")
    opener = page.get_by_text("Save as preset…")
    opener.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Name of the preset").fill("Usual <b>")
    page.keyboard.press("Enter")  # which does not start the run
    said = page.locator("#preset-said")
    expect(said).to_contain_text("Saved: “Usual <b>”.")
    expect(said).to_contain_text("password: it is a secret")
    expect(said).to_be_focused()
    assert job_of(dag_id, "Usual <b>") == {"sample": "first", "count": BIG}
    expect(page.get_by_label("password")).to_have_value("hush")
    page.get_by_label("sample").fill("second")
    page.get_by_role("button", name="Update the preset “Usual <b>”").click()
    expect(said).to_contain_text("Updated: “Usual <b>”")
    assert job_of(dag_id, "Usual <b>")["sample"] == "second"
    page.get_by_text("Save as preset…").click()
    page.get_by_label("Name of the preset").fill("USUAL <B>")
    page.get_by_role("button", name="Save the preset").click()
    expect(said).to_contain_text("already")
    assert barriers(page) == []


def test_what_was_typed_is_not_replaced_unasked(open_page: OpenPage, dag_id: str) -> None:
    presets.save_preset(dag_id, "Usual", {"sample": "kept"}, user="ada", is_shared=True)
    page = open_page(f"/cwl/workflows/{dag_id}/run")
    page.get_by_label("Preset", exact=True).select_option(label="Usual (ada)")
    page.get_by_label("sample").fill("typed")
    page.get_by_role("button", name="Use it").click()
    dialog = page.get_by_role("dialog", name="Replace what you have filled in?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("sample")).to_have_value("typed")
    page.get_by_role("button", name="Use it").click()
    dialog.get_by_role("button", name="Replace it").click()
    expect(page.get_by_label("sample")).to_have_value("kept")
    expect(page).to_have_url(re.compile(r"preset=[0-9a-f]{32}"))


def test_without_scripts(open_page: OpenPage, dag_id: str) -> None:
    page = open_page(f"/cwl/workflows/{dag_id}/run", java_script_enabled=False)
    page.get_by_label("sample").fill("first")
    page.get_by_text("Save as preset…").click()
    page.get_by_label("Name of the preset").fill("Usual")
    page.get_by_label("Share it with everybody").check()
    page.get_by_role("button", name="Save the preset").click()
    expect(page.get_by_label("sample")).to_have_value("first")
    assert job_of(dag_id, "Usual", "somebody") == {"sample": "first"}
    page.get_by_role("link", name="All presets").click()
    expect(page.get_by_role("heading", name="Usual")).to_be_visible()
    page.get_by_text("Change or delete").click()
    page.get_by_label("Name", exact=True).first.fill("Other")
    page.get_by_role("button", name="Save Usual").click()
    expect(page.get_by_role("heading", name="Other")).to_be_visible()
    page.get_by_text("Change or delete").click()
    page.get_by_role("button", name="Delete Other").click()
    expect(page.get_by_text("There are no presets of this workflow yet")).to_be_visible()


@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, NARROW], ids=["wide", "narrow"])
def test_how_it_looks(open_page: OpenPage, dag_id: str, viewport: Any) -> None:
    presets.save_preset(dag_id, "Whole genome, paired, 30x", {"sample": "a"}, user="the-admin")
    shared = presets.save_preset(dag_id, "W" * 100, {"sample": "b"}, user="ada", is_shared=True).preset
    page = open_page(f"/cwl/workflows/{dag_id}/run?preset={shared.id}", viewport=viewport)
    page.get_by_text("Save as preset…").click()
    assert fits(page)
    assert barriers(page) == []
    picture(page, f"preset-form-{viewport['width']}", viewport["width"])
    page.get_by_role("link", name="All presets").click()
    for details in page.get_by_text("Change or delete").all():
        details.click()
    assert fits(page)
    assert barriers(page) == []
    picture(page, f"presets-{viewport['width']}", viewport["width"])
