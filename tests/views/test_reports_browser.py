"""The page with the reports of a run, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers
from support.served import fits, picture

from cwl_ui_plugin.services.settings import connection_and_keys, report_delivery

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("settings_cleared")]
OpenPage = Callable[..., Page]


@pytest.mark.parametrize("width", [1200, 400])
def test_the_reports_of_a_run_are_read_by_keyboard(
    open_page: OpenPage,
    workflow: str,
    waiting_run: str,
    width: int,
) -> None:
    connection_and_keys.save_report_connection(schema="http", host="127.0.0.1", port=9, endpoint="")
    page = open_page(f"/cwl/runs/{workflow}/{waiting_run}/reports", viewport={"width": width, "height": 800})
    rows = page.get_by_role("row").filter(has=page.get_by_role("cell"))
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("waiting")
    expect(rows.nth(0)).to_contain_text("503")
    expect(rows.nth(1)).to_contain_text("delivered")
    expect(rows.nth(1)).to_contain_text("<b>sort</b> [3]: success, try 2")
    summary = rows.nth(0).locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(rows.nth(0).locator("pre")).to_contain_text('"task_id": "<b>sort</b>"')
    assert barriers(page) == []
    assert fits(page)
    picture(page, f"reports-{width}", width)
    page.get_by_role("button", name="Retry now").press("Enter")
    expect(page.get_by_text("Reports that wait are tried again now.")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Reports of {waiting_run}")).to_be_visible()
    runs = [run for run in report_delivery.waiting_runs().items if run.run_id == waiting_run]
    assert [(run.failures, run.next_try) for run in runs] == [(0, None)]
    page.get_by_role("link", name=waiting_run).click()
    expect(page.get_by_role("heading", name=waiting_run, level=1)).to_be_visible()


def test_a_run_without_reports_says_what_to_do(open_page: OpenPage, workflow: str, run_id: str) -> None:
    page = open_page(f"/cwl/runs/{workflow}/{run_id}/reports")
    expect(page.get_by_text("Nothing was reported of this run.")).to_be_visible()
    assert page.get_by_role("button", name="Retry now").count() == 0, "there is nothing to try again"
    assert barriers(page) == []
    picture(page, "reports-none")
    page.get_by_role("link", name="Name a receiver").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
