"""What Airflow's own API would do, and the plugin's services don't: take a grant, take a signature again, edit XComs.

The conf of a run is checked as the services check it (``checked_calls``), with the same messages.

A conf with a grant is refused. A signature starts one run, on one Dag, by this way, too: its use is kept as the
services keep it (``services.triggering.reserving``).

The values that tasks hand on (XComs) name files, which a task reads as its worker's user. Who may change them, as each
User of Airflow may, and clear a task would read any file of the worker.

Whoever may see a run sees its grant. It holds for that run alone; but a run that was deleted could be created anew with
it, by Airflow's own API, and its signature would start a second run.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from anyio import CancelScope
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin import config
from cwl_ui_plugin.api.checked_calls import check_of, is_of_task, lets_task_in, may_start, words
from cwl_ui_plugin.api.errors import answer
from cwl_ui_plugin.api.paths import path_of
from cwl_ui_plugin.api.signed_calls import reservation
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import ServiceError
from cwl_ui_plugin.services.triggering import refusals, reserving
from cwl_ui_plugin.services.triggering.reserving import Use
from cwl_ui_plugin.services.workflows.details import is_cwl_dag

log = logging.getLogger(__name__)
_UNSAFE = ("POST", "PUT", "PATCH")
_SUCCESS = range(200, 300)
_CREATES_RUNS = re.compile(r"/(api/v\d+|execution)/(.*/)?(dagRuns|dag-runs|backfills|materialize)(/|$)")
_DAG = re.compile(r"/dags/([^/]+)/")
_VALUES = re.compile(r"/api/v\d+/dags/([^/]+)/dagRuns/.+/xcomEntries(/|$)")
REFUSED = (
    f"The conf has a field {GRANT}, which only the server may write: leave it out. To run again what a run did, use "
    "“Run again” on its CWL page."
)
TOO_DEEP = "The request is nested too deeply."
NO_EDITS = (
    "What tasks of a CWL workflow hand on (XComs) can't be changed: start another run, or upload a new version of the "
    "workflow."
)


class GrantGuard:
    """Looks into calls that create runs, whose bodies are read whole as Airflow does afterwards; refuses edits."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and await _changes_values(scope):
            await _record(scope, NO_EDITS)
            await answer(403, NO_EDITS)(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] not in _UNSAFE or not _CREATES_RUNS.match(path_of(scope)):
            await self.app(scope, receive, send)
            return
        try:
            body = await _body(receive)
        except ClientDisconnect:
            return
        if body is None:
            too_large = f"The request is larger than {bytes_text(_limit())}; see [cwl] max_job_size."
            await answer(413, too_large)(scope, receive, send)
            return
        reason, content = _read(body)
        if reason:
            await _record(scope, reason)
            await answer(400, reason)(scope, receive, send)
            return
        if await self._is_refused(content, scope, receive, send):
            return
        reserve = reservation(path_of(scope), content)
        if reserve is None:
            await self.app(scope, _replayed(body, receive), send)
        else:
            await self._once(reserve, scope, _replayed(body, receive), send)

    async def _is_refused(self, content: object, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer a call whose conf no run can have; whoever may not start the run is left to Airflow."""
        found = check_of(path_of(scope), content)
        if found is None:
            return False
        dag_id, check = found
        try:
            await run_in_threadpool(check)
        except ServiceError as error:
            user = None if is_of_task(path_of(scope)) else await _user(Request(scope))
            if not await self._lets_in(user, dag_id, scope):
                return False
            name, reason = user.get_name() if user else None, refusals.reason_of(error)
            await run_in_threadpool(refusals.record, dag_id, None, name, reason)
            await answer(error.status, words(error), error.problems)(scope, receive, send)
            return True
        except config.ConfigError as error:
            log.warning("The conf of a run of %s is checked by its first task: %s", dag_id, error)
        return False

    async def _lets_in(self, user: BaseUser | None, dag_id: str, scope: Scope) -> bool:
        if user is not None:
            return await run_in_threadpool(may_start, user, dag_id)
        return is_of_task(path_of(scope)) and await lets_task_in(self.app, scope)

    async def _once(self, reserve: Callable[[], Use | None], scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that uses a signature, unless it was used before."""
        try:
            with CancelScope(shield=True):
                use = await run_in_threadpool(reserve)
        except ServiceError as error:
            await _record(scope, error.message)
            await answer(error.status, error.message)(scope, receive, send)
            return
        except config.ConfigError as error:
            await answer(500, str(error))(scope, receive, send)
            return
        status, is_refused = 0, False  # where this is cancelled, a thread may be about to create the run

        async def noting_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noting_send)
            is_refused = status not in _SUCCESS
        except Exception:
            is_refused = True
            raise
        finally:
            if use is not None:
                with CancelScope(shield=True):
                    await run_in_threadpool(reserving.settle, use, is_refused=is_refused)


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None for one that is too large."""
    parts, size, is_more = [], 0, True
    limit = _limit()
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        is_more = message.get("more_body", False)
    return b"".join(parts)


def _limit() -> int:
    """Return how many bytes a call may have; an option with a mistake in it is no reason to hold up other Dags."""
    try:
        return config.max_call_size()
    except config.ConfigError:
        return config.CALL_BYTES


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that has the body at once, and then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _read(body: bytes) -> tuple[str | None, object]:
    """Return why a JSON text can't be taken, such as a grant however it is written; and its value as Airflow reads it.

    What is no JSON is for Airflow to refuse.
    """
    found = False

    def look(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        found = found or any(name == GRANT for name, _value in pairs)
        return dict(pairs)

    try:
        value = json.loads(body, object_pairs_hook=look)
    except RecursionError:
        return TOO_DEEP, None
    except ValueError:
        value = None
    return REFUSED if found else None, value


async def _changes_values(scope: Scope) -> bool:
    """Whether a request changes an XCom of a CWL Dag."""
    found = _VALUES.match(path_of(scope)) if scope["method"] in (*_UNSAFE, "DELETE") else None
    return found is not None and await run_in_threadpool(is_cwl_dag, found.group(1))


async def _record(scope: Scope, reason: str) -> None:
    """Write the attempt of a user into the audit log; nobody else is let through anyway."""
    user = await _user(Request(scope))
    if user is not None:
        dag = _DAG.search(path_of(scope))
        await run_in_threadpool(refusals.record, dag and dag.group(1), None, user.get_name(), reason)


async def _user(request: Request) -> BaseUser | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        token = request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    try:
        return await get_auth_manager().get_user_from_token(token) if token else None
    except Exception:
        return None
