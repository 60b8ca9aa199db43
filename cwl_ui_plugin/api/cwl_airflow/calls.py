"""What a call of CWL-Airflow's API says: in its query, as a form, or as JSON, whichever the client prefers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.types import Message

from cwl_ui_plugin import config
from cwl_ui_plugin.api.cwl_airflow.callers import UPLOADS_OPTION, CallingUser
from cwl_ui_plugin.api.request_json import check_object, json_object, parse_object
from cwl_ui_plugin.auth.jwt_backend import SIGNATURES
from cwl_ui_plugin.library.compressed import decompressed
from cwl_ui_plugin.library.errors import BadUpload, UploadTooLarge
from cwl_ui_plugin.library.intake import UploadedFile
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, TooLarge
from cwl_ui_plugin.signing.triggers import WORKFLOW
from cwl_ui_plugin.strict_json import is_text

if TYPE_CHECKING:
    from collections.abc import Mapping

DAG_ID, RUN_ID, CONF = "dag_id", "run_id", "conf"
FILE, CONTENT = "workflow", "workflow_content"
DATA = "workflow_data"
"""Later clients put what the others have in the query into an object of this name."""
IGNORED = "proj_id"
_DOCUMENT_NAME = "workflow.cwl"
_MOST_FIELDS = 16
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Document:
    """The CWL document of a call, as a file."""

    name: str
    content: bytes

    def as_upload(self) -> UploadedFile:
        """Return it as the service takes it."""
        return UploadedFile(self.name, io.BytesIO(self.content))


@dataclass(frozen=True)
class OldCall:
    """The fields of a call; ``sent`` has those that were sent, signatures included."""

    sent: Mapping[str, object]
    document: Document | None = None

    def text(self, name: str) -> str | None:
        """Return a field that must be a text; raise :class:`BadRequest`."""
        value = self.sent.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not is_text(value):
            raise BadRequest(f"{name} must be a text.", field=name)
        return value

    def needed(self, name: str) -> str:
        """Return a text that must be there; raise :class:`BadRequest`."""
        value = self.text(name)
        if value is None:
            raise BadRequest(f"{name} is missing: send it in the query, or as a field of the body.", field=name)
        return value

    def conf(self) -> dict[str, object]:
        """Return the conf, which may be left out; raise :class:`BadRequest`."""
        sent = self.sent.get(CONF)
        if sent is None or sent == "":
            return {"job": {}}
        return parse_object(sent, CONF) if isinstance(sent, str) else check_object(sent, CONF)

    def signed_fields(self, *names: str) -> dict[str, object]:
        """Return what a signature of this call must be of: these fields, and the digest of the document."""
        fields = {name: self.sent.get(name) for name in names}
        if self.document is not None:
            fields[WORKFLOW] = hashlib.sha256(self.document.content).hexdigest()
        return fields


def call_with(*names: str, document: bool = False) -> Callable[..., Awaitable[OldCall]]:
    """Return a dependency that reads a call with these fields; any other field is a mistake, and says so.

    Of whoever is not logged in no more is read than a call without a new workflow may have: they can't upload any.
    """
    known = {*names, *SIGNATURES, DATA, IGNORED, *((FILE, CONTENT) if document else ())}

    async def read(request: Request, user: CallingUser) -> OldCall:
        if isinstance(user, HTTPException) and not config.flag(UPLOADS_OPTION):
            request = _bounded(request, config.max_call_size())
        query = list(request.query_params.multi_items())
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
            async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=config.max_call_size()) as form:
                return await run_in_threadpool(_call, [*query, *form.multi_items()], known)
        body = await json_object(request)
        return await run_in_threadpool(_call, [*query, *body.items()], known)

    return read


def _bounded(request: Request, limit: int) -> Request:
    """Return a request whose body can't be read beyond ``limit`` bytes: reading on raises :class:`TooLarge`."""
    size, receive = 0, request.receive

    async def counting() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise TooLarge(f"A call without a login may have {bytes_text(limit)}. Log in to send more.")
        return message

    return Request(request.scope, counting)


def query_of(request: Request, *names: str) -> dict[str, str]:
    """Return the query of a call that reads; raise :class:`BadRequest` for what it can't say."""
    return {name: str(value) for name, value in _once(request.query_params.multi_items(), set(names)).items()}


def _call(items: Iterable[tuple[str, object]], known: set[str]) -> OldCall:
    sent = _once(_flat(items), known - {DATA})
    file, content = sent.pop(FILE, None), sent.pop(CONTENT, None)
    if file is not None and content is not None:
        raise BadRequest(f"Send either {FILE} (a file) or {CONTENT}, not both.")
    sent.pop(IGNORED, None)
    return OldCall(sent, _document(file, content))


def _flat(items: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    for name, value in items:
        if name != DATA:
            yield name, value
        elif value is not None:
            fields = parse_object(value, DATA) if isinstance(value, str) else check_object(value, DATA)
            yield from fields.items()


def _once(items: Iterable[tuple[str, object]], known: set[str]) -> dict[str, object]:
    """Return the fields; what is verified and what is done must be the same, so none may be there twice."""
    found: dict[str, object] = {}
    for name, value in items:
        if name not in known:
            told = ", ".join(sorted(known - {IGNORED}))
            raise BadRequest(f"There is no field {name[:80]!r} here; there are: {told}.", field=name[:80])
        if value is None:
            continue
        if name in found:
            raise BadRequest(f"The field {name!r} is there twice: send it once.", field=name)
        found[name] = value
    return found


def _document(file: object, content: object) -> Document | None:
    most = int(config.number("max_upload_size"))
    if file is not None:
        if not isinstance(file, UploadFile):
            raise BadRequest(f"{FILE} must be a file (multipart/form-data), or send {CONTENT}.", field=FILE)
        read = file.file.read(most + 1)
        if len(read) > most:
            raise TooLarge("The workflow is larger than [cwl] max_upload_size allows.")
        return Document(file.filename or _DOCUMENT_NAME, read)
    if content is None:
        return None
    if not isinstance(content, str):
        raise BadRequest(
            f"{CONTENT} must be a text: the base64 of a CWL document that gzip has compressed.", field=CONTENT
        )
    try:
        return Document(_DOCUMENT_NAME, decompressed(content, most))
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from error
    except BadUpload as error:
        raise BadRequest(str(error), field=CONTENT) from error


def check_document(call: OldCall) -> Document:
    """Return the document of a call that must have one; raise :class:`BadRequest`."""
    if call.document is None:
        raise BadRequest(f"Send the CWL document: as the file {FILE}, or as {CONTENT}, compressed and in base64.")
    return call.document
