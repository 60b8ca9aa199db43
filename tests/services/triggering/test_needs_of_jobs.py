"""What a step needs for the job of a run is known to Airflow when the run is created, by the rules of the site."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.stored import add_version, packed_of, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore


@pytest.mark.parametrize(("threads", "queue", "slots"), [(2, "default", 2), (8, "large", 8)])
def test_a_job_chooses_queue_and_slots_of_the_task_instances_of_its_run(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch, threads: int, queue: str, slots: int
) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.triggering import triggers

    monkeypatch.setenv("AIRFLOW__CWL__TASK_RULES", json.dumps([{"when": {"cores": 4}, "set": {"queue": "large"}}]))
    plan = plan_of("align", inputs=(Parameter(id="threads", type="int"),))
    needs = {"resources": {"cores": "$(inputs.n)"}, "resource_inputs": {"n": {"input": "threads", "default": None}}}
    plan = replace(plan, steps=tuple(replace(step, **needs) for step in plan.steps))  # type: ignore[arg-type]
    dag_id = f"needs-{threads}"
    add_version(store, dag_id, plan, "one", packed_of(plan))
    register(dag_id)
    triggers.trigger(dag_id, conf={"job": {"threads": threads}}, run_id="r", user="ada", via=triggers.REST)
    with create_session() as session:
        (task,) = session.scalars(
            select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.task_id == "align")
        )
        assert (task.queue, task.pool_slots) == (queue, slots)
        # A policy makes Airflow create task instances in another way, which leaves these out.
        assert task.task_display_name == "Step align"
        assert task.context_carrier
