"""The Dag ``clean_dag_run``: conf ``{"remove_dag_id": ..., "remove_run_id": ...}``, as the predecessors had it.

A worker can't write Airflow's database, so its one task asks the API server by running: the background loop there stops
the run and answers with an XCom of this task.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, ERROR_KEY, STOP_RESULT_KEY, STOP_TASK, TAG

if TYPE_CHECKING:
    from airflow.sdk import Context

POLL_SECONDS = 0.5
ANSWER_MARGIN_SECONDS = 60


class StopRunOperator(BaseOperator):
    """Have the run that the conf names stopped, and succeed when that is proven."""

    def execute(self, context: Context) -> str:
        """Return what was stopped; the report of this run says why it was not.

        Raises:
            AirflowFailException: a bad conf, processes that outlive the time they have, or no answer.

        """
        try:
            return self._stop(context)
        except AirflowFailException as error:
            context["ti"].xcom_push(key=ERROR_KEY, value={"message": str(error), "kind": "permanentFail"})
            raise

    def _stop(self, context: Context) -> str:
        from airflow.configuration import conf

        _check(context["dag_run"].conf or {})
        seconds = 2 * conf.getint("core", "killed_task_cleanup_time", fallback=60) + ANSWER_MARGIN_SECONDS
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = context["ti"].xcom_pull(key=STOP_RESULT_KEY)
            if answer:
                return _result(answer)
            time.sleep(POLL_SECONDS)
        raise AirflowFailException(
            f"No API server answered within {seconds} seconds: is one with cwl-ui-plugin running?"
        )


def clean_dag_run_dag() -> DAG:
    """Return the Dag."""
    dag = DAG(
        CLEAN_DAG_RUN,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        description="Stop a run of another Dag, and prove it",
        doc_md=__doc__,
        tags={TAG},
    )
    StopRunOperator(task_id=STOP_TASK, dag=dag)
    return dag


def _check(conf: Mapping[str, object]) -> None:
    missing = [key for key in ("remove_dag_id", "remove_run_id") if not isinstance(conf.get(key), str)]
    if missing:
        raise AirflowFailException(
            'The conf must be {"remove_dag_id": "...", "remove_run_id": "..."}; missing: ' + ", ".join(missing)
        )


def _result(answer: dict[str, object]) -> str:
    message = str(answer.get("message", ""))
    if answer.get("ok"):
        return message
    left = answer.get("left")
    raise AirflowFailException("\n".join([message, *map(str, left if isinstance(left, list) else ())]))
