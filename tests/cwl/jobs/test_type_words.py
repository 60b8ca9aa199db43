"""Types in plain words."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.cwl.jobs.type_words import type_words

ENUM = {"type": "enum", "symbols": ["a", "b"]}
RECORD = {"type": "record", "fields": [{"name": "reads", "type": "File"}, {"name": "id", "type": "string"}]}


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("File", "file"),
        (["null", "int"], "whole number"),
        (["null", "int", "long"], "whole number"),
        (["File", "string"], "file or text"),
        ({"type": "array", "items": "File"}, "list of files"),
        ({"type": "array", "items": ["null", "double"]}, "list of numbers"),
        ({"type": "array", "items": {"type": "array", "items": "string"}}, "list of lists of texts"),
        ({"type": "array", "items": RECORD}, "list of groups of reads, id"),
        (["null", ENUM], "one of a, b"),
        ({"type": "enum", "symbols": list("abcdefgh")}, "one of a, b, c, d, e, f and 2 more"),
        ({"type": "array", "items": ENUM}, "list of choices of a, b"),
        ("null", "nothing"),
        ([], "nothing"),
        ("Any", "anything"),
        ({"type": "File"}, "file"),
    ],
)
def test_a_type_is_said_in_plain_words(declared: object, words: str) -> None:
    assert type_words(declared) == words
