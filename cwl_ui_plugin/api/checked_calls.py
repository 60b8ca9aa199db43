"""Which calls of Airflow's own API start runs with a conf, and the check of it before Airflow creates anything.

Nobody learns the inputs of a workflow by this who may not start it: whom Airflow would not let in is left to Airflow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from starlette.types import ASGIApp, Message, Scope

from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.triggering.airflow_calls import check_conf

_RUN = re.compile(r"/api/v\d+/dags/([^/]+)/dagRuns/?")
_RUN_OF_TASK = re.compile(r"/execution/(?:.*/)?dag-runs/([^/]+)/([^/]+)/?")
_BACKFILL = re.compile(r"/api/v\d+/backfills(/dry_run)?/?")
_LET_IN = (200, 404)


def check_of(path: str, body: object) -> tuple[str, Callable[[], None]] | None:
    """Return the Dag that a call starts runs of, and what checks the conf; None for other calls.

    ``body`` is the JSON value that Airflow reads. The check asks the database, and raises ``ServiceError``.
    """
    if not isinstance(body, dict):
        return None
    if run := (_RUN.fullmatch(path) or _RUN_OF_TASK.fullmatch(path)):
        return run[1], partial(check_conf, run[1], body.get("conf"))
    dag_id = body.get("dag_id")
    if isinstance(dag_id, str) and _BACKFILL.fullmatch(path):
        return dag_id, partial(check_conf, dag_id, body.get("dag_run_conf"), is_whole=False)
    return None


def is_of_task(path: str) -> bool:
    """Whether a call is one of a task."""
    return _RUN_OF_TASK.fullmatch(path) is not None


def may_start(user: BaseUser, dag_id: str) -> bool:
    """Whether a user may start runs of a Dag; as far as that can be told."""
    try:
        return permissions.may_trigger(user, dag_id)
    except Exception:
        return False


async def lets_task_in(app: ASGIApp, scope: Scope) -> bool:
    """Whether Airflow takes the token of a task: it is asked for the run that the task wants to create."""
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    asked: Mapping[str, object] = {**scope, "method": "GET", "state": dict(scope.get("state", {}))}
    await app(dict(asked), receive, send)
    return status in _LET_IN


def words(error: ServiceError) -> str:
    """Return what is wrong as one text, which Airflow's pages, commands and operators show as it is."""
    return "\n".join([error.message, *(f"- {problem}" for problem in error.problems)])
