"""What a step needs, in the words of Airflow's executors: pool slots, a queue, an executor, a pod override.

Numbers are put into the Dag. What depends on the job of a run is put into its task instances by a cluster policy (see
``policy``), from what the Dag keeps in the task's ``executor_config``. Which task goes where is for the site to say
(``[cwl] task_rules``, see ``task_rules``); ``pool`` and ``queues`` count where these say nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from typing_extensions import NotRequired, TypedDict

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import FromJob, Step
from cwl_ui_plugin.cwl.plan import Resources as AskedResources
from cwl_ui_plugin.cwl.requirements import Resources, needs_a_job, resolve, step_inputs
from cwl_ui_plugin.dags.task_rule_values import OF_RUNS
from cwl_ui_plugin.dags.task_rules import Facts, TaskRule, ask_for_users, configured_rules, settings_for

if TYPE_CHECKING:
    from kubernetes.client.models import V1Pod

EXECUTOR_KEY = "cwl_resources"
"""Key in a task's ``executor_config``, of :class:`KeptNeeds`."""
SLURM_KEY = "slurm"
"""Key in a task's ``executor_config``: what the SlurmExecutor asks for."""
_SLURM = "SlurmExecutor"
_SLURM_NAMES = ("partition", "account", "qos", "constraint")
_SLURM_SECONDS = 300
"""Between what limits a task, or its command, and Slurm's own limit: what is nearer to the cause has the first word."""
_POD_CONTAINER = "base"
"""The name of the container of Airflow's pods that runs the task."""
_DEFAULT_POOL = "default_pool"
_OF_OPERATORS = ("executor", "queue", "pool", "priority_weight", "weight_rule", "run_as_user", "retries")
"""Settings of rules that are arguments of an operator as they are."""


OperatorArguments = dict[str, Any]
"""Arguments of Airflow's operators by their names; Airflow checks them."""


class KeptNeeds(TypedDict):
    """What a task's ``executor_config`` keeps of a step whose needs depend on the job."""

    asked: AskedResources
    inputs: dict[str, FromJob]
    facts: NotRequired[dict[str, object]]


