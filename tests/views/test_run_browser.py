"""The pages of runs in a real browser while the runs go on: what is new comes in, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import overflowing
from support.served import NARROW
from support.stored import spread, start_run

from cwl_ui_plugin.dags.folders.run_folder import TaskTry

pytestmark = pytest.mark.e2e
HOSTILE = '"><img src=x onerror="alert(1)">\u202e\u2066right to left'


@pytest.fixture
def show(open_page: Callable[..., Page], workflow: str, run_id: str) -> Callable[..., Page]:
    """Open a page about the run: ``show("run/step", task_id="sort")``."""

    def opened(path: str, role: str = "admin", options: dict[str, Any] | None = None, **query: Any) -> Page:
        asked = urlencode({"dag_id": workflow, "run_id": run_id, **query})
        return open_page(f"/cwl/{path}?{asked}", role, **(options or {}))

    return opened


def test_news_come_in_without_moving_what_somebody_looks_at(
    show: Callable[..., Page], workflow: str, run_id: str, airflow: Any
) -> None:
    spread(workflow, run_id, "sort", 20)
    start_run(workflow, run_id)
    page = show("run")
    page.get_by_text("20 scatter elements").press("Enter")
    expect(page.get_by_role("link", name="element 7", exact=True)).to_be_visible()
    page.get_by_role("link", name="Step count", exact=True).focus()
    now = datetime.now(timezone.utc)
    airflow.set_task(workflow, run_id, "count", state="running", start_date=now)
    expect(page.locator("#run-steps [data-key=count] .badge")).to_have_text("running", timeout=20_000)
    expect(page.get_by_role("link", name="Step count", exact=True)).to_be_focused()
    expect(page.get_by_role("link", name="element 7", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Step count: running")).to_be_visible()
    expect(page.locator('#graph [data-node="count"]')).to_have_attribute("data-state", "running")
    airflow.set_task(workflow, run_id, "count", state="success", end_date=now)
    airflow.set_run(workflow, run_id, "failed")
    expect(page.get_by_role("button", name="Stop run")).to_have_attribute("aria-disabled", "true", timeout=20_000)
    expect(page.get_by_role("link", name="Step count", exact=True)).to_be_focused()


def test_a_page_that_nobody_sees_or_whose_run_has_ended_asks_for_nothing(
    show: Callable[..., Page], workflow: str, run_id: str, airflow: Any
) -> None:
    start_run(workflow, run_id)
    page = show("run", options={"viewport": NARROW})
    expect(page.locator("#graph svg")).to_be_visible()
    page.evaluate(
        """() => { Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange")); }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()  # now, as the page can't take back a timer that it has set by the real clock
    page.clock.run_for(3_600_000)
    assert asked == []
    airflow.set_run(workflow, run_id, "success")
    with page.expect_response(lambda answer: "/cwl/run?" in answer.url):
        page.evaluate("""() => { delete document.hidden; document.dispatchEvent(new Event("visibilitychange")); }""")
        page.clock.run_for(2000)
    expect(page.get_by_role("button", name="Stop run")).to_have_attribute("aria-disabled", "true")
    asked.clear()
    page.clock.run_for(3_600_000)
    assert asked == []


def test_what_a_command_prints_is_followed(show: Callable[..., Page], workflow: str, run_id: str, airflow: Any) -> None:
    start_run(workflow, run_id)
    airflow.set_task(workflow, run_id, "sort", state="running", start_date=datetime.now(timezone.utc))
    page = show("run/step", task_id="sort", options={"viewport": NARROW, "color_scheme": "dark"})
    log = page.get_by_label("stdout", exact=True)
    expect(page.get_by_text("Nothing was printed here until now").first).to_be_visible()
    path = TaskTry(workflow, run_id, "sort", -1, 0).folder / "stdout.log"
    path.parent.mkdir(parents=True)
    path.write_text(f"first\n{HOSTILE}\n")
    expect(log).to_contain_text(HOSTILE, timeout=20_000)
    with path.open("a") as file:
        file.write("x" * 1_000_000 + "\nlast\n")
    expect(log).to_contain_text("last", timeout=20_000)
    assert len(log.text_content() or "") <= 262_144
    assert overflowing(page) == []


def test_hostile_names_are_only_text(
    show: Callable[..., Page], workflow: str, run_id: str, folders: Path, airflow: Any
) -> None:
    start_run(workflow, run_id)
    began = datetime.now(timezone.utc) - timedelta(seconds=9)
    values = {"_task_display_property_value": HOSTILE, "_rendered_map_index": HOSTILE}
    airflow.set_task(workflow, run_id, "sort", state="failed", start_date=began, end_date=began, **values)
    told = {"message": HOSTILE, "kind": "permanentFail", "exit_code": 1, "stderr": HOSTILE, "command": [HOSTILE]}
    airflow.push(workflow, run_id, "sort", "cwl_error", told)
    folder = folders / "outputs" / workflow / run_id
    folder.mkdir(parents=True)
    name = HOSTILE.replace("/", "")
    (folder / name).write_text(HOSTILE)
    file = {
        "class": "File",
        "location": (folder / name).as_uri(),
        "basename": name,
        "checksum": HOSTILE,
        "format": HOSTILE,
    }
    outputs = {HOSTILE: file, "text": HOSTILE, "many": list(range(100_000))}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", outputs)
    airflow.set_run(workflow, run_id, "failed")
    page = show("run", options={"viewport": NARROW})
    expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
    expect(page.locator("#run-outputs")).to_contain_text(name)
    page.get_by_role("link", name="Preview").click()
    seen = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\u2066", "⟨U+2066⟩")
    expect(page.get_by_role("dialog").locator("pre")).to_have_text(seen)
    assert page.locator("main img, dialog img").count() == 0
    assert overflowing(page) == []


def test_a_viewer_looks_and_does_not_touch(show: Callable[..., Page], workflow: str, run_id: str) -> None:
    page = show("run", role="viewer")
    expect(page.get_by_role("button", name="Stop run")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("link", name="Edit and run again")).to_have_count(0)
    page = show("run", role="user")
    expect(page.get_by_role("link", name="Edit and run again")).to_be_visible()


def test_runs_are_found_by_what_is_asked_for(
    open_page: Callable[..., Page],
    workflow: str,
    run_id: str,
) -> None:
    page = open_page(f"/cwl/runs?dag_id={workflow}", viewport=NARROW, color_scheme="dark")
    expect(page.get_by_role("link", name=run_id)).to_be_visible()
    page.get_by_label("Started by").fill("ada")
    page.get_by_label("From (UTC)").fill(f"{datetime.now(timezone.utc):%Y-%m-%d}")
    page.get_by_label("Title, tag, note, id or workflow").fill(run_id[:12])
    page.get_by_label("Title, tag, note, id or workflow").press("Enter")
    expect(page.get_by_role("link", name=run_id)).to_be_visible()
    page.get_by_label("To (UTC)").fill("2020-01-31")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("No run fits.")).to_be_visible()
    assert overflowing(page) == []
