"""What a flow asks of whoever drives it: a request, a download, a pause.

A flow is a generator: all that the client does is written once, as flows, without a word about how HTTP is spoken.
Three drive them: :class:`~cwl_ui_client.client.Client` and :class:`~cwl_ui_client.async_client.AsyncClient` with
httpx, and the command ``cwl-ui-plugin``, which has to start at once, with Python's own HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cwl_ui_client.errors import CwlUiError

T = TypeVar("T")
Form = Mapping[str, "str | tuple[str, bytes]"]
"""A form by the names of its fields: texts, and files as ``(name, content)``."""
Flow = Generator["Request | Download | Pause", Any, T]
REST = "/cwl/api/v1"
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """A request to the REST API, with a JSON body, bytes, or a :data:`Form`.

    Whoever drives sends an :class:`Answer` back, or throws a :class:`~cwl_ui_client.errors.ServerError`.
    ``repeatable``: to send it twice does no harm.
    """

    method: str
    path: str
    json: object = None
    params: Mapping[str, str] | None = None
    content: bytes | None = None
    form: Form | None = None
    timeout: float = TIMEOUT_SECONDS
    repeatable: bool = False

    @property
    def address(self) -> str:
        """The path on the server."""
        return REST + self.path


@dataclass(frozen=True)
class Download:
    """Save what a path of the REST API answers as a file; the answer is the SHA-1 of what arrived, in hexadecimal."""

    path: str
    target: Path


@dataclass(frozen=True)
class Pause:
    """Wait some seconds."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """What a server answered with success."""

    status: int
    reason: str
    body: bytes
    total: int | None = None
    """Of a list of which the answer is a part, how long it is."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def drive(flow: Flow[T], do: Callable[[Request | Download | Pause], object]) -> T:
    """Let ``do`` do each step of a flow, to its end; return what it returns. What ``do`` raises, the flow gets."""
    answer: object = None
    problem: CwlUiError | None = None
    while True:
        try:
            step = flow.send(answer) if problem is None else flow.throw(problem)
        except StopIteration as end:
            result: T = end.value
            return result
        answer, problem = None, None
        try:
            answer = do(step)
        except CwlUiError as error:
            problem = error


def get(path: str, params: Mapping[str, str] | None = None) -> Flow[Any]:
    """Return the JSON of a path."""
    answer: Answer = yield Request("GET", path, params=params, repeatable=True)
    return answer.json()


def post(
    path: str,
    body: object = None,
    *,
    params: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    repeatable: bool = False,
) -> Flow[Any]:
    """Post JSON to a path; return the JSON of the answer."""
    answer: Answer = yield Request("POST", path, json=body, params=params, timeout=timeout, repeatable=repeatable)
    return answer.json()


def path_of(*parts: str) -> str:
    """Return the parts as a path, each quoted."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def workflow_path(dag_id: str) -> str:
    """Return the path of a workflow."""
    return f"/workflows{path_of(dag_id)}"


def run_path(dag_id: str, run_id: str) -> str:
    """Return the path of a run."""
    return f"{workflow_path(dag_id)}/runs{path_of(run_id)}"
