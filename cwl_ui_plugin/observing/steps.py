"""Around the commands of a task: what the engine notes of them becomes spans and metrics when they are over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowSkipException

from cwl_ui_plugin.cwl.observed import Observed
from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.observing import spans, stats


@contextmanager
def watching(step: Step, seen: Observed, dag_id: str, task_id: str) -> Iterator[None]:
    """Tell what was ``seen`` of a step when it is over, however it ends."""
    began, failure = spans.now(), None
    try:
        yield
    except AirflowSkipException:
        raise
    except BaseException as error:
        failure = error
        raise
    finally:
        spans.of_step(step, seen, began, failure)
        stats.of_task(seen, dag_id, task_id)
