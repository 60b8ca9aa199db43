"""The OpenAPI document as generators of clients see it: names that stay, and nothing that is left unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FROZEN = Path(__file__).parent / "operations.txt"
"""What generated clients call each operation: a line may be added, but none changed or removed."""
OPEN = ("get_health", "get_service")
METHODS = ("get", "put", "post", "patch", "delete")


@pytest.fixture(scope="module")
def document(airflow_home: Path) -> dict[str, Any]:
    from cwl_ui_plugin.api import rest

    return rest.app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method.upper()} {path}", operation


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    found = {f"{operation['operationId']} {call}" for call, operation in operations(document)}
    frozen = FROZEN.read_text().splitlines()
    assert frozen == sorted(frozen)
    assert sorted(found) == frozen, "code that was generated from an earlier document would break"


def test_no_two_operations_have_one_name(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _call, operation in operations(document)]
    assert len(set(names)) == len(names) > 60


def test_each_parameter_says_what_it_means(document: dict[str, Any]) -> None:
    silent = [
        f"{operation['operationId']}.{parameter['name']}"
        for _call, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert silent == []


def test_nothing_is_said_of_parameters_that_are_not_there(document: dict[str, Any]) -> None:
    from cwl_ui_plugin.api.openapi import PARAMETERS

    there = {
        name
        for _call, operation in operations(document)
        for parameter in operation.get("parameters", ())
        for name in (parameter["name"], f"{operation['operationId']}.{parameter['name']}")
    }
    assert set(PARAMETERS) - there == set()


def test_each_operation_says_what_it_answers_and_how_it_fails(document: dict[str, Any]) -> None:
    for call, operation in operations(document):
        answers = operation["responses"]
        assert [status for status in answers if status.startswith("4")], call
        for status, answer in answers.items():
            content = answer.get("content", {})
            assert content or status == "204", (call, status)
            assert all(set(kind.get("schema", ())) - {"title"} for kind in content.values()), (call, status)
            if status.startswith("4"):
                assert "Failure" in str(content["application/json"]["schema"]), (call, status)


def test_each_operation_that_is_not_open_says_how_to_log_in(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for call, operation in operations(document):
        logins = operation.get("security", [])
        expected = [] if operation["operationId"] in OPEN else [{"bearer": []}]
        assert [login for login in logins if login] == expected, call
        assert ({} in logins) == (operation["operationId"] == "trigger_run"), "only a signature is as good as a login"


def test_files_are_binary_in_both_directions(document: dict[str, Any]) -> None:
    found = dict(operations(document))
    files = document["components"]["schemas"]["Body_upload_workflow"]["properties"]["files"]
    assert files["items"]["format"] == "binary"
    sent = found["PUT /api/v1/inputs/parts/{upload_id}"]["requestBody"]["content"]["application/octet-stream"]
    answered = found["GET /api/v1/workflows/{dag_id}/runs/{run_id}/zip"]["responses"]["200"]["content"]
    assert sent["schema"] == answered["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}


@pytest.mark.parametrize("place", ["Run.state", "RunSummary.shown_state", "Upload.state", "Compilation.state"])
def test_states_are_named_words(document: dict[str, Any], place: str) -> None:
    schema, _, key = place.partition(".")
    assert "failed" in document["components"]["schemas"][schema]["properties"][key]["enum"]


def test_no_name_of_a_schema_is_one_of_python(document: dict[str, Any]) -> None:
    assert [name for name in document["components"]["schemas"] if "__" in name] == []
