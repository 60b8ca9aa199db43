"""Why Slurm has ended a task is what its step says, where the task could not say it itself."""

from __future__ import annotations

from typing import Any

import pytest

from cwl_ui_plugin.services.monitoring import failure_advice, queries
from cwl_ui_plugin.services.monitoring.slurm_ends import NOTED

WHY = "Slurm has ended job 12 on n1 as OUT_OF_MEMORY: it used more memory than it had asked for."
SAID = "Executor SlurmExecutor(parallelism=3) reported that the task instance {} finished with state failed, but ..."


@pytest.mark.parametrize(("executor", "told"), [("SlurmExecutor", WHY), ("LocalExecutor", None)])
def test_the_step_says_it(
    workflow: str, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch, executor: str, told: str | None
) -> None:
    from airflow.models.log import Log
    from airflow.models.taskinstancekey import TaskInstanceKey
    from airflow.utils.session import create_session

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", f"LocalExecutor,somewhere.{executor}")
    airflow.set_task(workflow, run_id, "sort", state="failed", try_number=2)
    with create_session() as session:
        for number, why in ((1, "Slurm has ended job 11 as PREEMPTED"), (2, WHY)):
            key = TaskInstanceKey(workflow, "sort", run_id, number, -1)
            session.add(Log(event=NOTED, task_instance=key, extra=f"{SAID} Extra info: {why}"))
    (step,) = [step for step in queries.get_run(workflow, run_id).steps if step.task_id == "sort"]
    assert step.error == told
    advised = failure_advice.advice(step)
    assert ("Continue" in advised) and ("Airflow's log" in advised) == (told is None)
