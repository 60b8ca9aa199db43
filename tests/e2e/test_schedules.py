"""Schedules on a real server: runs that Airflow starts by itself, and backfills, with outputs of their dates."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
DOCUMENT = """
cwlVersion: v1.2
class: CommandLineTool
label: Day
baseCommand: echo
inputs:
  day: {type: string, inputBinding: {}}
  year: {type: int?, inputBinding: {}}
outputs: {out: stdout}
stdout: day.txt
"""
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
JOB = {"day": "{{ ds }}", "year": "{{ logical_date.year }}"}
API = "/cwl/api/v1/workflows"


@contextmanager
def uploaded(client: httpx.Client) -> Iterator[str]:
    """A workflow that prints a day; nothing of it is left."""
    dag_id = f"day-{uuid.uuid4().hex[:8]}"
    files = {"files": (f"{dag_id}.cwl", DOCUMENT)}
    client.post(API, files=files, data={"dag_id": dag_id}).raise_for_status()
    yield dag_id
    client.delete(f"{API}/{dag_id}/schedule")
    delete(client, dag_id)


def delete(client: httpx.Client, dag_id: str) -> None:
    """Delete a workflow once the last of its runs has ended."""
    wait_for(lambda: client.delete(f"{API}/{dag_id}").status_code in (204, 404), 120, f"the removal of {dag_id}")


@pytest.fixture
def workflow(client: httpx.Client) -> Iterator[str]:
    with uploaded(client) as dag_id:
        yield dag_id


@pytest.fixture
def visited(site: Server) -> Iterator[tuple[httpx.Client, str]]:
    """A client of the server that the browser has logged in to, and a workflow there."""
    with site.client() as client, uploaded(client) as dag_id:
        yield client, dag_id


def save(client: httpx.Client, dag_id: str, **values: Any) -> dict[str, Any]:
    wanted = {"kind": "preset", "settings": {"preset": "@daily"}, "job": JOB, **values}
    answer = client.put(f"{API}/{dag_id}/schedule", json=wanted)
    assert answer.status_code == 200, answer.text
    saved: dict[str, Any] = answer.json()
    return saved


def ended(client: httpx.Client, dag_id: str, count: int, run_type: str = "") -> list[dict[str, Any]]:
    """Return the runs of a workflow, of a type or any, once that many have ended."""

    def runs() -> list[dict[str, Any]] | None:
        found = client.get("/cwl/api/v1/runs", params={"dag_id": dag_id}).json()["runs"]
        found = [run for run in found if run_type in ("", run["run_type"])]
        return found if sum(run["state"] in ("success", "failed") for run in found) >= count else None

    return wait_for(runs, 240, f"the end of {count} runs of {dag_id}")


def said(client: httpx.Client, dag_id: str, run: dict[str, Any]) -> str:
    name = httpx.URL(f"{API}/{dag_id}/runs/{run['run_id']}/files/day.txt".replace("+", "%2B"))
    return client.get(name).text.strip()


def outputs(client: httpx.Client, dag_id: str, runs: list[dict[str, Any]]) -> list[str]:
    assert {run["state"] for run in runs} == {"success"}, runs
    return sorted(said(client, dag_id, run) for run in runs)


EXPECTED = [f"{day} 2026" for day in DAYS]


def backfill_by_rest(server: Server, client: httpx.Client, dag_id: str) -> None:
    body = {"dag_id": dag_id, "from_date": f"{DAYS[0]}T00:00:00Z", "to_date": f"{DAYS[-1]}T00:00:00Z"}

    def created() -> bool:  # on SQLite, Airflow refuses a backfill while somebody else writes
        answer = client.post("/api/v2/backfills", json={**body, "max_active_runs": 3})
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    wait_for(created, 60, "the backfill")


def backfill_by_command(server: Server, client: httpx.Client, dag_id: str) -> None:
    words = ["backfill", "create", "--dag-id", dag_id, "--from-date", DAYS[0], "--to-date", DAYS[-1]]

    def created() -> bool:
        done = server.command("airflow", "--home", server.home, *words, check=False)
        assert done.returncode == 0 or "locked" in done.stdout + done.stderr, done.stdout + done.stderr
        return done.returncode == 0

    wait_for(created, 120, "the backfill")


@pytest.mark.parametrize(
    "start", [backfill_by_rest, pytest.param(backfill_by_command, marks=pytest.mark.again("by the API"))]
)
def test_a_backfill_of_three_days_gives_three_outputs(
    server: Server, client: httpx.Client, workflow: str, start: Callable[..., None]
) -> None:
    save(client, workflow)
    start(server, client, workflow)
    runs = ended(client, workflow, 3, "backfill")
    assert outputs(client, workflow, runs) == EXPECTED
    shown = client.get(f"{API}/{workflow}/runs/{runs[0]['run_id'].replace('+', '%2B')}").json()
    assert shown["job"] == {"day": shown["logical_date"][:10], "year": 2026}


def test_it_catches_up_and_reports_are_made(server: Server, client: httpx.Client, workflow: str) -> None:
    """One run for each year since then; what is reported of them is as of all others."""
    save(
        client,
        workflow,
        kind="cron",
        settings={"cron": "0 0 1 1 *"},
        start_date="2024-01-01",
        catchup=True,
        timezone="UTC",
        max_active_runs=1,
    )
    runs = ended(client, workflow, 3)
    years = [run["logical_date"][:4] for run in reversed(runs)]
    assert years[:3] == ["2024", "2025", "2026"]
    assert outputs(client, workflow, runs)[0] == "2024-01-01 2024"
    assert {run["run_type"] for run in runs} == {"scheduled"}
    client.delete(f"{API}/{workflow}/schedule").raise_for_status()
    assert client.get(f"{API}/{workflow}/schedule").status_code == 404


def test_once(server: Server, client: httpx.Client, workflow: str) -> None:
    save(client, workflow, settings={"preset": "@once"}, job={"day": "of {{ run_id }}"})
    runs = ended(client, workflow, 1)
    assert said(client, workflow, runs[0]) == f"of {runs[0]['run_id']}"


def test_after_an_asset(server: Server, client: httpx.Client, workflow: str) -> None:
    """When another workflow has delivered its output."""
    first = f"first-{workflow}"
    client.post(API, files={"files": ("day.cwl", DOCUMENT)}, data={"dag_id": first}).raise_for_status()
    try:
        assets = {"assets": [f"cwl://{first}/out"]}
        save(client, workflow, kind="assets", settings=assets, job={"day": "{{ run_after | ds }}"})
        client.post(f"{API}/{first}/runs", json={"run_id": "one", "job": {"day": "x"}}).raise_for_status()
        runs = ended(client, workflow, 1)
        assert outputs(client, workflow, runs) == [runs[0]["queued_at"][:10]]
        assert {run["run_type"] for run in runs} == {"asset_triggered"}
        client.delete(f"{API}/{workflow}/schedule").raise_for_status()
    finally:
        delete(client, first)


def test_a_new_version_that_does_not_fit_is_uploaded_and_starts_nothing(client: httpx.Client, workflow: str) -> None:
    save(client, workflow)
    other = {"files": ("day.cwl", DOCUMENT.replace("day: {", "date: {"))}
    answer = client.post(API, files=other, data={"dag_id": workflow, "replace": "true"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["schedule"] == "@daily (does not fit)"
    found = client.get(f"{API}/{workflow}/schedule").json()
    assert "date: this input is required" in found["problem"]
    assert found["starts"] is False
    assert client.get(f"/api/v2/dags/{workflow}").json()["next_dagrun_run_after"] is None
    save(client, workflow, job={"date": "{{ ds }}"})
    assert client.get(f"/api/v2/dags/{workflow}").json()["next_dagrun_run_after"]


def test_the_command(server: Server, workflow: str, tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text(json.dumps(JOB))
    none = server.command("schedule", workflow, check=False)
    assert none.returncode == 1
    assert "has no schedule" in none.stderr
    saved = server.command("schedule", workflow, "--cron", "0 6 * * 1-5", "--timezone", "Europe/Berlin", "--job", job)
    assert "At 06:00, Monday through Friday (Europe/Berlin)" in saved.stdout
    assert saved.stdout.count("next: ") == 3
    assert "is paused" in server.command("schedule", workflow, "--pause").stdout
    assert "is paused" not in server.command("schedule", workflow, "--unpause").stdout
    job.write_text('{"day": 5}')
    wrong = server.command("schedule", workflow, "--cron", "0 6 * * *", "--job", job, check=False)
    assert wrong.returncode == 1
    assert "day: expected string" in wrong.stderr
    assert "no schedule any more" in server.command("schedule", workflow, "--remove").stdout


@pytest.mark.again("with the other auth manager", variant="simple")
def test_the_page(site: Server, page: Page, visited: tuple[httpx.Client, str]) -> None:
    """Filled in as the form of a run; refused by the name of the input; paused and removed."""
    client, workflow = visited
    page.goto(f"{site.url}/pluginsv2/cwl/workflows/{workflow}")
    page.get_by_role("link", name="Schedule").click()
    page.get_by_label("By a cron expression").check()
    page.get_by_role("textbox", name="Cron expression").fill("0 6 * * 1-5")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.get_by_text("At 06:00, Monday through Friday (Europe/Berlin). Next:")).to_be_visible()
    page.get_by_role("textbox", name="day").fill("{{ nope }}")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.locator("#job-problems")).to_contain_text("day: The template '{{ nope }}' can't be filled in")
    page.get_by_role("textbox", name="day").fill("{{ ds }}")
    page.get_by_role("button", name="Save the schedule").click()
    expect(page.get_by_role("heading", name="At 06:00, Monday through Friday (Europe/Berlin)")).to_be_visible()
    assert client.get(f"{API}/{workflow}/schedule").json()["job"] == {"day": "{{ ds }}"}
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It is paused.")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Start this workflow by itself")).to_be_visible()
    assert client.get(f"{API}/{workflow}/schedule").status_code == 404


@pytest.mark.again("with the other auth manager", variant="simple")
def test_a_backfill_in_airflow_s_own_dialog(site: Server, page: Page, visited: tuple[httpx.Client, str]) -> None:
    client, workflow = visited
    save(client, workflow)
    page.goto(f"{site.url}/dags/{workflow}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.locator("[role=dialog][data-state=open][aria-modal=true]")
    dialog.get_by_text("Backfill", exact=True).first.click()
    for day in (DAYS[0], DAYS[-1]):
        dialog.get_by_text("Select date and time").first.click()
        page.get_by_placeholder("YYYY/MM/DD").locator("visible=true").fill(day.replace("-", "/"))
        page.get_by_placeholder("HH:mm").locator("visible=true").fill("00:00")
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(page.get_by_placeholder("HH:mm").locator("visible=true")).to_have_count(0)
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/backfills")):
        page.get_by_role("button", name="Run Backfill").click()
    assert outputs(client, workflow, ended(client, workflow, 3, "backfill")) == EXPECTED
