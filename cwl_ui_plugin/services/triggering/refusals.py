"""Attempts to start a run that were refused, in Airflow's audit log: who, which Dag, why.

Bounded, since the caller may be anybody: the same refusal once a minute, and not more than some a minute altogether.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cwl_ui_plugin.services.errors import NotFound, ServiceError

log = logging.getLogger(__name__)
EVENT = "cwl_refused_trigger"
NOBODY = "anonymous"
PERIOD_SECONDS = 60.0
MAX_IN_PERIOD = 100
MAX_REASON = 500
MAX_ID = 250
_CLIENT_ERRORS = range(400, 500)
_UNAUTHORIZED = 401


class _Recent:
    """What was written in the last minute; several threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written: dict[tuple[str | None, ...], float] = {}

    def is_new(self, refusal: tuple[str | None, ...]) -> bool:
        """Whether a refusal is to be written; if so, it counts as written."""
        now = time.monotonic()
        with self._lock:
            self._written = {kept: at for kept, at in self._written.items() if now - at < PERIOD_SECONDS}
            if refusal in self._written or len(self._written) >= MAX_IN_PERIOD:
                return False
            self._written[refusal] = now
            return True


_recent = _Recent()


@contextmanager
def recorded(dag_id: str, run_id: object, user: str | None) -> Iterator[None]:
    """Record an error that refuses to start a run, and let it pass on: one of ours, or an ``HTTPException``."""
    try:
        yield
    except Exception as error:
        status = getattr(error, "status", None) or getattr(error, "status_code", None)
        if status in _CLIENT_ERRORS and status != _UNAUTHORIZED and not isinstance(error, NotFound):
            record(dag_id, run_id, user, reason_of(error))
        raise


def reason_of(error: Exception) -> str:
    """Return why, without any value of the job: it may be a secret."""
    if not isinstance(error, ServiceError):
        return str(getattr(error, "detail", type(error).__name__))
    inputs = sorted({problem.input for problem in error.problems if problem.input})
    return f"{error.message} ({', '.join(inputs)})" if inputs else error.message


def record(dag_id: str | None, run_id: object, user: str | None, reason: str) -> None:
    """Write a refused attempt into Airflow's audit log; that this fails is no reason not to refuse."""
    owner, reason = user or NOBODY, reason[:MAX_REASON]
    named = run_id[:MAX_ID] if isinstance(run_id, str) else None
    if not _recent.is_new((owner, dag_id, reason)):
        return
    try:
        _write(dag_id[:MAX_ID] if dag_id else None, named, owner, reason)
    except Exception:
        log.exception("%s was refused a run of %s, which could not be written into the audit log", owner, dag_id)


def _write(dag_id: str | None, run_id: str | None, owner: str, reason: str) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        session.add(Log(event=EVENT, dag_id=dag_id, run_id=run_id, owner=owner, extra=json.dumps({"reason": reason})))
