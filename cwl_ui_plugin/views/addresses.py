"""Addresses of the REST API that pages link to: what is streamed comes from there."""

from __future__ import annotations

from urllib.parse import quote

from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.views.presenting import app_root


def files_url(dag_id: str, run_id: str) -> str:
    """Return what the addresses of a run's output files begin with."""
    return f"{_run_url(dag_id, run_id)}/files"


def zip_url(dag_id: str, run_id: str) -> str:
    """Return the address of all outputs of a run as a zip; with ``?path=`` that of a folder among them."""
    return f"{_run_url(dag_id, run_id)}/zip"


def log_url(task: TaskTry, stream: str) -> str:
    """Return the address of everything that a try of a task has printed."""
    parts = (task.task_id, str(task.map_index), str(task.try_number), stream)
    return "/".join([_run_url(task.dag_id, task.run_id), "logs", *(quote(part, safe="") for part in parts)])


def _run_url(dag_id: str, run_id: str) -> str:
    return f"{app_root()}/cwl/api/v1/workflows/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
