"""Stopping runs on their pages, in a real browser, with the mouse and with the keyboard."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect
from support.browsers import barriers, hear_toasts, keep, toasts
from support.served import while_held

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import triggers

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "2")


@pytest.fixture
def stubborn(workflow: str, run_id: str) -> Iterator[subprocess.Popen[str]]:
    """A command of the run that ignores SIGTERM."""
    mark = TaskTry(workflow, run_id, "sort", -1, 1).tag
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        env={**os.environ, task_processes.TAG_VARIABLE: mark},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.fixture
def other_run(workflow: str) -> str:
    name = f"other-{uuid.uuid4()}"
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
    return name


def run_page(dag_id: str, run_id: str) -> str:
    return f"/cwl/run?dag_id={quote(dag_id)}&run_id={quote(run_id)}"


def ended(panel: Locator, run_id: str) -> Locator:
    return panel.locator(".alert.info", has_text=run_id)


def test_stop_can_be_pressed_while_scripts_still_load(open_page: OpenPage, workflow: str, run_id: str) -> None:
    page = open_page(run_page(workflow, run_id))

    def press() -> None:
        page.get_by_role("button", name="Stop run").first.click()
        expect(page.get_by_role("dialog")).to_be_hidden()

    while_held(page, "stop.js", press)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_run_is_stopped_by_keyboard_alone(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
    stubborn: subprocess.Popen[str],
) -> None:
    page = open_page(run_page(workflow, run_id))
    button = page.get_by_role("button", name="Stop run").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Stop this run?")
    expect(dialog).to_contain_text(run_id)
    keep(page, "stop-dialog")
    assert barriers(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert queries.get_run(workflow, run_id).summary.state != "failed"

    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Stop run")).to_be_focused()
    page.keyboard.press("Enter")

    panel = page.locator("#stop-progress")
    expect(panel).to_be_focused()
    expect(panel).to_contain_text(f"pid {stubborn.pid}")
    expect(panel).to_contain_text(re.compile(r"\d\.\d s"))
    keep(page, "stopping")
    expect(ended(panel, run_id)).to_contain_text("Stopped by the-admin", timeout=20_000)
    assert stubborn.wait(10) == -9
    expect(page.get_by_role("status").filter(has_text="None of its processes is left")).to_be_attached()
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_description("The run has ended.")
    expect(page.locator("#run-state")).to_contain_text("Stopped by the-admin")
    keep(page, "stopped")
    assert barriers(page) == []

    button.click(force=True)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_many_runs_are_stopped_from_the_list_and_deleted(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
    other_run: str,
    airflow: Any,
) -> None:
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", {"x": 1})
    page = open_page(f"/cwl/runs?dag_id={quote(workflow)}")
    hear_toasts(page)
    chosen = page.get_by_role("button", name=re.compile("^Stop .*chosen"))
    expect(chosen).to_have_attribute("aria-disabled", "true")
    for name in (run_id, other_run):
        page.get_by_role("checkbox", name=f"Choose {name}").check()
    expect(chosen).to_have_text("Stop 2 chosen runs")
    keep(page, "runs-chosen")
    chosen.click()
    dialog = page.get_by_role("dialog", name="Stop 2 runs?")
    expect(dialog).to_contain_text(other_run)
    dialog.get_by_role("checkbox").check()
    keep(page, "stop-dialog-many")
    assert barriers(page) == []
    dialog.get_by_role("button", name="Stop and delete 2 runs").click()
    for name in (run_id, other_run):
        expect(ended(page.locator("#stop-progress"), name)).to_contain_text("removed", timeout=20_000)
        expect(page.get_by_role("checkbox", name=f"Choose {name}")).to_have_count(0)
    assert toasts(page, 1) == ["2 runs were stopped."]
    keep(page, "runs-stopped")
    assert barriers(page) == []
    assert queries.list_runs([workflow]).total == 0


def test_the_list_chooses_all_that_can_be_stopped(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
    other_run: str,
    airflow: Any,
) -> None:
    airflow.set_run(workflow, other_run, "success")
    page = open_page(f"/cwl/runs?dag_id={quote(workflow)}")
    ended_one = page.get_by_role("checkbox", name=f"Choose {other_run}")
    chosen = page.get_by_role("button", name=re.compile("^Stop .*chosen"))
    ended_one.check()
    expect(chosen).to_have_attribute("aria-disabled", "true")
    expect(chosen).to_have_attribute("title", "The run has ended.")
    page.get_by_role("checkbox", name="Choose all runs").check()
    expect(chosen).to_have_text("Stop 1 of 2 chosen runs")
    expect(page.get_by_role("button", name="Compare")).to_be_enabled()
    chosen.click()
    dialog = page.get_by_role("dialog", name="Stop this run?")
    expect(dialog).to_contain_text(run_id)
    expect(dialog).not_to_contain_text(other_run)


def test_who_may_not_stop_is_told_so(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
) -> None:
    page = open_page(run_page(workflow, run_id), role="viewer")
    button = page.get_by_role("button", name="Stop run").first
    expect(button).to_have_accessible_description(re.compile("do not have the permission"))
    button.click(force=True)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_stop_that_somebody_else_began_is_shown(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
    stubborn: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "60")
    thread = threading.Thread(target=lambda: stops.stop_run(workflow, run_id, user="eve"))
    thread.start()
    try:
        while not stops.progress(workflow, run_id):
            assert thread.is_alive()
        page = open_page(run_page(workflow, run_id), expected="503")
        unanswered = ["once", "twice"]
        page.route(
            "**/stop/progress?*",
            lambda route: route.fulfill(status=503) if unanswered and unanswered.pop() else route.continue_(),
        )
        hear_toasts(page)
        panel = page.locator("#stop-progress")
        expect(panel).to_contain_text(f"pid {stubborn.pid}")
        stubborn.kill()
        expect(panel).to_contain_text("The stop has ended.", timeout=20_000)
        expect(page.locator("#run-state")).to_contain_text("Stopped by eve")
        assert unanswered == toasts(page, 0) == []  # what somebody else does is no news about what this user has done
    finally:
        stubborn.kill()
        thread.join()


def test_what_is_left_is_named(
    open_page: OpenPage,
    workflow: str,
    run_id: str,
    stubborn: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "1")
    monkeypatch.setattr(task_processes, "_send", lambda _process, _number: None)
    page = open_page(run_page(workflow, run_id), expected="504")
    page.get_by_role("button", name="Stop run").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop run").click()
    failed = page.locator("#stop-progress .alert.error")
    expect(failed).to_contain_text(f"pid {stubborn.pid}", timeout=20_000)
    keep(page, "stop-failed")
    assert barriers(page) == []
