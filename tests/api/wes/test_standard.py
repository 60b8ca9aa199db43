"""The official OpenAPI document of WES 1.1: schemathesis finds no answer that it does not have, nor an error of ours.

``ga4gh-wes-1.1.0.yml`` is GA4GH's, under the Apache licence beside it. The part that it has at another address, GA4GH's
service-info 1.0, stands here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.fuzzed import strategies

WES = "/ga4gh/wes/v1"
DOCUMENT = Path(__file__).with_name("ga4gh-wes-1.1.0.yml")
TEXT = {"type": "string"}
SERVICE = {
    "type": "object",
    "required": ["id", "name", "type", "organization", "version"],
    "properties": {
        **dict.fromkeys(("id", "name", "description", "contactUrl", "documentationUrl", "version"), TEXT),
        "type": {
            "type": "object",
            "required": ["group", "artifact", "version"],
            "properties": dict.fromkeys(("group", "artifact", "version"), TEXT),
        },
        "organization": {
            "type": "object",
            "required": ["name", "url"],
            "properties": {"name": TEXT, "url": {**TEXT, "format": "uri"}},
        },
    },
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
bounded = settings(
    max_examples=3, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def official() -> dict[str, Any]:
    """The document for this address, with the part that is elsewhere, and an answer to wrong pages of tasks."""
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    paths = document["paths"]
    paths["/runs/{run_id}/tasks"]["get"]["responses"][400] = paths["/runs"]["get"]["responses"][400]
    document["servers"] = [{"url": WES}]
    schemas = document["components"]["schemas"]
    schemas["Service"] = SERVICE
    schemas["ServiceInfo"]["allOf"][0] = {"$ref": "#/components/schemas/Service"}
    return document


@pytest.fixture
def document(site: Any, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from cwl_ui_plugin.cwl.errors import DocumentError
    from cwl_ui_plugin.services.workflows import uploads

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise DocumentError("That is no CWL.")

    monkeypatch.setattr(uploads, "compile_in_process", refuse)  # it takes seconds to say so
    root = FastAPI(openapi_url=None)
    root.get("/official.json")(official)
    root.mount("/", site)
    return schemathesis.openapi.from_asgi("/official.json", root)


def test_every_operation_answers_as_the_standard_has_it(
    document: Any, token: Callable[[str], str], workflow: str, run_id: str
) -> None:
    from cwl_ui_plugin.services.wes.run_ids import run_id_of

    known = {"run_id": run_id_of(workflow, run_id), "task_id": "say"}
    for strategy in strategies(document):
        check(strategy, token("admin"), known)


def test_whoever_is_not_logged_in_is_answered_as_the_standard_has_it(document: Any) -> None:
    for found in document.get_all_operations():
        check(found.ok().as_strategy(generation_mode=GenerationMode.POSITIVE), None, {})


def check(strategy: Any, token: str | None, known: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    @bounded
    @given(case=strategy)
    def call(case: Any) -> None:
        for names in ({}, known) if set(known) & set(case.path_parameters or {}) else ({},):
            parameters = case.path_parameters or {}
            parameters.update({name: value for name, value in names.items() if name in parameters})
            if not any(set(str(value)) & set("\n/%") for value in parameters.values()):  # no route has such an address
                case.call_and_validate(checks=CHECKS, headers=headers)

    with contextlib.suppress(Unsatisfiable):  # nothing that such an operation takes can be wrong
        call()
