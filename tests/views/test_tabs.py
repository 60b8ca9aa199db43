"""Tabs on Airflow's pages, and buttons on its pages of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from support.stored import spread, start_run

from cwl_ui_plugin import addresses
from cwl_ui_plugin.views.navigation import external_views

Browser = Callable[..., Any]


def test_each_page_of_airflow_has_a_tab() -> None:
    views = external_views(addresses.AIRFLOW_MOUNT)
    assert {view["destination"] for view in views} == {"nav", "dag", "dag_run", "task_instance"}
    assert len({view["url_route"] for view in views}) == len(views)
    assert not [view for view in views if str(view["href"]).startswith("/")]


def test_the_tab_of_a_dag_leads_to_its_workflow(browser: Browser, workflow: str) -> None:
    answer = browser("viewer").get(f"/cwl/tab/dag?{urlencode({'dag_id': workflow})}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/cwl/workflows/{workflow}")


def test_the_tab_of_a_dag_without_a_workflow_says_so(browser: Browser, other_dag: str) -> None:
    answer = browser("viewer").get(f"/cwl/tab/dag?{urlencode({'dag_id': other_dag})}")
    assert answer.status_code == 200
    assert "This Dag is not made of a CWL workflow." in answer.text


@pytest.mark.parametrize("given", ["{MAP_INDEX}", "-1"])
def test_the_tab_of_a_task_leads_to_its_step(browser: Browser, workflow: str, run_id: str, given: str) -> None:
    start_run(workflow, run_id)
    query = {"dag_id": workflow, "run_id": run_id, "task_id": "sort", "map_index": given}
    viewer = browser("viewer")
    answer = viewer.get(f"/cwl/tab/task?{urlencode(query)}")
    assert answer.status_code == 302
    assert "map_index=-1" in answer.headers["location"]
    assert "sort" in viewer.get(answer.headers["location"]).text


def test_the_tab_of_an_element_leads_to_it(browser: Browser, workflow: str, run_id: str) -> None:
    start_run(workflow, run_id)
    spread(workflow, run_id, "sort", 3)
    query = {"dag_id": workflow, "run_id": run_id, "task_id": "sort", "map_index": 2}
    answer = browser("viewer").get(f"/cwl/tab/task?{urlencode(query)}")
    assert "map_index=2" in answer.headers["location"]


def test_a_task_of_something_else_has_nothing_to_show(
    browser: Browser, workflow: str, run_id: str, airflow: Any
) -> None:
    airflow.set_task(workflow, run_id, "sort", operator="BashOperator")
    query = {"dag_id": workflow, "run_id": run_id, "task_id": "sort"}
    assert "This task runs no CWL." in browser("viewer").get(f"/cwl/tab/task?{urlencode(query)}").text
    assert browser("viewer").get(f"/cwl/tab/task?{urlencode({**query, 'task_id': 'gone'})}").status_code == 404
