"""What has to stand around all of Airflow's API server: which calls of the plugin's are served and how large they may
be, that nothing keeps the answers, and the background loop's life.

Airflow buffers the whole body of a request to a Flask view in memory, and FastAPI that of a JSON call; so what is too
large is refused before. The loop starts when the API server has started, and stops when it shuts down.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import anyio.to_thread
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.api.errors import answer
from cwl_ui_plugin.api.hosts import is_called_rightly
from cwl_ui_plugin.api.paths import path_of
from cwl_ui_plugin.api.wes import errors as wes_errors
from cwl_ui_plugin.plain_words import bytes_text

log = logging.getLogger(__name__)
FORM_BYTES = config.MEBIBYTE
"""What a multipart body may have besides its files."""
WORKER_BYTES = 2 * config.MEBIBYTE
"""What a worker tells at once; parts of logs have half of it."""
PAGES = tuple(mount + addresses.PAGES for mount in addresses.MOUNTS)
OTHERS = (addresses.PLUGIN, addresses.TRIGGERS, addresses.TRS, addresses.TRS_OF_CWLTOOL, addresses.WES)
TASKS_API = "/execution/health"
WARMED = (TASKS_API, f"{addresses.OWN_MOUNT}{addresses.STATIC}/icon.svg")
STATIC = (*(mount + addresses.STATIC for mount in addresses.MOUNTS), addresses.REST_DOCS)
"""The same for everybody: browsers may keep these."""
_KEEP_NOTHING = (b"cache-control", b"no-store")


MISDIRECTED = (
    "This server is not called that. Use the address in [api] base_url; an administrator can allow more names in "
    "[cwl] allowed_hosts."
)


class Background(Protocol):
    """What lives as long as the API server."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""


class _TooLarge(ClientDisconnect):
    """Stops the app from reading on, as if there were no more."""


class CwlMiddleware:
    """Looks at the plugin's calls and bounds their bodies; starts and stops ``background`` with the API server."""

    def __init__(self, app: ASGIApp, background: Background | None = None) -> None:
        self.app = app
        self.background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan" and self.background is not None:
            await self._live(self.background, scope, receive, send)
        elif scope["type"] == "http" and (limit := body_limit(scope)) is not None:
            await self._serve_ours(limit, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _live(self, background: Background, scope: Scope, receive: Receive, send: Send) -> None:
        async def starting_send(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                for path in WARMED:
                    await _warm_up(self.app, scope, path)
                background.start()
            await send(message)

        async def stopping_receive() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await anyio.to_thread.run_sync(background.stop)
            return message

        await self.app(scope, stopping_receive, starting_send)

    async def _serve_ours(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call of the plugin's, if it is meant for this server."""
        if not addresses.is_below(path_of(scope), *STATIC):
            send = _keeping_nothing(send)
        # Workers know the server by [core] execution_api_server_url; no browser brings what they are known by.
        if is_called_rightly(scope) or addresses.is_below(path_of(scope), addresses.WORKERS):
            await self._serve_bounded(limit, scope, receive, send)
        else:
            await _answering(scope)(421, MISDIRECTED)(scope, receive, send)

    async def _serve_bounded(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _answering(scope)(413, _too_large(limit), headers={"Connection": "close"})
        if _stated_length(scope) > limit:
            await refusal(scope, receive, send)
            return
        size = 0
        has_started = False

        async def counting_receive() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _TooLarge
            return message

        async def noting_send(message: Message) -> None:
            nonlocal has_started
            if size > limit and not has_started:
                return  # the app's words about the body that it could not read
            has_started = True
            await send(message)

        try:
            await self.app(scope, counting_receive, noting_send)
        except Exception:
            if size <= limit or has_started:
                raise
        if size > limit and not has_started:
            await refusal(scope, receive, send)


async def _warm_up(app: ASGIApp, lifespan: Scope, path: str) -> None:
    """Have an app made, before the server listens, that is made at its first request.

    Airflow's API for tasks takes seconds, or half a minute on a busy machine: the tasks that wait for it then would
    give up, and lose a try. The plugin's own pages, where it serves them, make its permissions known.
    """
    scope = {
        "type": "http",
        "asgi": lifespan.get("asgi", {"version": "3.0"}),
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": dict(lifespan.get("state", {})),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Message) -> None:
        pass

    try:
        await app(scope, receive, send)
    except Exception:
        log.exception("%s could not be made ready beforehand; the first request waits for it", path)


def body_limit(scope: Scope) -> int | None:
    """Return how many bytes the body of a request may have, or None for a path that is not the plugin's."""
    path = path_of(scope)
    if addresses.is_below(path, addresses.WORKERS):
        return WORKER_BYTES
    if path == addresses.INPUTS:
        return int(config.number("max_input_size"))
    if path == addresses.WES_RUNS:
        return int(config.number("max_input_size")) + config.max_call_size() + FORM_BYTES
    if path in (addresses.WORKFLOWS, addresses.CRATES, *addresses.OLD_UPLOADS) or addresses.is_below(path, *PAGES):
        return max(int(config.number("max_upload_size")), config.max_call_size()) + FORM_BYTES
    return config.max_call_size() if addresses.is_below(path, *OTHERS) else None


def _keeping_nothing(send: Send) -> Send:
    """Let no browser and no proxy keep an answer: it may have somebody's data in it."""

    async def marking_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [item for item in message.get("headers", ()) if item[0].lower() != _KEEP_NOTHING[0]]
            message = {**message, "headers": [*headers, _KEEP_NOTHING]}
        await send(message)

    return marking_send


def _stated_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(limit: int) -> str:
    return (
        f"The request is larger than {bytes_text(limit)}; see max_upload_size, max_input_size and max_job_size in "
        "[cwl]."
    )


def _answering(scope: Scope) -> Callable[..., JSONResponse]:
    """Return what makes the error of a call, as its API has them; routers change the path in its scope later."""
    return wes_errors.answer if addresses.is_below(path_of(scope), addresses.WES) else answer
