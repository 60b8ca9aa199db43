"""What a step asks of the machine reaches Airflow's executors."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.cwl.requirements import Resources, resolve
from cwl_ui_plugin.dags import cluster_policy, resources
from cwl_ui_plugin.dags.resources import ExecutorRules

STEP = Step(
    id="align", full_id="#align", task_id="align", document="step-0", tool="CommandLineTool", tool_name="bwa.cwl"
)
BY_JOB = replace(
    STEP,
    resources={"cores": "$(inputs.threads)", "ram": 1000},
    resource_inputs={"threads": {"input": "n", "default": 2}},
)


@pytest.mark.parametrize(
    ("asked", "inputs", "cores", "ram"),
    [
        ({}, {}, 1, 256),
        ({"cores": 8, "ram": 4096}, {}, 8, 4096),
        ({"cores": "$(inputs.threads)"}, {"threads": 6}, 6, 256),
        ({"ram": "$(inputs.settings.memory[1])"}, {"settings": {"memory": [1, 2000]}}, 1, 2000),
        ({"cores": "$(inputs['the threads'])"}, {"the threads": 3}, 3, 256),
        ({"cores": "$(inputs.threads * 2)"}, {"threads": 3}, 1, 256),
        ({"cores": "$(inputs.threads)"}, {}, 1, 256),
        ({"cores": "$(inputs.threads)"}, {"threads": "many"}, 1, 256),
        ({"cores": "$(inputs.threads[9])"}, {"threads": [1]}, 1, 256),
    ],
)
def test_numbers_and_references_are_known_before_a_step_runs(
    asked: dict[str, Any], inputs: dict[str, Any], cores: float, ram: float
) -> None:
    assert resolve(asked, inputs) == Resources(cores, ram)


def test_cores_are_slots_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__POOL", "cwl_cores")
    made = ExecutorRules.configured().task_arguments(replace(STEP, resources={"cores": 2.5}))
    assert made == {"pool_slots": 3, "pool": "cwl_cores"}
    monkeypatch.setenv("AIRFLOW__CWL__MAX_POOL_SLOTS", "2")
    assert ExecutorRules.configured().task_arguments(replace(STEP, resources={"cores": 8}))["pool_slots"] == 2


def test_the_first_rule_that_a_step_reaches_chooses_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW__CWL__QUEUES", '[{"queue": "huge", "ram": 64000, "cores": 8}, {"queue": "many", "cores": 8}]'
    )
    queues = {
        name: ExecutorRules.configured().executor_arguments(Resources(*needs)).get("queue")
        for name, needs in {"huge": (8, 64000), "many": (8, 256), "none": (7, 64000)}.items()
    }
    assert queues == {"huge": "huge", "many": "many", "none": None}


@pytest.mark.parametrize("value", ["{", '{"queue": "x"}', "[1]", '[{"cores": 1}]', '[{"queue": "x", "ram": "much"}]'])
def test_rules_that_are_none_are_said_to_be_wrong(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__QUEUES", value)
    with pytest.raises(config.ConfigError, match=r"\[cwl\] queues"):
        config.queues()


def test_kubernetes_is_asked_for_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KUBERNETES_RESOURCES", "True")
    made = ExecutorRules.configured().task_arguments(replace(STEP, resources={"cores": 2, "ram": 4096}))
    (container,) = made["executor_config"]["pod_override"].spec.containers
    assert (container.name, container.resources.requests) == ("base", {"cpu": "2000m", "memory": "4096Mi"})


def task_instance(step: Step) -> Any:
    return SimpleNamespace(task_id="align", queue="default", **ExecutorRules.configured().task_arguments(step))


@pytest.mark.parametrize(("conf", "slots"), [({"job": {"n": 5}}, 5), ({"job": {}}, 2), ({}, 2), (None, 2)])
def test_what_depends_on_the_job_is_known_when_the_run_is_created(conf: Any, slots: int) -> None:
    task = task_instance(BY_JOB)
    cluster_policy.apply(task, SimpleNamespace(conf=conf))
    assert task.pool_slots == slots
    assert task.executor_config[resources.EXECUTOR_KEY]["asked"]["cores"] == "$(inputs.threads)"


def test_task_instances_of_other_dags_are_left_alone() -> None:
    task = SimpleNamespace(task_id="t", executor_config={"KubernetesExecutor": {}}, pool_slots=7)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": 5}}))
    assert task.pool_slots == 7


def test_a_job_that_makes_no_sense_costs_nothing_but_the_default(caplog: pytest.LogCaptureFixture) -> None:
    task = task_instance(BY_JOB)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": float("inf")}}))
    assert task.pool_slots == 2
    assert "align" in caplog.text
