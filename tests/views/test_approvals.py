"""Steps to be asked about are chosen on the page of a workflow; that of a run says who waits, who has answered what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, overflowing
from support.stored import set_task

from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflows import approvals


def test_who_may_replace_a_workflow_chooses_its_approvals(
    workflow: str, browser: Callable[..., Any], csrf: Callable[[Any], str]
) -> None:
    client = browser("admin")
    page = f"/cwl/workflows/{workflow}"
    assert 'name="step" value="sort"' in client.get(page).text
    data = {"csrf_token": csrf(client), "step": ["sort"]}
    assert client.post(f"{page}/approvals", data=data).status_code == 302
    assert approvals.approvals_of(workflow).chosen == ("sort",)
    assert client.get(page).text.count("\n      checked> Ask first") == 1
    assert client.post(f"{page}/approvals", data={"step": ["count"]}).status_code == 400  # without the token
    assert client.post(f"{page}/approvals", data={**data, "step": ["no-step"]}).status_code == 400
    assert client.post(f"{page}/approvals", data={"csrf_token": data["csrf_token"]}).status_code == 302
    assert approvals.approvals_of(workflow).chosen == ()


def test_who_may_only_read_sees_what_is_asked_and_changes_nothing(workflow: str, browser: Callable[..., Any]) -> None:
    approvals.choose(workflow, ["sort"], user="ada")
    client = browser("viewer")
    text = client.get(f"/cwl/workflows/{workflow}").text
    assert "asked for</td>" in text
    assert 'id="approvals"' not in text
    assert client.post(f"/cwl/workflows/{workflow}/approvals", data={"step": ["count"]}).status_code in (400, 403)
    assert approvals.approvals_of(workflow).chosen == ("sort",)


@pytest.fixture
def asking(workflow: str) -> str:
    """The dag_id of a workflow with a run ``r`` that waits for somebody's word before ``sort``."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    approvals.choose(workflow, ["sort"], user="ada")
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="r", user="ada", via=triggers.REST)
    set_task(workflow, "r", "sort.approval", state="awaiting_input", start_date=datetime.now(timezone.utc))
    with create_session() as session:
        task = TaskInstance.dag_id == workflow, TaskInstance.task_id == "sort.approval"
        ti_id = session.scalar(select(TaskInstance.id).where(*task))
        options = {"options": ["Approve", "Reject"], "subject": "?", "assignees": [{"id": "7", "name": "<b>7</b>"}]}
        session.add(HITLDetail(ti_id=ti_id, params={}, params_input={}, **options))
    return workflow


def test_the_page_of_a_run_says_that_it_waits_and_where_it_is_answered(
    asking: str, browser: Callable[..., Any]
) -> None:
    text = browser("viewer").get(f"/cwl/run?dag_id={asking}&run_id=r").text
    assert "Approval of Step sort: the run waits" in text
    assert f"/dags/{asking}/runs/r/tasks/sort.approval/required_actions" in text
    assert "waits for approval" in text
    assert "&lt;b&gt;7&lt;/b&gt;" in text
    assert "<b>7</b>" not in text


def test_the_page_says_who_has_answered_what(asking: str, browser: Callable[..., Any]) -> None:
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        of_run = HITLDetail.ti_id.in_(select(TaskInstance.id).where(TaskInstance.dag_id == asking))
        (detail,) = session.scalars(select(HITLDetail).where(of_run)).unique()
        detail.responded_at = datetime.now(timezone.utc)
        detail.responded_by = {"id": "7", "name": "grace"}
        detail.chosen_options = ["Reject"]
        detail.params_input = {"reason": "too <few>"}
    set_task(asking, "r", "sort.approval", state="failed")
    text = browser("viewer").get(f"/cwl/run?dag_id={asking}&run_id=r").text
    assert "rejected by grace" in text
    assert "too &lt;few&gt;" in text
    assert "the run waits" not in text


@pytest.mark.e2e
def test_the_graph_shows_which_step_waits(asking: str, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(f"/cwl/run?dag_id={asking}&run_id=r", "admin")
    expect(page.get_by_role("button", name="step Step sort, CommandLineTool, waits for approval")).to_be_visible()
    expect(page.get_by_role("link", name="Approve or reject").first).to_be_visible()
    assert overflowing(page) == []
    assert barriers(page) == []
    page.screenshot(path=tmp_path / "run.png", full_page=True)


@pytest.mark.e2e
def test_steps_are_chosen_with_the_keyboard(workflow: str, open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(f"/cwl/workflows/{workflow}", "admin")
    page.get_by_label("Ask first before Step count").press("Space")
    page.screenshot(path=tmp_path / "workflow.png", full_page=True)
    page.get_by_role("button", name="Save approvals").press("Enter")
    expect(page.get_by_label("Ask first before Step count")).to_be_checked()
    assert approvals.approvals_of(workflow).chosen == ("count",)
    assert overflowing(page) == []
    assert barriers(page) == []
