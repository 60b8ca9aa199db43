"""The OpenAPI document of the REST API, such that generators of clients can use all of it.

FastAPI writes what the routes say; here is added what they have in common: what parameters mean, which words a state
can be, and how a caller logs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.routing import APIRoute

from cwl_ui_plugin.services.run_models import ShownState
from cwl_ui_plugin.signing.algorithms import EDWARDS, ELLIPTIC, RSA

BINARY: dict[str, object] = {"type": "string", "format": "binary"}
BINARY_BODY: dict[str, object] = {
    "requestBody": {"content": {"application/octet-stream": {"schema": BINARY}}, "required": True}
}
"""A request whose body is a file as it is."""
BINARY_ANSWER: dict[str, object] = {
    "content": {"application/octet-stream": {"schema": BINARY}, "*/*": {"schema": BINARY}}
}
"""An answer that is a file: of which kind, its name says. Generators take the first."""
BEARER = "bearer"
_SECURITY_SCHEMES = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": 'Airflow\'s token: `POST /auth/token` with `{"username", "password"}` answers `access_token`.',
    }
}
_SIGNED = ("trigger_run",)
"""Operations that need no login where the request is signed."""
_RUN_STATES = ("queued", "running", "success", "failed")
_STATES: dict[str, tuple[str, ...]] = {
    "Compilation.state": ("current", "outdated", "compiling", "failed"),
    "RecentRun.state": _RUN_STATES,
    "Run.state": _RUN_STATES,
    "RunSummary.state": _RUN_STATES,
    "Fixed.state": _RUN_STATES,
    "Upload.state": ("validating", "registering", "done", "failed"),
    "KeyRequest.algorithm": (*RSA, *ELLIPTIC, *EDWARDS),
    "StepState.error_kind": ("permanentFail", "temporaryFail", "unsupported"),
}
"""Which words a text of an answer can be, by schema and property."""
PARAMETERS: dict[str, tuple[str, object]] = {
    "batch_id": ("The id of a batch.", "3f2a9c1d5e07"),
    "choice_id": ("The id of a choice, from `GET /notifications`.", "0f8e1b6c2d3a4f5e8b7c6d5e4f3a2b1c"),
    "dag_id": ("The name of a workflow, which is the dag_id of its Dag.", "variant-calling"),
    "data": ("Whether inputs and outputs are in it; else they are only named.", True),
    "logs": ("Whether what the commands have printed is in it.", True),
    "folder": (
        "A UUID of your own: files sent with the same one lie together.",
        "6b1c2f0e-3b0a-4f57-9d0e-6a8f0b0a7f11",
    ),
    "format": ("In which form it is answered.", None),
    "inline": ("Whether a browser may show it, without scripts.", None),
    "limit": ("How many are answered at most.", 50),
    "map_index": ("Which element of a scattered step; -1 for a step that is not scattered.", -1),
    "name": ("What the file is called; with slashes: in folders.", "reads.fastq.gz"),
    "number": ("Which part, from 1.", 1),
    "offset": ("How many are left out from the beginning.", 0),
    "preset_id": ("The id of a preset.", "0f8e1b6c2d3a4f5e8b7c6d5e4f3a2b1c"),
    "run_id": ("The name of a run.", "sample-17"),
    "runs": ("How many runs are looked at.", None),
    "size": ("How large the whole file is, in bytes.", 1048576),
    "stream": ("What the command printed: its results, or its messages.", "stderr"),
    "task_id": ("The task of a step.", "align"),
    "try_number": ("Which try of the task, from 1.", 1),
    "upload_id": ("The id of an upload, from the answer that began it.", "0f8e1b6c2d3a4f5e8b7c6d5e4f3a2b1c"),
    "version": ("The digest of a version of the workflow; default: the current one.", None),
    "wait": ("Whether it is answered when it is done, or at once.", True),
    "browse_inputs.after": ("The `after` of the page before, of a folder in an object store.", None),
    "browse_inputs.match": ("Patterns of names of files, separated by spaces.", "*_R1.fastq.gz *.fq"),
    "browse_inputs.path": (
        "A folder on the server or in a store; default: the shared ones themselves.",
        "/data/runs",
    ),
    "get_file.path": ("Where the file is in the run's outputs, from `GET .../files`.", "calls/sample.vcf"),
    "get_input_file.path": ("Where the file is in a Directory of the job.", None),
    "get_input_file.place": ("The keys that lead to the file in the job, one after the other.", ["reads", "0"]),
    "get_lineage.direction": ("Only files that went in, or that came out.", None),
    "get_source.path": ("A file of the upload; default: the main document.", "tools/align.cwl"),
    "get_zip.path": ("A folder among the outputs; default: all of them.", None),
    "list_runs.shown_state": ("Only runs of which people are told this.", None),
    "list_runs.state": ("Only runs in this state of Airflow, or `stopped` or `waiting`.", None),
    "list_runs.tag": ("Only runs with this tag.", None),
    "list_runs.text": ("Words in the id, title, tags or note of the run or in the workflow's name.", None),
    "list_workflows.search": ("A text in names, labels, and who uploaded them.", None),
    "list_workflows.sort": ("One of name, kind, steps, uploaded, by; with `-` before it the other way round.", None),
    "send_part.offset": ("Where this part begins: what has arrived until now, in bytes.", 0),
}
"""What a parameter means, and an example: of all operations, or of the one that is named before it."""


def json_body(schema: dict[str, object]) -> dict[str, object]:
    """Return what OpenAPI says of a request that must have a JSON body of this schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


