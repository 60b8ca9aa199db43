"""Execution tokens as Airflow gives them to tasks, and ones that it would not give."""

from __future__ import annotations

import os
import time
from typing import Any

import jwt

AUDIENCE, SECRET = "urn:airflow.apache.org:task", "AIRFLOW__API_AUTH__JWT_SECRET"


def instance_of(dag_id: str, run_id: str, task_id: str) -> str:
    """Return the id of a task instance."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(TaskInstance.id).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
    )
    with create_session() as session:
        return str(session.scalar(query))


def execution_token(instance: str, secret: str = "", algorithm: str = "HS512", **claims: Any) -> str:
    """Return a token of a task instance; ``claims`` are other ones, or None for one that is left out."""
    now = int(time.time())
    values = {"sub": instance, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600, "scope": "execution"}
    values |= claims
    content = {name: value for name, value in values.items() if value is not None}
    return jwt.encode(content, secret or os.environ[SECRET], algorithm=algorithm)
