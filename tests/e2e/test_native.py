"""Our pages as parts of Airflow's interface: tabs and buttons on its pages, its time zone, its router."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from support.airflow_server import Server, wait_for
from support.browsers import frame, picture
from support.documents import LOUD

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
DAG = "native_loud"
RUN = "r+1"
PATIENT = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
arguments: [{shellQuote: false, valueFrom: "echo first >&2; while [ ! -e $(inputs.go) ]; do sleep 0.1; done"}]
inputs: {go: string}
outputs: {}
"""
"""Goes on until there is a file."""
UTC = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")


@pytest.fixture(scope="module")
def ended(site: Server) -> str:
    """A run that has ended, of a workflow of our own; its address on Airflow's pages."""
    with site.client() as client:
        client.post("/cwl/api/v1/workflows", files={"files": (f"{DAG}.cwl", LOUD)}).raise_for_status()
        run = {"run_id": RUN, "job": {"text": "hello"}}
        wait_for(lambda: client.post(f"/cwl/api/v1/workflows/{DAG}/runs", json=run).is_success, what="the run's start")
        site.wait_for_run(client, DAG, RUN)
    return f"{site.url}/dags/{DAG}/runs/r%2B1"


def test_the_pages_of_airflow_have_tabs_and_buttons(page: Page, site: Server, ended: str) -> None:
    page.goto(f"{site.url}/dags/{DAG}")
    page.get_by_role("link", name="CWL workflow").click()
    expect(frame(page).get_by_role("heading", name="Say it loud")).to_be_visible(timeout=60_000)
    expect(frame(page).get_by_role("navigation", name="CWL", exact=True)).to_be_hidden()
    picture(page, site, "dag-tab")

    page.goto(f"{ended}/tasks/shout/details")
    expect(page.get_by_role("link", name="Outputs")).to_be_visible(timeout=60_000)
    picture(page, site, "task")
    page.get_by_role("link", name="CWL step").last.click()
    expect(frame(page).get_by_role("heading", name="Standard error")).to_be_visible(timeout=60_000)
    picture(page, site, "task-tab")

    frame(page).get_by_role("link", name="Back to the run").click()
    page.wait_for_url(f"{ended}/plugin/cwl_run")
    expect(frame(page).get_by_text("shouted.html").first).to_be_visible(timeout=60_000)


def test_a_link_to_airflow_does_not_load_its_interface_again(page: Page, site: Server, ended: str) -> None:
    page.goto(f"{site.url}/plugin/cwl/pluginsv2/cwl/workflows/{DAG}")
    page.evaluate("window.stays = true")
    frame(page).get_by_role("link", name="Airflow's page of this Dag").click()
    page.wait_for_url(re.compile(rf"/dags/{DAG}/?$"))
    expect(page.get_by_role("link", name="CWL workflow")).to_be_visible(timeout=60_000)
    assert page.evaluate("window.stays")
    page.go_back()
    expect(frame(page).get_by_role("heading", name="Say it loud")).to_be_visible(timeout=60_000)
    assert page.evaluate("window.stays")
    page.go_forward()
    expect(page.get_by_role("link", name="CWL workflow")).to_be_visible(timeout=60_000)
    expect(page.locator("iframe")).to_have_count(0)  # so nothing of ours is left that would load the interface again
    assert page.evaluate("window.stays")


@pytest.mark.parametrize("how", ["filled from a run", "empty"])
def test_a_run_that_was_started_is_shown_wherever_its_form_came_from(
    page: Page, site: Server, ended: str, how: str
) -> None:
    """Airflow takes the address of a frame for its own once that has loaded, and led from the run to an empty form."""
    query = "?from_run=r%2B1" if how == "filled from a run" else ""
    page.goto(f"{site.url}/plugin/cwl/pluginsv2/cwl/workflows/{DAG}/run{query}")
    run_id = how.replace(" ", "-")
    frame(page).get_by_label("Run ID").fill(run_id)
    frame(page).get_by_text("YAML or JSON", exact=True).click()
    frame(page).locator("#job").fill("text: hello")
    frame(page).get_by_role("button", name="Run", exact=True).click()
    shown = f"{site.url}/dags/{DAG}/runs/{run_id}/plugin/cwl_run"
    page.wait_for_url(shown, timeout=60_000)
    expect(frame(page).locator("#stop-button")).to_be_attached(timeout=60_000)
    inside = page.locator("iframe").element_handle().content_frame()
    assert inside
    inside.wait_for_load_state()  # now Airflow takes the address of the frame, if it does
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.url == shown
    with site.client() as client:
        site.wait_for_run(client, DAG, run_id)


def test_times_are_in_the_zone_that_is_chosen_in_airflow(page: Page, site: Server, ended: str) -> None:
    page.goto(f"{ended}/plugin/cwl_run")
    time = frame(page).locator("time").first
    expect(time).to_have_attribute("title", UTC)
    page.get_by_role("button", name=re.compile(r"^[+-]\d\d:\d\d$")).click()
    box = page.get_by_role("dialog").get_by_role("combobox")
    box.fill("Asia/Tokyo")
    box.press("Enter")
    utc = str(time.get_attribute("title"))[:13]
    expect(time).not_to_have_text(re.compile(f"^{utc}"))
    zone = "(text) => new Date(text).toLocaleString('sv-SE', { timeZone: 'Asia/Tokyo' })"
    expect(time).to_have_text(page.evaluate(zone, time.get_attribute("datetime")))


def test_airflows_log_has_standard_error_while_the_command_runs(ended: str, site: Server) -> None:
    go = site.home / "go-on"
    with site.client() as client:
        name = "native_errors"
        client.post("/cwl/api/v1/workflows", files={"files": (f"{name}.cwl", PATIENT)}).raise_for_status()
        run = {"run_id": RUN, "job": {"go": str(go)}}
        wait_for(lambda: client.post(f"/cwl/api/v1/workflows/{name}/runs", json=run).is_success, what="the run's start")
        address = f"/api/v2/dags/{name}/dagRuns/{quote(RUN)}/taskInstances/{name}"

        def lines() -> list[str]:
            answer = client.get(f"{address}/logs/1", params={"full_content": True}).json()
            return [one["event"] if isinstance(one, dict) else one for one in answer.get("content", [])]

        try:
            wait_for(lambda: "first" in lines(), what="the line in Airflow's log")
            assert client.get(address).json()["state"] == "running"
        finally:
            go.touch()
        site.wait_for_run(client, name, RUN)
        assert lines().count("first") == 1
