"""What the steps of a run ask of Airflow's executors stands in its task instances, as the executors read them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from support.stored import add_version, packed_of, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.registration import register
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.triggering import triggers

ASKED: dict[str, Any] = {
    "resources": {"cores": "$(inputs.threads)", "ram": 300},
    "resource_inputs": {"threads": {"input": "threads", "default": 1}},
}


def test_the_job_of_a_run_decides_what_its_pods_ask_for(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    monkeypatch.setenv("AIRFLOW__CWL__KUBERNETES_RESOURCES", "True")
    dag_id = f"needs-{uuid.uuid4().hex[:8]}"
    plan = plan_of("say", inputs=(Parameter(id="threads", type="int"),))
    plan = replace(plan, steps=(replace(plan.steps[0], **ASKED),))
    add_version(store, dag_id, plan, "content", packed_of(plan))
    register(dag_id)
    run = triggers.trigger(dag_id, conf={"job": {"threads": 3}}, user="ada", via=triggers.REST)
    with create_session() as session:
        wanted = select(TaskInstance).filter_by(dag_id=dag_id, run_id=run.run_id, task_id="say")
        task = session.scalars(wanted).one()
        assert task.pool_slots == 3
        (container,) = task.executor_config["pod_override"].spec.containers
        assert container.resources.requests == {"cpu": "3000m", "memory": "300Mi"}
