"""A workflow as a group of tasks between Python tasks, and once more on what came out of it."""

from pathlib import Path

from airflow.sdk import DAG, TaskGroup, task

from cwl_ui_plugin.task_group import CWLTaskGroup

with DAG("workflow_in_a_dag", schedule=None, is_paused_upon_creation=False) as dag:

    @task
    def make_texts() -> list[dict[str, str]]:
        """Small files need no folder: CWL calls them literals."""
        return [
            {"class": "File", "basename": "one.txt", "contents": "a\nb\n"},
            {"class": "File", "basename": "two.txt", "contents": "c\n"},
        ]

    @task
    def largest(counts: list[int]) -> int:
        """Outputs that are no files are values of Python."""
        return max(counts)

    @task
    def read(report: dict[str, str]) -> str:
        """Files are objects of CWL; their path is on the disk that all workers share."""
        return Path(report["path"]).read_text()

    counted = CWLTaskGroup("count", workflow="count-lines.cwl", job={"texts": make_texts()})

    with TaskGroup("again"):
        filtered = CWLTaskGroup(
            "count",
            workflow="count-lines.cwl",
            job={"texts": [counted.output["report"]], "at_least": largest(counted.output["counts"])},
        )

    read(filtered.output["report"])
