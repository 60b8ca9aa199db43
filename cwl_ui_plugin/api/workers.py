"""The API for workers without common folders. Callers are tasks: by their own execution tokens, for their own try."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from cwl_ui_plugin.api import errors
from cwl_ui_plugin.api.answering import AnyTextResponse
from cwl_ui_plugin.auth import execution_tokens
from cwl_ui_plugin.auth.execution_tokens import BadToken, NoKeys
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.workers import documents, leases, logs, run_secrets, stops, tries
from cwl_ui_plugin.services.workers.tries import CallingTry
from cwl_ui_plugin.version import __version__

_BEARER = "bearer "
_CHUNK_BYTES = 256 * 1024
DESCRIPTION = (
    "For the plugin's own workers where `[cwl] intermediate_storage` is set. The caller is a task: its execution "
    "token says which, and each call is about that try of it."
)


async def calling_try(request: Request, response: Response) -> AsyncIterator[CallingTry]:
    """Yield the try whose token this is, and answer with another token where this one ends soon.

    Raises:
        HTTPException: there is no token (401), or none that is valid (403), or that can't be told now (503).

    """
    if shares_folders():
        raise HTTPException(404, "All machines share folders here: [cwl] intermediate_storage is not set.")
    given = request.headers.get("authorization", "")
    if not given.lower().startswith(_BEARER):
        raise HTTPException(401, "Send the execution token of the task.", headers={"WWW-Authenticate": "Bearer"})
    try:
        token = await execution_tokens.check(given[len(_BEARER) :].strip())
    except BadToken:
        raise HTTPException(403, "The token is none of a task that runs, or has expired.") from None
    except NoKeys:
        raise HTTPException(
            503, "The keys of tokens could not be loaded; the log of the API server says why."
        ) from None
    found = await run_in_threadpool(tries.find, token.instance)
    if token.ends_soon and (found.is_running or await run_in_threadpool(lambda: found.lease) is not None):
        response.headers[execution_tokens.REFRESHED] = token.refreshed()
    yield found


Caller = Annotated[CallingTry, Depends(calling_try)]
PartName = Annotated[str, Query(max_length=300)]
Machine = Annotated[str, Field(min_length=32, max_length=32)]


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LeaseBody(_Told):
    """Where a task runs; ``folder`` tells whether that is a machine which shares this server's folders."""

    host: str
    machine: Machine
    pid: int
    folder: str
    pod: str = ""
    slurm_job: str = ""


class LookBody(_Told):
    """Which machine looks; ``folder`` tells whether that is one which shares this server's folders."""

    machine: Machine
    folder: str


class ReplyBody(_Told):
    """What a machine has left of a run that an order names."""

    machine: Machine
    number: Annotated[str, Field(max_length=64)]
    left: Annotated[list[str], Field(max_length=10_000)]


class SecretsBody(_Told):
    """The secrets of a run, by their placeholders."""

    secrets: Annotated[dict[str, str], Field(max_length=10_000)]


@cache
def app() -> FastAPI:
    """Return the app; it has no pages of its API, which is for nobody else."""
    made = FastAPI(
        title="CWL workers",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        default_response_class=AnyTextResponse,
    )
    errors.install(made)
    made.add_exception_handler(logs.AnotherEnd, _another_end)
    made.put("/lease")(put_lease)
    made.delete("/lease", status_code=204)(delete_lease)
    made.post("/look")(post_look)
    made.post("/reply", status_code=204)(post_reply)
    made.post("/logs/{name}")(post_log)
    made.get("/document")(get_document)
    made.get("/grant-keys/{name}")(get_grant_key)
    made.get("/secrets")(get_secrets)
    made.put("/secrets", status_code=204)(put_secrets)
    made.get("/document/archive")(get_archive)
    return made


async def _another_end(_request: Request, error: Exception) -> JSONResponse:
    size = error.size if isinstance(error, logs.AnotherEnd) else 0
    return errors.answer(409, str(error), size=size)


def put_lease(caller: Caller, body: LeaseBody) -> dict[str, object]:
    """Write the lease of the try before anything of it starts; the answer says whether its run is stopped."""
    if body.folder == leases.folder_id():
        return {"shares_folders": True, "stopped": None}
    where = leases.Where(body.host, body.machine, body.pid, body.pod, body.slurm_job)
    return {"shares_folders": False, "stopped": leases.write(caller, where)}


def delete_lease(caller: Caller, machine: Annotated[str, Query()], pid: Annotated[int, Query()]) -> None:
    """Take the lease back: the machine says that nothing of the try is left, of that process of it."""
    leases.give_back(caller, machine, pid)


def post_look(caller: Caller, body: LookBody) -> dict[str, object]:
    """Say whether the run is stopped, or is being stopped, and whether this try's lease is there."""
    if body.folder == leases.folder_id():
        return {"shares_folders": True, "stopped": None, "order": None, "is_leased": False}
    found = stops.look(caller, body.machine)
    is_leased = caller.lease is not None
    return {"shares_folders": False, "stopped": found.stopped, "order": found.order, "is_leased": is_leased}


def post_reply(caller: Caller, body: ReplyBody) -> None:
    """Note what the machine has left of the run."""
    stops.reply(caller, body.machine, body.number, body.left)


async def post_log(
    caller: Caller,
    request: Request,
    name: Annotated[str, Path(max_length=40)],
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
) -> dict[str, int]:
    """Append to a file of the try; a part that begins elsewhere than at its end is answered with where that is."""
    try:
        part = await request.body()
    except ClientDisconnect:
        raise HTTPException(400, "The part was cut off.") from None
    return {"size": await run_in_threadpool(logs.append, caller, name, offset, part)}


def get_document(caller: Caller) -> documents.Pinned:
    """Say which revision of its workflow the run of the try is pinned to."""
    return documents.pinned(caller)


def get_grant_key(_caller: Caller, name: Annotated[str, Path(max_length=64)]) -> dict[str, str]:
    """Answer with a public key, by which the task verifies what its run was granted."""
    return {"key": documents.grant_key(name)}


def get_secrets(caller: Caller, part: PartName = "") -> SecretsBody:
    """Answer with the secrets of the try's run, or of a part of it."""
    return SecretsBody(secrets=run_secrets.kept(caller, part))


def put_secrets(caller: Caller, body: SecretsBody, part: PartName = "") -> None:
    """Keep the secrets of the try's run, for the tasks after it."""
    run_secrets.keep(caller, part, body.secrets)


def get_archive(caller: Caller, revision: Annotated[str, Query(max_length=300)]) -> StreamingResponse:
    """Answer with that revision, and with no other one."""
    found = documents.pinned(caller)
    if found.revision != revision:
        raise NotFound("The run of this task is pinned to another revision.")
    file, size, digest = documents.archive(found)

    def content() -> Iterator[bytes]:
        with file:
            while part := file.read(_CHUNK_BYTES):
                yield part

    headers = {"Content-Length": str(size), "X-Content-SHA256": digest}
    return StreamingResponse(content(), media_type="application/gzip", headers=headers)
