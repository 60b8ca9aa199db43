"""Retention in a real browser: what would go is looked at and removed by keyboard, in light and dark."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from support.browsers import barriers
from support.keyboard import press
from support.served import fits, picture

from cwl_ui_plugin.services.inputs import single
from cwl_ui_plugin.services.retention import sizes

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]


@pytest.fixture
def uploads(folders: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("AIRFLOW__CWL__REUSE_FOLDER", str(folders / "reuse"))
    made = [single.save_input("reads.txt", io.BytesIO(b"x" * 900_000), user="ada") for _ in range(3)]
    for path in made[1:]:
        os.utime(path.parent, (0, 0))
    sizes.measure_now()
    return made


def section(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("^Retention"))


def test_what_would_go_is_looked_at_and_removed(open_page: OpenPage, uploads: list[Path]) -> None:
    page = open_page("/cwl/settings")
    row = section(page).get_by_role("row").filter(has_text="Uploaded inputs")
    expect(row).to_contain_text("2.7 MB")
    expect(row).to_contain_text("keep_uploads_days: 30 days")
    picture(page, "settings-retention")

    press(page, section(page).get_by_role("button", name="What would be removed now?"))
    expect(section(page).get_by_role("heading", name=re.compile("^Retention"))).to_be_in_viewport()
    expect(row).to_contain_text("2, 1.8 MB")
    row.get_by_text("Which").click()
    expect(row).to_contain_text(uploads[1].parent.name)
    picture(page, "settings-retention-look")
    assert barriers(page) == []
    page.set_viewport_size({"width": 360, "height": 700})
    assert fits(page)

    press(page, section(page).get_by_role("button", name="Remove it now"))
    expect(section(page).get_by_role("status")).to_contain_text("Removed 1.8 MB in 2 files.")
    assert [path.exists() for path in uploads] == [True, False, False]