class DescribedApi(FastAPI):
    """An app whose OpenAPI document has all that a generator of clients needs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(generate_unique_id_function=_operation_id, **options)

    def openapi(self) -> dict[str, object]:
        """Return the document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            describe(document)
            self.openapi_schema = document
        return self.openapi_schema


def describe(document: dict[str, Any]) -> None:
    """Add to a document what the routes have in common."""
    schemas = document.get("components", {}).get("schemas", {})
    document["components"] = {"schemas": schemas, "securitySchemes": _SECURITY_SCHEMES}
    for operation in _operations(document):
        _describe_parameters(operation)
        if "security" in operation:
            operation["security"] = [{BEARER: []}] + ([{}] if operation["operationId"] in _SIGNED else [])
    for name, schema in schemas.items():
        for key, value in schema.get("properties", {}).items():
            _name_words(value, _words(f"{name}.{key}"))
    _plain(document)


def _operation_id(route: APIRoute) -> str:
    """Return what a generated client calls the operation: the name of its function. A test freezes them."""
    return route.name


def _operations(document: dict[str, Any]) -> Iterator[dict[str, object]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _describe_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        told, example = PARAMETERS.get(f"{operation['operationId']}.{name}") or PARAMETERS.get(name) or ("", None)
        if told:
            parameter.setdefault("description", told)
        if example is not None:
            parameter.setdefault("example", example)


def _words(place: str) -> tuple[str, ...]:
    """Return the words that a property can be; nothing where it is any text."""
    if place.endswith(".shown_state") and place.startswith("Run"):
        return get_args(ShownState)
    return _STATES.get(place, ())


def _name_words(schema: dict[str, Any], words: tuple[str, ...]) -> None:
    if not words:
        return
    for choice in (schema, *schema.get("anyOf", ())):
        if choice.get("type") == "string":
            choice["enum"] = list(words)


def _plain(node: object) -> None:
    """Say in ways that OpenAPI 3.0 had, which all generators know, that something is binary or of several types."""
    if isinstance(node, list):
        for item in node:
            _plain(item)
    elif isinstance(node, dict):
        if node.get("contentMediaType") == "application/octet-stream":
            node["format"] = "binary"
        if isinstance(types := node.get("type"), list) and len(set(types) - {"null"}) > 1:
            del node["type"]
            bounds = {name: node.pop(name) for name in ("maxLength",) if name in node}
            node["anyOf"] = [{"type": name, **(bounds if name == "string" else {})} for name in types]
        for value in node.values():
            _plain(value)
