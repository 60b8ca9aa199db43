"""Nobody brings a grant, or changes what tasks hand on: Airflow's own API refuses a conf that has one, and such edits.

The values that tasks hand on (XComs) name files, which a task reads as its worker's user. Who may change them, as each
User of Airflow may, and clear a task would read any file of the worker.

Whoever may see a run sees its grant. It holds for that run alone; but a run that was deleted could be created anew with
it, by Airflow's own API, and its signature would start a second run. For the same reason a signature that has started a
run is refused there.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin import config
from cwl_ui_plugin.api.errors import answer
from cwl_ui_plugin.api.paths import path_of
from cwl_ui_plugin.config import bytes_text
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.dags.grants import GRANT
from cwl_ui_plugin.runs import refusals, signing
from cwl_ui_plugin.runs.errors import BadRequest, NotVerified, RunsError
from cwl_ui_plugin.runs.workflows import is_cwl_dag

_UNSAFE = ("POST", "PUT", "PATCH")
_CREATES_RUNS = re.compile(r"/(api/v\d+|execution)/(.*/)?(dagRuns|dag-runs|backfills|materialize)(/|$)")
_DAG = re.compile(r"/dags/([^/]+)/")
_VALUES = re.compile(r"/api/v\d+/dags/([^/]+)/dagRuns/.+/xcomEntries(/|$)")
REFUSED = (
    f"The conf has a field {GRANT}, which only the server may write: leave it out. To run again what a run did, use "
    "“Run again” on its CWL page."
)
USED = "The signature in this conf has started a run before: a signature starts one run. Sign another run_id."
MOST_SIGNATURES = 10
"""In one call: Airflow's own have one conf."""
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
        elif (why := await _complaint(body)) is not None:
            await _record(scope, why.message)
            await answer(why.status, why.message)(scope, receive, send)
        else:
            await self.app(scope, _replayed(body, receive), send)


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


async def _complaint(body: bytes) -> RunsError | None:
    """Return why a conf is not taken: it has a grant, or a signature that was used."""
    fields = _fields(body)
    if GRANT in fields:
        return BadRequest(REFUSED)
    tokens = {token for token in fields.get(SIGNATURE, ()) if isinstance(token, str)}
    if not tokens:
        return None
    try:
        is_used = len(tokens) > MOST_SIGNATURES or await run_in_threadpool(signing.are_used, tokens)
    except RunsError as error:
        return error
    return NotVerified(USED) if is_used else None


def _fields(body: bytes) -> dict[str, list[Any]]:
    """Return the values of grants and signatures anywhere in a JSON text, however these are written.

    What is no JSON is for Airflow to refuse; what is nested too deeply to be looked at counts as having a grant.
    """
    found: dict[str, list[Any]] = {}

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, value in pairs:
            if name in (GRANT, SIGNATURE):
                found.setdefault(name, []).append(value)
        return dict(pairs)

    try:
        json.loads(body, object_pairs_hook=look)
    except RecursionError:
        return {GRANT: []}
    except ValueError:
        pass
    return found


async def _changes_values(scope: Scope) -> bool:
    """Whether a request changes an XCom of a CWL Dag."""
    found = _VALUES.match(path_of(scope)) if scope["method"] in (*_UNSAFE, "DELETE") else None
    return found is not None and await run_in_threadpool(is_cwl_dag, found.group(1))


async def _record(scope: Scope, reason: str) -> None:
    """Write the attempt of a user into the audit log; nobody else is let through anyway."""
    user = await _user(Request(scope))
    if user is not None:
        dag = _DAG.search(path_of(scope))
        await run_in_threadpool(refusals.record, dag and dag.group(1), None, user, reason)


async def _user(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        token = request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    try:
        return str((await get_auth_manager().get_user_from_token(token)).get_name()) if token else None
    except Exception:
        return None
