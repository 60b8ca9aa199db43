"""Honest states in a real browser: stopped, failed, running and waiting runs, their list, their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, keep, overflowing
from support.served import NARROW
from support.stored import spread

from cwl_ui_plugin.services.monitoring import naming, queries
from cwl_ui_plugin.services.monitoring.naming import Naming
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.triggering import triggers

pytestmark = pytest.mark.e2e
OpenPage = Callable[..., Page]
WIDE = {"width": 1440, "height": 900}
NAMES = Naming("Liver, third try", ["liver", "mouse"], "Look at the peaks near the end; the second lane was short.")


def at(path: str, **query: Any) -> str:
    return f"/cwl/{path}?{urlencode(query)}"


def look_at(page: Page, name: str) -> None:
    """Look for barriers and for what overflows in a wide and a narrow window; keep pictures where a folder is named."""
    for size, window in (("wide", WIDE), ("small", NARROW)):
        page.set_viewport_size(window)  # type: ignore[arg-type]
        assert barriers(page) == [], (name, size)
        assert overflowing(page) == [], (name, size)
        keep(page, f"{name}-{size}", full_page=True)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


@pytest.fixture
def begin(workflow: str, airflow: Any) -> Callable[..., str]:
    """Start a run whose first step is in a state: ``begin(state="running")``."""

    def begun(name: str, run_state: str = "running", **step: Any) -> str:
        began = datetime.now(timezone.utc) - timedelta(seconds=90)
        run_id = f"{name}-{workflow}"
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
        airflow.set_run(workflow, run_id, "running")
        airflow.set_run(workflow, run_id, run_state)
        airflow.set_task(workflow, run_id, "CWLJobDispatcher", state="success", start_date=began, end_date=began)
        airflow.set_task(workflow, run_id, "sort", **{"start_date": began, **step})
        return run_id

    return begun


@pytest.fixture
def heartbeat(airflow_home: Path) -> Any:
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session

    with create_session() as session:
        moment = datetime.now(timezone.utc) + timedelta(hours=1)
        job = Job(job_type="SchedulerJob", state="running", latest_heartbeat=moment)
        session.add(job)
        session.flush()
        own = job.id
    yield
    with create_session() as session:
        session.delete(session.get(Job, own))


def test_a_stopped_run_is_no_failure(open_page: OpenPage, workflow: str, begin: Callable[..., str]) -> None:
    run_id = begin("stopped", state="running")
    naming.name_run(workflow, run_id, NAMES, user="ada")
    stops.stop_run(workflow, run_id, user="admin")
    page = open_page(at("run", dag_id=workflow, run_id=run_id), viewport=WIDE)
    expect(page.locator("#run-head .badge")).to_contain_text("Stopped by admin")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("[data-state=failed]")).to_have_count(0)
    expect(page.locator("#run-steps [data-key=sort] .badge")).to_have_text("stopped")
    expect(page.locator("#run-steps [data-key=count] .badge")).to_have_text("not run")
    expect(page.locator('#graph [data-node="count"]')).to_have_attribute("data-state", "not_run")
    look_at(page, "run-stopped")


def test_a_run_that_waits_says_for_what(
    open_page: OpenPage,
    workflow: str,
    begin: Callable[..., str],
    heartbeat: None,
    monkeypatch: pytest.MonkeyPatch,
    airflow: Any,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "1")
    other = begin("other", state="running")
    naming.name_run(workflow, other, NAMES, user="ada")
    run_id = begin("waits", state="scheduled", start_date=None)
    page = open_page(at("run", dag_id=workflow, run_id=run_id), viewport=WIDE)
    expect(page.locator(".waits")).to_contain_text("1 of 1 worker slots are busy: Liver, third try")
    expect(page.locator("#run-steps [data-key=sort] .badge")).to_have_text("waits")
    look_at(page, "run-waits")
    airflow.set_task(workflow, other, "sort", state="success", end_date=datetime.now(timezone.utc))
    expect(page.locator(".waits")).to_contain_text("about to start it", timeout=20_000)


def test_times_go_on_without_asking_the_server(
    open_page: OpenPage,
    workflow: str,
    begin: Callable[..., str],
    airflow: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__RETRY_DELAY", "600")
    run_id = begin("running", state="running")
    airflow.set_task(workflow, run_id, "count", state="up_for_retry", try_number=1)
    airflow.set_task(workflow, run_id, "count", end_date=datetime.now(timezone.utc))
    options = {"viewport": WIDE, "expected": "ERR_INTERNET_DISCONNECTED"}
    page = open_page(at("run", dag_id=workflow, run_id=run_id), **options)
    ticking = page.locator("#run-steps [data-key=sort] [data-since]")
    left = page.locator("#run-steps [data-key=count] [data-until]")
    expect(ticking).to_contain_text("min")
    expect(left).to_contain_text("min")
    look_at(page, "run-running")
    page.context.set_offline(True)
    before = (ticking.text_content(), left.text_content())
    expect(ticking).not_to_have_text(before[0] or "")
    expect(left).not_to_have_text(before[1] or "")


def test_a_run_is_named_in_a_dialog(open_page: OpenPage, workflow: str, run_id: str) -> None:
    page = open_page(at("run", dag_id=workflow, run_id=run_id), viewport=WIDE)
    page.get_by_role("button", name="Add a title, tags, a note").press("Enter")
    dialog = page.get_by_role("dialog", name="Title, tags and note")
    expect(dialog.get_by_label("Title")).to_be_focused()
    dialog.get_by_label("Title").fill("Liver")
    dialog.get_by_label("Tags").fill("mouse, third")
    dialog.get_by_label("Note").fill("Look\nagain")
    look_at(page, "run-label")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Liver")
    expect(page.get_by_text(run_id, exact=True)).to_be_visible()
    page.get_by_role("link", name="third", exact=True).click()
    expect(page.get_by_role("link", name="Liver", exact=True)).to_be_visible()
    expect(page.get_by_label("Tag", exact=True)).to_have_value("third")
    assert queries.get_run(workflow, run_id).note == "Look\nagain"


def test_elements_are_found_by_name(open_page: OpenPage, workflow: str, run_id: str) -> None:
    spread(workflow, run_id, "sort", 120)
    page = open_page(at("run", dag_id=workflow, run_id=run_id), viewport=WIDE)
    page.get_by_text("120 scatter elements").press("Enter")
    found = page.get_by_role("searchbox", name="Find elements of Step sort by name")
    found.fill("element 11")
    found.press("Enter")
    expect(page.get_by_role("link", name="element 110", exact=True)).to_be_visible()
    expect(page.locator("table.elements tbody tr")).to_have_count(11)
    expect(found).to_be_focused()
    look_at(page, "run-elements")
    page.get_by_role("link", name="1 failed").click()
    expect(page.locator("table.elements tbody tr")).to_have_count(1)


def test_the_list_tells_all_states_and_is_cards_in_a_small_window(
    open_page: OpenPage, workflow: str, begin: Callable[..., str], airflow: Any
) -> None:
    ended = datetime.now(timezone.utc)
    stopped = begin("stopped", state="running")
    naming.name_run(workflow, stopped, NAMES, user="ada")
    stops.stop_run(workflow, stopped, user="admin")
    failed = begin("failed", run_state="failed", state="failed", end_date=ended)
    asking = begin("asking", state="awaiting_input")
    running = begin("running", state="running")
    page = open_page(at("runs", dag_id=workflow), viewport=WIDE)

    def row(name: str) -> Any:
        return page.get_by_role("row").filter(has=page.get_by_role("checkbox", name=f"Choose {name} "))

    expect(row("Liver, third try").locator(".badge")).to_contain_text("Stopped by admin")
    expect(row(failed).locator(".badge")).to_have_text("failed")
    expect(row(asking).locator(".badge")).to_have_text("waits for approval")
    expect(row(running).locator(".badge")).to_have_text("running")
    expect(row(running).locator("[data-since]")).to_have_text(re.compile(r"\d"))
    look_at(page, "runs")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    again = row(failed).get_by_role("button", name="Run again")
    box = again.bounding_box()
    assert box
    assert box["x"] + box["width"] <= NARROW["width"]
    row(failed).locator("summary").click()
    expect(row(failed).get_by_role("link", name="Edit and run again")).to_be_in_viewport()
    look_at(page, "runs-menu")
    row(failed).get_by_role("checkbox").check()
    row(running).get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Compare")).to_be_enabled()
    expect(page.get_by_role("button", name="Stop 1 of 2 chosen runs")).to_be_visible()
    page.get_by_label("State").select_option("stopped")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("checkbox", name="Choose Liver, third try")).to_be_visible()
    expect(page.get_by_role("checkbox", name=f"Choose {failed}")).to_have_count(0)


def test_a_failed_run_names_what_failed(
    open_page: OpenPage, workflow: str, begin: Callable[..., str], airflow: Any
) -> None:
    ended = datetime.now(timezone.utc)
    run_id = begin("failed", run_state="failed", state="failed", end_date=ended)
    told = {"message": "it ended badly", "kind": "permanentFail", "exit_code": 3, "stderr": "no", "command": ["sort"]}
    airflow.push(workflow, run_id, "sort", "cwl_error", told)
    for task in ("count", "CWLJobGatherer"):
        airflow.set_task(workflow, run_id, task, state="upstream_failed", start_date=ended, end_date=ended)
    page = open_page(at("run", dag_id=workflow, run_id=run_id), viewport=WIDE)
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.locator("#run-steps [data-key=count] .badge")).to_have_text("not run")
    expect(page.locator("#run-timeline .lane")).to_have_count(1)
    look_at(page, "run-failed")
    page.get_by_role("link", name="Show Airflow's own tasks").click()
    expect(page.locator("#run-steps [data-key=CWLJobGatherer] .badge")).to_have_text("not run")
