"""What axe-core finds on each page, in light and dark: nothing that keeps anyone from using it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.airflow_server import Server, wait_for
from support.browsers import ACTION_MS, barriers
from support.documents import EACH_FIELD

pytestmark = pytest.mark.e2e

JOB = {
    "reads": {"class": "File", "basename": "reads.txt", "contents": "ACGT\n"},
    "names": ["a", "b"],
    "sample": {"lane": 1},
    "mode": "fast",
}


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of the administrator, without Airflow's around it: that takes longer to load than ours to look at."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_cookies([{"name": "_token", "value": server.token(), "url": server.url}])
    opened = context.new_page()
    opened.set_default_timeout(ACTION_MS)
    yield opened
    context.close()


@pytest.fixture(scope="module")
def ended_run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The ids of a workflow whose form has each kind of field, and of a run of it that has ended."""
    document = tmp_path_factory.mktemp("accessible") / "accessible.cwl"
    document.write_text(EACH_FIELD)
    server.command("upload", document)
    with server.client() as client:
        started = client.post(
            "/cwl/api/v1/workflows/accessible/runs",
            json={"run_id": "accessible-1", "conf": {"job": JOB}},
        )
        assert started.status_code < 300, started.text
        ended = wait_for(lambda: _ended(client), what="the end of the run")
    assert ended == "success"
    return "accessible", "accessible-1"


def _ended(client: Any) -> str | None:
    state = client.get("/cwl/api/v1/workflows/accessible/runs/accessible-1").json()["state"]
    return str(state) if state in ("success", "failed") else None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/workflows/{dag_id}",
        "/workflows/{dag_id}/source",
        "/workflows/{dag_id}/versions",
        "/workflows/{dag_id}/run",
        "/workflows/{dag_id}/schedule",
        "/runs",
        "/run?dag_id={dag_id}&run_id={run_id}",
        "/settings",
    ],
)
def test_a_page_has_no_barrier(page: Page, server: Server, ended_run: tuple[str, str], path: str) -> None:
    dag_id, run_id = ended_run
    page.goto(f"{server.url}/pluginsv2/cwl{path.format(dag_id=dag_id, run_id=run_id)}")
    expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    assert barriers(page) == []


def test_a_form_with_errors_has_no_barrier(
    page: Page,
    server: Server,
    ended_run: tuple[str, str],
) -> None:
    page.goto(f"{server.url}/pluginsv2/cwl/workflows/{ended_run[0]}/run")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#in-0-err")).to_contain_text("required", timeout=30_000)
    assert barriers(page) == []
    page.get_by_text("YAML or JSON", exact=True).click()
    expect(page.locator("#job")).to_be_visible()
    assert barriers(page) == []
    page.get_by_text("Form", exact=True).click()
    page.get_by_role("button", name="Browse the server for Reads").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert barriers(page) == []
