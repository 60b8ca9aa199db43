"""Values between tasks are JSON; integers of any size survive."""

from __future__ import annotations

import json

import msgspec
import pytest

from cwl_ui_plugin.dags import xcom_values
from cwl_ui_plugin.dags.xcom_values import packed, unpacked


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 42 * 10**41, {"a": [2**70, {"b": 1}]}, None, 1.5, "x", True])
def test_a_value_survives_airflows_transport(value: object) -> None:
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(packed(value)))
    assert unpacked(sent) == value


@pytest.mark.parametrize("inner", ["abc", "5", "9" * 5000, [1], ["5"], [], None, 2**70, {"cwl:integer": "7"}])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_record_that_looks_like_such_an_integer_stays_one(inner: object, is_nested: bool) -> None:
    value = {"a": [{"cwl:integer": inner}]} if is_nested else {"cwl:integer": inner}
    assert unpacked(json.loads(json.dumps(packed(value)))) == value


@pytest.mark.parametrize("inner", ["abc", "9" * 5000, "٣", [], [1, 2], None, 5])
def test_what_others_have_written_in_that_form_is_no_error(inner: object) -> None:
    assert unpacked({"cwl:integer": inner}) == {"cwl:integer": inner}


def test_the_size_of_a_value_is_told_without_a_text_of_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    file = {"class": "File", "location": "file:///outputs/a.txt", "basename": "a.txt", "size": 3}
    value = {"#main/files": [[file] * 500, "success"], "#main/text": ["é" * 100, "success"], "n": [None, "skipped"]}
    longest = 0
    dumps = json.dumps

    def noting(part: object) -> str:
        nonlocal longest
        text = dumps(part)
        longest = max(longest, len(text))
        return text

    monkeypatch.setattr(xcom_values.json, "dumps", noting)
    size = xcom_values.json_size(value)
    assert 0.9 < size / len(dumps(value)) < 1.1
    assert longest < 1000
