"""Reading the form of a WES request while it streams: fields are bounded, attachments go to the disk as they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from cwl_ui_plugin import config
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, TooLarge
from cwl_ui_plugin.services.wes.attachments import Attachments

ATTACHMENT = "workflow_attachment"
MAX_HEADERS = 16 * 1024
"""Bytes that the headers of a part may have together: not every python-multipart bounds them."""
FIELDS = (
    "workflow_params",
    "workflow_type",
    "workflow_type_version",
    "tags",
    "workflow_engine",
    "workflow_engine_version",
    "workflow_engine_parameters",
    "workflow_url",
)


async def read_form(request: Request, attachments: Attachments) -> dict[str, str]:
    """Return the fields of a request, and put its attachments where they belong.

    Raises:
        BadRequest: it is no such form, or has fields that it should not have.
        TooLarge: the fields or the attachments are too large.
        Unavailable: an attachment can't be stored.

    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadRequest("Send the request as a form: multipart/form-data, with its boundary.")
    try:
        reader = _Reader(options[b"boundary"], attachments)
        async for chunk in request.stream():
            if chunk:
                await run_in_threadpool(reader.feed, chunk)
        return reader.fields()
    except FormParserError as error:
        raise BadRequest(f"The form can't be read: {error}") from error
    except ClientDisconnect:
        raise BadRequest("The request ended before its form did.") from None


@dataclass
class _Part:
    """The part that is being read."""

    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    content: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Bytes of its headers."""


class _Reader:
    """What the parser calls as it finds parts, headers and content."""

    def __init__(self, boundary: bytes, attachments: Attachments) -> None:
        self._attachments = attachments
        self._fields: dict[str, str] = {}
        self._part = _Part()
        self._left = config.max_call_size()
        self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._content,
                "on_part_end": self._end,
                "on_end": self._whole,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        self._parser.write(chunk)

    def fields(self) -> dict[str, str]:
        """Return what was read; raise :class:`BadRequest` where the end is missing."""
        if not self._is_whole:
            raise BadRequest("The form has no end: its last boundary is missing.")
        return self._fields

    def _begin(self) -> None:
        self._part = _Part()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._part.header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._part.value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._part.size += size
        if self._part.size > MAX_HEADERS:
            raise BadRequest(f"A part of the form has more than {MAX_HEADERS} bytes of headers.")

    def _header_end(self) -> None:
        part = self._part
        part.headers[part.header.decode("latin-1").lower()] = part.value.decode("latin-1")
        part.header, part.value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _kind, options = parse_options_header(self._part.headers.get("content-disposition"))
        name = self._part.name = _option(options, b"name")
        if name == ATTACHMENT:
            if not options.get(b"filename"):
                raise BadRequest(f"A {ATTACHMENT} needs a filename.")
            self._attachments.begin(_option(options, b"filename"))
        elif name not in FIELDS:
            raise BadRequest(f"The form has a field {name[:80]!r}; there are {', '.join((*FIELDS, ATTACHMENT))}.")
        elif name in self._fields:
            raise BadRequest(f"The form has the field {name} twice.")

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._part.name == ATTACHMENT:
            self._attachments.write(data[start:end])
            return
        self._left -= end - start
        if self._left < 0:
            limit = bytes_text(config.max_call_size())
            raise TooLarge(f"The fields of the form have more than {limit} together ([cwl] max_job_size).")
        self._part.content += data[start:end]

    def _end(self) -> None:
        if self._part.name == ATTACHMENT:
            self._attachments.end()
            return
        try:
            self._fields[self._part.name] = self._part.content.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest(f"The field {self._part.name} is not UTF-8.") from None

    def _whole(self) -> None:
        self._is_whole = True


def _option(options: Mapping[bytes, bytes], name: bytes) -> str:
    try:
        return options.get(name, b"").decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("Names in the form must be UTF-8.") from None
