"""What a step needs, in the words of Airflow's executors: pool slots, a queue, a pod override.

Numbers are put into the Dag. What depends on the job of a run is put into its task instances by a cluster policy (see
``policy``), from what the Dag keeps in the task's ``executor_config``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.cwl.requirements import Resources, needs_a_job, resolve, step_inputs

EXECUTOR_KEY = "cwl_resources"
"""Key in a task's ``executor_config``: ``{"asked", "inputs"}`` of a step whose needs depend on the job."""
_POD_CONTAINER = "base"
"""The name of the container of Airflow's pods that runs the task."""


@dataclass(frozen=True)
class ExecutorRules:
    """How needs become arguments of an operator, as ``[cwl]`` says."""

    pool: str
    max_pool_slots: int
    queues: tuple[dict[str, Any], ...]
    kubernetes: bool

    @classmethod
    def configured(cls) -> ExecutorRules:
        """Read the configuration; once for a Dag, as each look takes a while."""
        return cls(
            pool=config.text("pool"),
            max_pool_slots=int(config.number("max_pool_slots")),
            queues=tuple(config.queues()),
            kubernetes=config.flag("kubernetes_resources"),
        )

    def task_arguments(self, step: Step) -> dict[str, Any]:
        """Return arguments of a step's operator."""
        made = self.executor_arguments(resolve(step.resources, step_inputs(step.resource_inputs, {})))
        if self.pool:
            made["pool"] = self.pool
        if needs_a_job(step.resources):
            kept = {"asked": step.resources, "inputs": step.resource_inputs}
            made["executor_config"] = {**made.get("executor_config", {}), EXECUTOR_KEY: kept}
        return made

    def arguments_for_job(self, executor_config: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
        """Return what replaces those arguments of a step whose needs depend on the job, in a run with this job."""
        kept = executor_config[EXECUTOR_KEY]
        made = self.executor_arguments(resolve(kept["asked"], step_inputs(kept["inputs"], job)))
        return {**made, "executor_config": {**executor_config, **made.get("executor_config", {})}}

    def executor_arguments(self, resources: Resources) -> dict[str, Any]:
        """Return pool slots, and, where ``[cwl]`` says so, a queue and the resources of a pod."""
        made: dict[str, Any] = {"pool_slots": max(1, min(math.ceil(resources.cores), self.max_pool_slots))}
        queue = self._queue(resources)
        if queue:
            made["queue"] = queue
        if self.kubernetes:
            made["executor_config"] = {"pod_override": _pod(resources)}
        return made

    def _queue(self, resources: Resources) -> str | None:
        """Return the queue of the first rule whose every limit the step reaches."""
        for rule in self.queues:
            if resources.cores >= rule.get("cores", 0) and resources.ram >= rule.get("ram", 0):
                return str(rule["queue"])
        return None


def _pod(resources: Resources) -> Any:
    from kubernetes.client import models

    requests = {"cpu": f"{math.ceil(resources.cores * 1000)}m", "memory": f"{math.ceil(resources.ram)}Mi"}
    container = models.V1Container(name=_POD_CONTAINER, resources=models.V1ResourceRequirements(requests=requests))
    return models.V1Pod(spec=models.V1PodSpec(containers=[container]))
