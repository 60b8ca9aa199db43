"""Running again from the page of a run and from the list: on the server, and in a browser with one click."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page
from support.keyboard import press as press_key
from support.stored import set_run

from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import reruns
from cwl_ui_plugin.services.workflows import details


def again_url(dag_id: str, run_id: str) -> str:
    return f"/cwl/again?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"


def run_ids(dag_id: str) -> list[str]:
    return [run.run_id for run in queries.list_runs([dag_id]).items]


@pytest.fixture
def press(browser: Callable[..., Any], csrf: Callable[[Any], str]) -> Callable[..., Any]:
    """Send what the button sends, as a user of a role."""
    token = csrf(admin := browser("admin"))

    def send(role: str, dag_id: str, run_id: str) -> Any:
        client = browser(role)
        client.set_cookie("session", admin.get_cookie("session").value)
        return client.post(again_url(dag_id, run_id), data={"csrf_token": token})

    return send


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("user", True), ("op", True), ("admin", True)])
def test_who_may_start_runs_has_the_button(
    browser: Callable[..., Any], press: Callable[..., Any], workflow: str, run_id: str, role: str, may: bool
) -> None:
    query = urlencode({"dag_id": workflow, "run_id": run_id})
    for path in (f"/cwl/run?{query}", f"/cwl/runs?dag_id={workflow}"):
        assert ("Run again" in browser(role).get(path).text) is may, path
    answer = press(role, workflow, run_id)
    assert answer.status_code == (200 if may else 403)
    assert len(run_ids(workflow)) == (2 if may else 1)


def test_a_get_starts_nothing(browser: Callable[..., Any], workflow: str, run_id: str) -> None:
    assert browser("admin").get(again_url(workflow, run_id)).status_code == 405
    assert run_ids(workflow) == [run_id]


def test_what_keeps_it_from_running_is_said(press: Callable[..., Any], workflow: str, run_id: str) -> None:
    missing = press("user", workflow, "never")
    assert (missing.status_code, "has no run" in missing.text) == (404, True)
    set_run(workflow, run_id, "success")
    details.delete_workflow(workflow)
    answer = press("user", workflow, run_id)
    assert answer.status_code == 404
    assert "was deleted. Restore it" in answer.text
    assert "Edit and run again" not in answer.text


@pytest.mark.e2e
def test_pressing_twice_starts_one_run(
    open_page: Callable[..., Page],
    workflow: str,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, may_go_on = threading.Semaphore(0), threading.Event()
    run_again = reruns.run_again

    def slowly(*args: Any, **kwargs: Any) -> Any:
        asked.release()
        may_go_on.wait(20)
        return run_again(*args, **kwargs)

    monkeypatch.setattr(reruns, "run_again", slowly)
    page = open_page(f"/cwl/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}", role="user")
    page.route("**/plugin/cwl_run", lambda route: route.fulfill(body="Airflow's page of the run"))
    page.get_by_role("button", name="Run again").focus()
    page.keyboard.press("Enter")
    assert asked.acquire(timeout=20)
    page.keyboard.press("Enter")
    may_go_on.set()
    page.wait_for_url(re.compile("/plugin/cwl_run$"))
    assert len(run_ids(workflow)) == 2


@pytest.mark.e2e
def test_the_list_starts_a_run_again(
    open_page: Callable[..., Page],
    workflow: str,
    run_id: str,
    folders: Path,
) -> None:
    page = open_page(f"/cwl/runs?dag_id={workflow}", role="user")
    page.route("**/plugin/cwl_run", lambda route: route.fulfill(body="Airflow's page of the run"))
    press_key(page, page.get_by_role("button", name=f"Run again {run_id}"))
    page.wait_for_url(re.compile(rf"/dags/{workflow}/runs/.+/plugin/cwl_run"))
    (new,) = set(run_ids(workflow)) - {run_id}
    assert new in page.url
    assert queries.get_run(workflow, new).job == {"text": "x"}
