"""Tools as single tasks: of an operator, of a decorated function, and one for each of many files."""

from pathlib import Path

from airflow.sdk import DAG, task

from cwl_ui_plugin.decorators import cwl_task
from cwl_ui_plugin.operators import CwlToolOperator

with DAG("tool_in_a_dag", schedule=None, is_paused_upon_creation=False) as dag:

    @task
    def make_text() -> dict[str, str]:
        """Make a small file."""
        return {"class": "File", "basename": "text.txt", "contents": "one\ntwo\n"}

    upper = CwlToolOperator(task_id="upper", tool="upper-case.cwl", job={"text": make_text()})

    @cwl_task(tool="count-lines.cwl")
    def count(text: dict[str, str]) -> dict[str, object]:
        """Make the job of a document; all of a workflow runs in this one task."""
        return {"texts": [text, text]}

    counted = count(upper.output["upper"])

    @task
    def make_jobs() -> list[dict[str, object]]:
        """Make a job for each task instance."""
        return [{"text": {"class": "File", "basename": name, "contents": name}} for name in ("a", "b")]

    many = CwlToolOperator.partial(task_id="many", tool="upper-case.cwl").expand(job=make_jobs())

    @task
    def read(counts: list[int], outputs: list[dict[str, dict[str, str]]]) -> list[object]:
        """Read what came out."""
        return [counts, [Path(output["upper"]["path"]).read_text() for output in outputs]]

    read(counted["counts"], many.output)
