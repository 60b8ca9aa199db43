"""The OpenAPI documents say what the API does: schemathesis calls every operation, with data that fits and data that
does not, and finds no error of the server and no answer that the document does not have."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.fuzzed import strategies
from support.stored import set_run

CHECKS = [
    negative_data_rejection,
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
bounded = settings(
    max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """No upload here is CWL: it need not take seconds to say so."""
    from cwl_ui_plugin.cwl.errors import DocumentError
    from cwl_ui_plugin.services.workflows import uploads

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise DocumentError("That is no CWL.")

    monkeypatch.setattr(uploads, "compile_in_process", refuse)


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """RSA keys take a third of a second each: one is enough."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    monkeypatch.setattr(rsa, "generate_private_key", functools.cache(rsa.generate_private_key))


@pytest.fixture
def rest_document(site: Any, folders: Path, quick_compiler: None, quick_keys: None) -> Any:
    return schemathesis.openapi.from_asgi("/cwl/api/v1/openapi.json", site)


@pytest.fixture
def old_document(site: Any, folders: Path) -> Any:
    return schemathesis.openapi.from_asgi("/api/experimental/openapi.json", site)


def test_the_rest_api_is_what_its_document_says(
    rest_document: Any, token: Callable[[str], str], workflow: str, run_id: str, output: Path
) -> None:
    known = {"dag_id": workflow, "run_id": run_id, "path": output.name}
    set_run(workflow, run_id, "success")  # else the workflow could not be deleted
    check_all(rest_document, token("admin"), known, least=40)


def test_the_endpoint_of_the_predecessors_is_what_its_document_says(
    old_document: Any, token: Callable[[str], str], workflow: str, run_id: str
) -> None:
    check_all(old_document, token("user"), {"dag_id": workflow, "run_id": run_id}, least=5)


def check_all(document: Any, token: str, known: dict[str, str], *, least: int) -> None:
    document.config.generation.update(with_security_parameters=False)  # each brings a login: none is wrong without
    found = list(strategies(document))
    assert len(found) >= least
    guarded: set[str] = set()
    for strategy in found:

        @bounded
        @given(case=strategy)
        def check(case: Any) -> None:
            call(case, token, {}, guarded)
            call(case, token, known, guarded)

        with contextlib.suppress(Unsatisfiable):  # nothing that such an operation takes can be wrong
            check()


def call(case: Any, token: str, known: dict[str, str], guarded: set[str]) -> None:
    """Call the operation and check the answer; ``known`` are names of what is there.

    Once an operation has answered well, and nobody else with the same, it is one of those that are ``guarded``: that is
    not asked again.
    """
    parameters = case.path_parameters or {}
    if known and not set(parameters) & set(known):
        return
    if known and case.operation.path.endswith("/restore"):
        return  # the workflow has been deleted by then, and has no compiled documents: that would be an error of others
    if any("\n" in unquote(str(value)) for value in parameters.values()):
        return  # no address with a line break gets past Starlette's mounts, so Airflow answers, not we
    parameters.update({name: value for name, value in known.items() if name in parameters})
    label = case.operation.label
    checks = CHECKS if label in guarded else [ignored_auth, *CHECKS]
    answer = case.call_and_validate(checks=checks, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code < 300 and case.meta.generation.mode == GenerationMode.POSITIVE:
        guarded.add(label)  # no check asks with a wrong address who else is answered
