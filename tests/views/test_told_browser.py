"""Being told: toasts, notifications of the browser, and what a user chooses to be told by mail, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, hear_toasts, keep, overflowing, toasts
from support.served import NARROW
from support.stored import start_run

from cwl_ui_plugin.services.notifying import choices

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
SEEN = """window.Notification = class extends EventTarget {
  static get permission() { return localStorage.getItem("may-notify") ?? "default"; }
  static async requestPermission() { localStorage.setItem("may-notify", "granted"); return "granted"; }
  constructor(title) { super(); (window.seen ??= []).push(title); }
}"""

ASKING = """window.Notification = class {
  static permission = "default";
  static requestPermission() { return new Promise(() => {}); }
}"""


@pytest.fixture(autouse=True)
def mail(monkeypatch: pytest.MonkeyPatch) -> None:
    args = {"to": "{{ cwl.address }}", "subject": "{{ cwl.subject }}", "html_content": "{{ cwl.html }}"}
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", json.dumps({"mail": {"class": SMTP, "args": args, "title": "Mail"}}))


def test_a_user_chooses_tries_and_removes(open_page: OpenPage, workflow: str) -> None:
    page = open_page("/cwl/notifications", viewport=NARROW, expected="400")
    expect(page.get_by_text("You are told nothing yet.")).to_be_visible()
    page.get_by_label("Workflow").select_option(workflow)
    page.get_by_label("Address").fill("nobody")
    page.get_by_role("button", name="Tell me", exact=True).click()
    expect(page.get_by_text("'nobody' is no e-mail address.")).to_be_visible()
    expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Address").fill("ada@example.org")
    page.get_by_label("has failed").check()
    page.get_by_role("button", name="Tell me", exact=True).click()
    toasts = page.get_by_role("status").filter(has_text="You are told from now on.")
    expect(toasts).to_be_visible()
    keep(page, "notifications")
    assert (barriers(page), overflowing(page)) == ([], [])
    toasts.get_by_role("button", name="Close").click()
    expect(page.locator("#toasts .alert")).to_have_count(0)
    assert [(one.dag_id, one.address) for one in choices.choices_of("the-admin")] == [(workflow, "ada@example.org")]

    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("cell", name=re.compile("^waits since"))).to_be_visible()
    page.get_by_role("button", name=f"Remove {workflow}").click()
    expect(page.get_by_text("You are told nothing yet.")).to_be_visible()


def test_a_site_without_ways_says_who_can_change_that(
    open_page: OpenPage, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__NOTIFIERS", "{")
    page = open_page("/cwl/notifications", role="viewer")
    expect(page.get_by_text("This site has set up no way")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page = open_page("/cwl/notifications")
    expect(page.get_by_role("alert")).to_contain_text("notifiers is no JSON")


def test_the_browser_tells_when_a_run_ends_on_whatever_page(
    open_page: OpenPage, workflow: str, run_id: str, airflow: Any
) -> None:
    start_run(workflow, run_id)
    page = open_page("/cwl/workflows")
    page.context.add_init_script(SEEN)
    page.goto(page.url.replace("/workflows", f"/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}"))
    button = page.get_by_role("button", name="Tell me when it ends")
    button.click()
    pressed = page.get_by_role("button", name="You are told when it ends")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#toasts")).to_contain_text("while a page of CWL is open")
    assert barriers(page) == []
    airflow.set_run(workflow, run_id, "success")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(re.sub("/run[?].*", "/workflows", page.url))
    expect(page.locator("#toasts")).to_contain_text(f"{run_id} has succeeded")
    page.locator("#toasts .alert").hover()  # then it stays
    [seen] = page.evaluate("window.seen")
    assert f"{run_id} has succeeded" in seen
    keep(page, "told")
    page.wait_for_function("() => localStorage.getItem('cwl-tell') === '[]'")
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(run_id)


def test_a_run_that_waits_is_told_and_its_end_too(open_page: OpenPage, workflow: str, run_id: str) -> None:
    start_run(workflow, run_id)
    page = open_page("/cwl/workflows")
    page.context.add_init_script(ASKING)
    page.goto(page.url.replace("/workflows", f"/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}"))
    page.get_by_role("button", name="Tell me when it ends").click()
    expect(page.get_by_role("button", name="You are told when it ends")).to_be_visible()  # while the browser asks
    told = {"ended": False, "state": "waiting", "text": "It waits for approval"}
    page.route("**/run/end?*", lambda route: route.fulfill(json=told))
    hear_toasts(page)
    assert toasts(page, 1) == ["It waits for approval"]
    for _again in range(2):
        with page.expect_response("**/run/end?*"):
            page.reload()
    told.update(ended=True, state="success", text="It has succeeded")
    page.reload()
    assert toasts(page, 2) == ["It waits for approval", "It has succeeded"]
    assert page.evaluate("localStorage.getItem('cwl-tell')") == "[]"
