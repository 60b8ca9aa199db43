"""Outputs of one workflow as inputs of another."""

from __future__ import annotations

from typing import Any

import pytest

from cwl_ui_plugin.cwl.jobs.type_links import ALL, NEWEST, link


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def enum(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "symbols": list(symbols)}


def record(**fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


@pytest.mark.parametrize(
    ("output", "declared", "expected"),
    [
        ("File", "File", NEWEST),
        ("File", ["null", "File"], NEWEST),
        (["null", "File"], "File", NEWEST),
        ("File", "string", None),
        ("File", "Directory", None),
        ("File", "Any", NEWEST),
        ("File", array("File"), ALL),
        (["null", "File"], array("File"), ALL),
        (array("File"), array("File"), NEWEST),
        (array("File"), array(array("File")), ALL),
        (array("File"), "File", None),
        (array(["null", "File"]), array("File"), None),
        (array(["null", "File"]), array(["null", "File"]), NEWEST),
        (["File", "string"], "File", None),
        ("File", ["string", "File"], NEWEST),
        ("File", ["File", array("File")], NEWEST),
        ("int", "long", NEWEST),
        ("long", "int", None),
        ("null", "File", None),
        (enum("a"), enum("a", "b"), NEWEST),
        (enum("a", "c"), enum("a", "b"), None),
        (enum("a", "b"), enum("b", "a"), NEWEST),
        (enum("a"), "string", None),
        (record(x="File"), record(x="File", y=["null", "int"]), NEWEST),
        (record(x="File"), record(x="File"), NEWEST),
        (record(x="File"), record(x="File", y="int"), None),
        (record(x="File", z="int"), record(x="File"), None),
        (record(x="File"), array("File"), None),
    ],
)
def test_what_an_input_is_given_of_an_output(output: Any, declared: Any, expected: str | None) -> None:
    assert link(output, declared) == expected
