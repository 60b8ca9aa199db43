"""What a step asks of the machine reaches Airflow's executors."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.cwl.requirements import Resources, resolve
from cwl_ui_plugin.dags import resources
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


@pytest.fixture
def cluster_policy() -> Any:
    """The policy, as Airflow has loaded it: the first that imports it must be Airflow itself."""
    import airflow.settings  # noqa: F401

    from cwl_ui_plugin.dags import cluster_policy

    return cluster_policy


def task_instance(step: Step) -> Any:
    return SimpleNamespace(task_id="align", queue="default", **ExecutorRules.configured().task_arguments(step))


@pytest.mark.parametrize(("conf", "slots"), [({"job": {"n": 5}}, 5), ({"job": {}}, 2), ({}, 2), (None, 2)])
def test_what_depends_on_the_job_is_known_when_the_run_is_created(cluster_policy: Any, conf: Any, slots: int) -> None:
    task = task_instance(BY_JOB)
    cluster_policy.apply(task, SimpleNamespace(conf=conf))
    assert task.pool_slots == slots
    assert task.executor_config[resources.EXECUTOR_KEY]["asked"]["cores"] == "$(inputs.threads)"


@pytest.mark.parametrize(("known", "slots"), [({"n": 5}, 5), ({}, 2)])
def test_of_a_part_of_another_dag_counts_what_its_dag_file_says(
    cluster_policy: Any, known: dict[str, Any], slots: int
) -> None:
    made = ExecutorRules.configured().task_arguments(BY_JOB, known)
    task = SimpleNamespace(task_id="g.align", queue="default", executor_config=None, **made)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": 9}}))  # of somebody else in that Dag
    assert task.pool_slots == slots


def test_task_instances_of_other_dags_are_left_alone(cluster_policy: Any) -> None:
    task = SimpleNamespace(task_id="t", executor_config={"KubernetesExecutor": {}}, pool_slots=7)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": 5}}))
    assert task.pool_slots == 7


def test_a_job_that_makes_no_sense_costs_nothing_but_the_default(
    cluster_policy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = task_instance(BY_JOB)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": float("inf")}}))
    assert task.pool_slots == 2
    assert "align" in caplog.text


RULES = "AIRFLOW__CWL__TASK_RULES"


def arguments(monkeypatch: pytest.MonkeyPatch, rules: list[dict[str, Any]], step: Step = STEP) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor,big:CeleryExecutor")
    monkeypatch.setenv(RULES, json.dumps(rules))
    made = ExecutorRules.configured("rna-seq", {"cwl", "urgent"}).task_arguments(step)
    return {name: value for name, value in made.items() if name != "pool_slots"}


def test_for_each_thing_the_first_rule_counts_whose_conditions_all_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        {"when": {"cores": 9}, "set": {"queue": "never"}},
        {"when": {"cores": 4, "tool": "bwa*"}, "set": {"queue": "large", "executor": "big"}},
        {"when": {"dag_id": ["x", "rna-*"]}, "set": {"queue": "late", "priority_weight": 7}},
        {"set": {"priority_weight": 1, "retries": 5, "weight_rule": "absolute", "run_as_user": "cwl"}},
    ]
    made = arguments(monkeypatch, rules, replace(STEP, resources={"cores": 4}))
    assert made == {
        "queue": "large",
        "executor": "big",
        "priority_weight": 7,
        "weight_rule": "absolute",
        "run_as_user": "cwl",
        "retries": 5,
    }


@pytest.mark.parametrize(
    ("when", "step"),
    [
        ({"gpus": 1}, replace(STEP, gpus=2)),
        ({"network": True}, replace(STEP, network=True)),
        ({"scatter": True}, replace(STEP, scatter=("x",))),
        ({"container": "quay.io/*"}, replace(STEP, container="quay.io/bwa:1")),
        ({"profile": ["long", "longer"]}, replace(STEP, profile="long")),
        ({"ram": 64000}, replace(STEP, resources={"ram": 64000})),
        ({"step": "al?gn", "tag": "urg*"}, STEP),
    ],
)
def test_each_condition_asks_about_the_step(monkeypatch: pytest.MonkeyPatch, when: dict[str, Any], step: Step) -> None:
    rules = [{"when": when, "set": {"queue": "found"}}]
    assert arguments(monkeypatch, rules, step) == {"queue": "found"}
    other = replace(STEP, task_id="other", tool_name="other")
    assert arguments(monkeypatch, rules, other) == {}


def test_pool_and_queues_count_where_no_rule_says_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__POOL", "cores")
    monkeypatch.setenv("AIRFLOW__CWL__QUEUES", '[{"queue": "plain"}]')
    assert arguments(monkeypatch, []) == {"pool": "cores", "queue": "plain"}
    assert arguments(monkeypatch, [{"set": {"pool": "p", "queue": "q"}}]) == {"pool": "p", "queue": "q"}


@pytest.mark.parametrize(
    ("settings", "step", "seconds"),
    [
        ({"execution_timeout": 60}, STEP, 60),
        ({"time_limit_headroom": 10}, STEP, None),
        ({"time_limit_headroom": 10}, replace(STEP, time_limit=5), 15),
        ({"time_limit_headroom": 10, "execution_timeout": 12}, replace(STEP, time_limit=5), 12),
        ({"time_limit_headroom": 10, "execution_timeout": 99}, replace(STEP, time_limit=5), 15),
        ({"time_limit_headroom": 10}, replace(STEP, time_limit=5, scatter=("x",)), None),
    ],
)
def test_a_task_may_take_as_long_as_the_site_says_or_less_if_its_document_does(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], step: Step, seconds: float | None
) -> None:
    made = arguments(monkeypatch, [{"set": settings}], step)
    assert made == ({} if seconds is None else {"execution_timeout": timedelta(seconds=seconds)})


def test_tasks_that_help_follow_rules_about_the_dag_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        {"when": {"cores": 0}, "set": {"queue": "steps"}},
        {"when": {"tag": "urgent"}, "set": {"pool": "all", "max_active_runs": 3}},
    ]
    arguments(monkeypatch, rules)
    found = ExecutorRules.configured("rna-seq", {"urgent"})
    assert found.helper_arguments() == {"pool": "all"}
    assert found.dag_arguments() == {"max_active_runs": 3}
    assert ExecutorRules.configured("rna-seq", ()).dag_arguments() == {}


def test_a_job_chooses_executor_queue_and_pool_by_the_same_rules(
    cluster_policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [
        {"when": {"cores": 8}, "set": {"queue": "large", "executor": "big", "pool": "p"}},
        {"when": {"cores": 2}, "set": {"queue": "small"}},
    ]
    made = arguments(monkeypatch, rules, BY_JOB)
    assert made["queue"] == "small"
    task = SimpleNamespace(task_id="align", **made)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": 9}}))
    assert (task.queue, task.executor, task.pool, task.pool_slots) == ("large", "big", "p", 9)
    cluster_policy.apply(task, SimpleNamespace(conf={"job": {"n": 1}}))
    assert (task.queue, task.executor, task.pool, task.pool_slots) == ("default", None, "default_pool", 1)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("{", "must be JSON"),
        ("{}", "must be a list"),
        ("[1]", "rule 1: a rule is"),
        ('[{"set": {}}]', "with something to set"),
        ('[{"set": {"queue": "x"}}, {"set": {"queu": "x"}}]', "rule 2, \"set\": 'queu' is not known.*mean 'queue'"),
        ('[{"when": {"core": 1}, "set": {"queue": "x"}}]', "\"when\": 'core' is not known.*mean 'cores'"),
        ('[{"if": {}, "set": {"queue": "x"}}]', "'if' is not known; known are when, set"),
        ('[{"when": {"cores": -1}, "set": {"queue": "x"}}]', "cores must be a number that is not negative, not -1"),
        ('[{"when": {"dag_id": []}, "set": {"queue": "x"}}]', "dag_id must be a name"),
        ('[{"set": {"priority_weight": 1.5}}]', "priority_weight must be a whole number"),
        ('[{"set": {"execution_timeout": 0}}]', "a number of seconds above 0"),
        ('[{"set": {"execution_timeout": NaN}}]', "a number of seconds above 0"),
        ('[{"set": {"retries": true}}]', "retries must be a whole number"),
        ('[{"set": {"run_as_user": "root; ls"}}]', "the name of a user"),
        ('[{"set": {"weight_rule": "mine"}}]', "one of downstream, upstream, absolute"),
        ('[{"set": {"executor": "Celery"}}]', "'Celery' is none of those of .core. executor: LocalExecutor"),
        ('[{"when": {"cores": 1}, "set": {"max_active_runs": 1}}]', "asks for dag_id and tag only"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_in_words(monkeypatch: pytest.MonkeyPatch, rules: str, words: str) -> None:
    monkeypatch.setenv(RULES, rules)
    with pytest.raises(config.ConfigError, match=f"(?s)\\[cwl\\] task_rules.*{words}"):
        ExecutorRules.configured()


def test_a_rule_may_name_any_executor_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    value = "LocalExecutor, big:CeleryExecutor,my.place.SlurmExecutor;team=TeamExecutor"
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", value)
    names = ("LocalExecutor", "big", "CeleryExecutor", "SlurmExecutor", "my.place.SlurmExecutor", "TeamExecutor")
    assert config.executors() == names


SLURM = "LocalExecutor,cwl_ui_plugin.executors.slurm.SlurmExecutor"


def on_slurm(monkeypatch: pytest.MonkeyPatch, *rules: dict[str, Any]) -> ExecutorRules:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", SLURM)
    monkeypatch.setenv("AIRFLOW__CWL__TASK_RULES", json.dumps(rules))
    return ExecutorRules.configured("d", ["cwl"])


def test_slurm_is_asked_for_what_a_step_needs_and_for_what_airflow_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = on_slurm(
        monkeypatch,
        {"when": {"ram": 64000}, "set": {"slurm_partition": "highmem"}},
        {"set": {"slurm_partition": "normal", "slurm_qos": "low"}},
    )
    small = rules.task_arguments(replace(STEP, gpus=1, time_limit=60.0))["executor_config"]["slurm"]
    assert small == {"cpus": 1, "ram": 768, "gpus": 1, "partition": "normal", "qos": "low", "seconds": 660}
    large = rules.task_arguments(replace(STEP, resources={"cores": 2.5, "ram": 64000}))["executor_config"]["slurm"]
    assert large == {"cpus": 3, "ram": 64512, "partition": "highmem", "qos": "low"}
    assert rules.helper_arguments()["executor_config"] == {
        "slurm": {"cpus": 1, "ram": 512, "partition": "normal", "qos": "low"}
    }


@pytest.mark.parametrize(
    ("settings", "step", "seconds"),
    [
        ({"slurm_time": 90}, STEP, 90),
        ({"execution_timeout": 100}, STEP, 400),
        ({"execution_timeout": 100, "slurm_time": 90}, STEP, 90),
        ({}, replace(STEP, time_limit=60.0, scatter=["x"]), None),
    ],
)
def test_the_time_of_a_job(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, float], step: Step, seconds: float | None
) -> None:
    rules = on_slurm(monkeypatch, {"set": {**settings, "retries": 1}})
    assert rules.task_arguments(step)["executor_config"]["slurm"].get("seconds") == seconds


def test_what_depends_on_a_run_is_known_when_it_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = on_slurm(
        monkeypatch,
        {"when": {"user": "ada"}, "set": {"slurm_account": "hers"}},
        {"when": {"cores": 4}, "set": {"slurm_partition": "large"}},
    )
    kept = rules.task_arguments(replace(BY_JOB, time_limit=60.0))["executor_config"]
    assert "account" not in kept["slurm"]
    asked = rules.arguments_for_job(kept, {"n": 6}, "ada")["executor_config"]["slurm"]
    assert asked == {"cpus": 6, "ram": 1512, "account": "hers", "partition": "large", "seconds": 660}
    others = rules.arguments_for_job(kept, {"n": 1}, "grace")["executor_config"]["slurm"]
    assert others == {"cpus": 1, "ram": 1512, "seconds": 660}
    # A step whose needs are known waits for its run, too, where rules ask for users.
    assert resources.EXECUTOR_KEY in rules.task_arguments(STEP)["executor_config"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("slurm_partition", "a b"), ("slurm_account", "--uid=0"), ("slurm_constraint", "-x"), ("slurm_qos", 1)],
)
def test_names_that_are_none_of_slurms_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    with pytest.raises(config.ConfigError, match=f"{name} must be a name as Slurm has it"):
        on_slurm(monkeypatch, {"set": {name: value}})


def test_without_slurm_nothing_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "executor_config" not in ExecutorRules.configured().task_arguments(STEP)
    assert "executor_config" not in ExecutorRules.configured().helper_arguments()
