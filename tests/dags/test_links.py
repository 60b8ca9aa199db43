"""Buttons on Airflow's page of a task: Airflow finds them where it shows a Dag, and they cost nothing before."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.dags.operators import CwlElementsOperator, links
from cwl_ui_plugin.library.versions import StoredVersion

KEY = SimpleNamespace(dag_id="a/b", run_id="manual__2026-01-31T00:00:00+00:00", task_id="sort", map_index=-1)
RUN = "dags/a%2Fb/runs/manual__2026-01-31T00%3A00%3A00%2B00%3A00"


@pytest.fixture
def stored(add: Callable[[str, str], StoredVersion]) -> dict[str, Any]:
    from airflow.serialization.serialized_objects import DagSerialization

    from cwl_ui_plugin.dags.dag import CWLDAG

    return json.loads(json.dumps(DagSerialization.to_dict(CWLDAG("wf", version=add("wf", "one")))))  # type: ignore[no-any-return]


def test_every_task_has_its_buttons_where_airflow_shows_the_dag(stored: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    tasks = DagSerialization.from_dict(stored).tasks
    assert {tuple(task.extra_links) for task in tasks} == {("CWL step", "Outputs")}
    assert tasks[0].get_extra_links(SimpleNamespace(key=KEY), "CWL step") == f"{RUN}/tasks/sort/plugin/cwl_step"


def test_they_are_in_no_serialized_dag(stored: dict[str, Any]) -> None:
    assert "extra_link" not in json.dumps(stored)


def test_they_lead_to_tabs_of_airflow(stored: dict[str, Any]) -> None:
    element = SimpleNamespace(**{**vars(KEY), "map_index": 2})
    task: Any = None
    assert links.StepLink().get_link(task, ti_key=element) == f"{RUN}/tasks/sort/mapped/2/plugin/cwl_step"
    assert links.OutputsLink().get_link(task, ti_key=KEY) == f"{RUN}/plugin/cwl_run"
    assert CwlElementsOperator in links.StepLink.operators
