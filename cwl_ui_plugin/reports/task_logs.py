"""The logs of tasks that failed, and of those before them, as receivers of CWL-Airflow 1.2 are told of them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from airflow.models.dagrun import DagRun
from jinja2 import Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.reports.due import RunFacts, TaskFact

log = logging.getLogger(__name__)


def with_logs(run: RunFacts, session: Session) -> RunFacts:
    """Add which tasks those that failed come after, and where the logs of both are."""
    failed = {task.task_id for task in run.tasks if task.is_last and task.state == "failed"}
    upstream = _upstream(run, failed, session) if failed else {}
    told = failed.union(*upstream.values())
    tasks = (
        replace(task, log=_log_file(run, task)) if task.is_last and task.task_id in told else task for task in run.tasks
    )
    return replace(run, tasks=tuple(tasks), upstream=upstream)


def _upstream(run: RunFacts, task_ids: Collection[str], session: Session) -> dict[str, tuple[str, ...]]:
    """Return which tasks some tasks come after, by the run's version of the Dag; none if that is unreadable."""
    from airflow.models.dagbag import DBDagBag

    row = session.scalar(select(DagRun).where(DagRun.id == run.run_key))
    try:
        dag = DBDagBag(load_op_links=False).get_dag_for_run(dag_run=row, session=session) if row is not None else None
    except SQLAlchemyError:
        raise
    except Exception:  # whatever another version of Airflow has stored: reports must not wait for it
        log.exception("The Dag of %s %s can't be read", run.dag_id, run.run_id)
        dag = None
    if dag is None:
        return {}
    return {name: tuple(sorted(dag.get_task(name).upstream_task_ids)) for name in task_ids if dag.has_task(name)}


def _log_file(run: RunFacts, task: TaskFact) -> str:
    """Return the file with the log of a task; empty where this machine has none of that name, or can have none.

    A site's template may ask for what is not known here, and a run_id be too long for a file: that must not keep the
    reports of this run, and of all others, from being recorded.
    """
    from airflow.configuration import conf

    names = {"task_id": task.task_id, "map_index": task.map_index, "try_number": task.try_number}
    instance = SimpleNamespace(dag_id=run.dag_id, run_id=run.run_id, **names)
    try:
        name = _template(conf.get("logging", "log_filename_template")).render(ti=instance, try_number=task.try_number)
        path = Path(conf.get("logging", "base_log_folder")) / name
        return str(path) if path.is_file() else ""
    except (TemplateError, OSError, ValueError, TypeError) as error:
        log.info("The log of %s of %s %s can't be named: %s", task.task_id, run.dag_id, run.run_id, error)
        return ""


@lru_cache(maxsize=1)
def _template(text: str) -> Template:
    return SandboxedEnvironment(autoescape=False).from_string(text)