@dataclass(frozen=True)
class ExecutorRules:
    """How needs become arguments of the operators of a Dag, as ``[cwl]`` says."""

    pool: str
    max_pool_slots: int
    queues: tuple[config.QueueRule, ...]
    kubernetes: bool
    slurm_ram: float | None = None
    """With the SlurmExecutor: mebibytes that a job asks for besides what its step needs. None: it is not configured."""
    rules: tuple[TaskRule, ...] = ()
    dag_id: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def configured(cls, dag_id: str = "", tags: Collection[str] = ()) -> ExecutorRules:
        """Read the configuration; once for a Dag, as each look takes a while."""
        return cls(
            pool=config.text("pool"),
            max_pool_slots=int(config.number("max_pool_slots")),
            queues=tuple(config.queues()),
            kubernetes=config.flag("kubernetes_resources"),
            slurm_ram=config.number("slurm_extra_ram") if _SLURM in config.executors() else None,
            rules=configured_rules(),
            dag_id=dag_id,
            tags=tuple(sorted(tags)),
        )

    def dag_arguments(self) -> OperatorArguments:
        """Return arguments of the Dag itself."""
        found = settings_for(self.rules, self._of_dag())
        return {name: found[name] for name in OF_RUNS if name in found}

    def helper_arguments(self) -> OperatorArguments:
        """Return arguments of the operators that run no step: what is said of the Dag as a whole holds for them."""
        found = settings_for(self.rules, self._of_dag())
        made = _operator_arguments(found)
        if self.slurm_ram is not None:
            made["executor_config"] = {SLURM_KEY: self._slurm(Resources(1, 0), found, 0, made.get("execution_timeout"))}
        return made

    def task_arguments(self, step: Step, job: Mapping[str, object] | None = None) -> OperatorArguments:
        """Return arguments of a step's operator.

        ``job`` is what is known of it already in a part of a Dag that somebody wrote: no run brings more.
        """
        needs = resolve(step.resources, step_inputs(step.resource_inputs, job or {}))
        facts = self._of_step(step)
        found = settings_for(self.rules, _with_needs(facts, needs))
        made = {**self.executor_arguments(needs), **_operator_arguments(found, step)}
        if self.pool:
            made.setdefault("pool", self.pool)
        if self.slurm_ram is not None:
            limit = None if step.scatter else step.time_limit
            asked = self._slurm(needs, found, step.gpus, made.get("execution_timeout"), limit)
            made["executor_config"] = {**made.get("executor_config", {}), SLURM_KEY: asked}
        if job is None and (needs_a_job(step.resources) or ask_for_users(self.rules)):
            kept: KeptNeeds = {"asked": step.resources, "inputs": step.resource_inputs, "facts": _kept(facts)}
            made["executor_config"] = {**made.get("executor_config", {}), EXECUTOR_KEY: kept}
        return made

    def arguments_for_job(
        self, executor_config: Mapping[str, Any], job: Mapping[str, object], user: str = ""
    ) -> OperatorArguments:
        """Return what replaces those arguments of a step whose needs depend on the run: on its job, or its user."""
        kept: KeptNeeds = executor_config[EXECUTOR_KEY]
        needs = resolve(kept["asked"], step_inputs(kept["inputs"], job))
        made = self.executor_arguments(needs)
        found = self._settings(kept.get("facts") or {}, needs, user)
        if self.rules:
            made |= self._places(found, needs)
        changed = made.get("executor_config", {})
        if self.slurm_ram is not None:
            before = executor_config.get(SLURM_KEY) or {}
            asked = self._slurm(needs, found, before.get("gpus", 0))
            changed = {**changed, SLURM_KEY: {**before, **asked}}
        return {**made, "executor_config": {**executor_config, **changed}}

    def executor_arguments(self, resources: Resources) -> OperatorArguments:
        """Return pool slots, and, where ``[cwl]`` says so, a queue and the resources of a pod."""
        made: OperatorArguments = {"pool_slots": max(1, min(math.ceil(resources.cores), self.max_pool_slots))}
        queue = self._queue(resources)
        if queue:
            made["queue"] = queue
        if self.kubernetes:
            made["executor_config"] = {"pod_override": _pod(resources)}
        return made

    def _settings(self, kept: Mapping[str, Any], needs: Resources, user: str) -> dict[str, Any]:
        facts = Facts(**{**kept, "tags": tuple(kept.get("tags", ())), "dag_id": str(kept.get("dag_id", ""))})
        return settings_for(self.rules, replace(_with_needs(facts, needs), user=user))

    def _slurm(
        self,
        needs: Resources,
        found: Mapping[str, Any],
        gpus: float,
        timeout: timedelta | None = None,
        limit: float | None = None,
    ) -> dict[str, object]:
        """Return what the SlurmExecutor is to ask for, in the words of ``executors.needs``."""
        made: dict[str, object] = {
            "cpus": max(1, math.ceil(needs.cores)),
            "ram": math.ceil(needs.ram + (self.slurm_ram or 0)),
            **({"gpus": math.ceil(gpus)} if gpus else {}),
            **{name: found[f"slurm_{name}"] for name in _SLURM_NAMES if f"slurm_{name}" in found},
        }
        seconds = found.get("slurm_time")
        if seconds is None and timeout is not None:
            seconds = timeout.total_seconds() + _SLURM_SECONDS
        if seconds is None and limit is not None:
            seconds = limit + 2 * _SLURM_SECONDS
        return made if seconds is None else {**made, "seconds": math.ceil(seconds)}

    def _places(self, found: Mapping[str, Any], needs: Resources) -> OperatorArguments:
        """Return executor, queue and pool of a task instance, all three: the Dag may have others from other numbers."""
        return {
            "executor": found.get("executor"),
            "queue": found.get("queue") or self._queue(needs) or config.default_queue(),
            "pool": found.get("pool") or self.pool or _DEFAULT_POOL,
        }

    def _of_dag(self) -> Facts:
        return Facts(dag_id=self.dag_id, tags=self.tags)

    def _of_step(self, step: Step) -> Facts:
        return Facts(
            dag_id=self.dag_id,
            tags=self.tags,
            step=step.task_id,
            tool=step.tool_name,
            container=step.container or "",
            gpus=step.gpus,
            network=step.network,
            scatter=bool(step.scatter),
            profile=step.profile,
        )

    def _queue(self, resources: Resources) -> str | None:
        """Return the queue of the first rule whose every limit the step reaches."""
        for rule in self.queues:
            if resources.cores >= rule.get("cores", 0) and resources.ram >= rule.get("ram", 0):
                return rule["queue"]
        return None


def _with_needs(facts: Facts, needs: Resources) -> Facts:
    return replace(facts, cores=needs.cores, ram=needs.ram)


def _kept(facts: Facts) -> dict[str, object]:
    """Return what is known of a task as plain JSON, without what is nothing."""
    return {name: list(value) if name == "tags" else value for name, value in asdict(facts).items() if value}


def _operator_arguments(found: Mapping[str, Any], step: Step | None = None) -> OperatorArguments:
    made = {name: found[name] for name in _OF_OPERATORS if name in found}
    seconds = _timeout(found, step)
    if seconds is not None:
        made["execution_timeout"] = timedelta(seconds=seconds)
    return made


def _timeout(found: Mapping[str, Any], step: Step | None) -> float | None:
    """Return how long a task may take: what the rules say, or less where the document limits its one command."""
    seconds: float | None = found.get("execution_timeout")
    headroom = found.get("time_limit_headroom")
    if headroom is None or step is None or step.time_limit is None or step.scatter:
        return seconds
    limited = step.time_limit + float(headroom)
    return limited if seconds is None else min(seconds, limited)


def _pod(resources: Resources) -> V1Pod:
    from kubernetes.client import models

    requests = {"cpu": f"{math.ceil(resources.cores * 1000)}m", "memory": f"{math.ceil(resources.ram)}Mi"}
    container = models.V1Container(name=_POD_CONTAINER, resources=models.V1ResourceRequirements(requests=requests))
    return models.V1Pod(spec=models.V1PodSpec(containers=[container]))
