"""Runs of an uploaded workflow (examples/word-count.cwl), started by other Dags."""

from pathlib import Path

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task

from cwl_ui_plugin.operators import CwlRunOperator

TEXT = {"class": "File", "basename": "text.txt", "contents": "three words, {{ run_id }}"}

with DAG("run_from_a_dag", schedule=None, is_paused_upon_creation=False) as dag:
    counted = CwlRunOperator(
        task_id="count",
        workflow_dag_id="word-count",
        job={"text": TEXT},
        poke_interval=1,
        stop_on_kill=True,
    )

    deferred = CwlRunOperator(
        task_id="count_deferred",
        workflow_dag_id="word-count",
        job={"text": TEXT},
        poke_interval=1,
        deferrable=True,
    )

    @task
    def read(*words: dict[str, str]) -> list[int]:
        """Read what came out."""
        return [int(Path(file["path"]).read_text()) for file in words]

    # Airflow's own operator does, too: the job stands in the conf. It tells no outputs and no errors.
    triggered = TriggerDagRunOperator(
        task_id="trigger",
        trigger_dag_id="word-count",
        conf={"job": {"text": TEXT}},
        wait_for_completion=True,
        poke_interval=1,
    )

    read(counted.output["words"], deferred.output["words"])
