"""A value is of its CWL type or not, what is wrong with it is said in CWL's words, and where its files may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.types import Checker, FileRules, fits, is_remote, type_text
from cwl_ui_plugin.fetching.hosts import HostRules

READS = {"type": "record", "fields": [{"name": "lane", "type": "int"}, {"name": "note", "type": ["null", "string"]}]}
MODE = {"type": "enum", "symbols": ["fast", "exact"]}


@pytest.fixture
def rules(tmp_path: Path) -> FileRules:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/a.txt").write_text("a")
    return FileRules(base=tmp_path / "in", roots=(tmp_path / "in",))


def checked(rules: FileRules, declared: Any, value: Any) -> tuple[Any, list[Problem]]:
    found: list[Problem] = []
    return Checker(rules).check(declared, value, found), found


def told(rules: FileRules, declared: Any, value: Any) -> list[tuple[str | None, str]]:
    return [(problem.input, problem.message) for problem in checked(rules, declared, value)[1]]


@pytest.mark.parametrize(
    ("declared", "inside", "outside"),
    [
        ("null", [None], [0, "", False]),
        ("boolean", [True, False], [0, "true", None]),
        ("string", ["", "x"], [1, None, ["x"]]),
        ("int", [0, 2**31 - 1, -(2**31)], [2**31, -(2**31) - 1, 1.0, True, "1"]),
        ("long", [2**63 - 1, -(2**63)], [2**63, -(2**63) - 1, 1.0, False]),
        ("float", [1, 0.5, -1e300], [float("inf"), float("nan"), 10**400, True, "1.0", None]),
        ("double", [1, 0.5], [float("-inf"), -(10**400), False]),
        ("Any", [0, "", [], {}], [None]),
        (MODE, ["fast"], ["slow", None, ["fast"]]),
        ({"type": "array", "items": "int"}, [[], [1, 2]], [1, [1, "2"], {"0": 1}]),
        (READS, [{"lane": 1}, {"lane": 1, "note": "x"}], [{}, {"lane": "1"}, {"lane": 1, "more": 2}, [1]]),
        (["null", "int", "string"], [None, 1, "x"], [1.5, True, []]),
    ],
)
def test_values_are_of_a_type_or_not(rules: FileRules, declared: Any, inside: list[Any], outside: list[Any]) -> None:
    for value in inside:
        assert fits(declared, value)
        assert checked(rules, declared, value) == (value, [])
    for value in outside:
        assert not fits(declared, value)
        assert checked(rules, declared, value)[1]


def test_files_fit_by_their_class_wherever_they_are() -> None:
    assert fits("File", {"class": "File", "location": "/nowhere"})
    assert not fits("File", {"class": "Directory", "location": "/nowhere"})
    assert not fits("Directory", "/nowhere")


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("File", "File"),
        (["null", "int"], "int?"),
        (["null", "int", "string"], "int or string or null"),
        (["int", "string"], "int or string"),
        (["null"], "null"),
        ({"type": "array", "items": "string"}, "string[]"),
        ({"type": "array", "items": ["int", "string"]}, "(int or string)[]"),
        ({"type": "array", "items": MODE}, "(one of fast, exact)[]"),
        (READS, "record with lane: int, note: string?"),
    ],
)
def test_types_are_written_as_people_write_them(declared: Any, text: str) -> None:
    assert type_text(declared) == text


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ("int", None, "expected int, but got null"),
        ("int", True, "expected int, but got the boolean true"),
        ("int", 1.5, "expected int, but got the number 1.5"),
        ("int", "x" * 100, f"expected int, but got the text '{'x' * 79}"),
        ("int", [1], "expected int, but got a list"),
        ("File", "a.txt", "expected File, but got the text 'a.txt'"),
        ("string", {}, "expected string, but got a mapping"),
        ("Any", None, "expected a value of any type, but got null"),
        ("Any", float("nan"), "expected Any, but got the number nan"),
        ("string", "a\0b", "the text has a null character or half of a surrogate pair in it"),
        ("Any", "a\0b", "the text has a null character or half of a surrogate pair in it"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_cwl(rules: FileRules, declared: Any, value: Any, text: str) -> None:
    assert told(rules, declared, value) == [(None, text)]


def test_of_several_types_the_one_that_was_meant_says_what_is_wrong(rules: FileRules) -> None:
    either = ["null", {"type": "array", "items": "int"}, READS, "File"]
    assert told(rules, either, ["x"]) == [("[0]", "expected int, but got the text 'x'")]
    assert told(rules, either, {"lane": 1, "note": 2})[0][0] == ".note"
    assert "there is no file" in told(rules, ["null", "File"], {"class": "File", "location": "gone"})[0][1]
    assert told(rules, either, 1)[0][1].startswith("expected int[] or record")


def test_a_value_of_any_type_keeps_what_is_null_in_it_and_says_where_files_are_wrong(rules: FileRules) -> None:
    value = {"a": None, "b": [None, {"class": "File", "location": "a.txt"}], "c": {"class": "Directory"}}
    found, problems = checked(rules, "Any", value)
    assert found["a"] is None
    assert found["b"] == [None, {"class": "File", "location": (rules.base / "a.txt").as_uri()}]
    assert len(problems) == 1
    assert "a Directory needs a location" in problems[0].message


def test_a_field_that_a_record_lacks_is_named_and_so_are_those_that_it_has(rules: FileRules) -> None:
    assert told(rules, READS, {"lane": 1, "mroe": 2}) == [(None, "the record has no field 'mroe'; it has lane, note")]
    assert told(rules, READS, {}) == [(".lane", "expected int, but got null")]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"class": "File", "location": "sub"}, "sub is a folder, not a File"),
        ({"class": "File", "location": "gone"}, "there is no file gone"),
        ({"class": "File", "location": ""}, "choose a file: its location is empty"),
        ({"class": "File"}, 'a File needs a location, for instance {"class": "File", "location": "x"}'),
        ({"class": "Directory", "location": "a.txt"}, "a.txt is a file, not a Directory"),
        ({"class": "Directory", "location": "gone"}, "there is no directory gone"),
        ({"class": "File", "location": "file://h/a"}, "file://h/a: files are named by a path or by file:///"),
        ({"class": "File", "location": "file:///a#b"}, "file:///a#b: in file:///, write ? as %3F and # as %23"),
        ({"class": "File", "location": "http://[x"}, "http://[x is no address"),
        (
            {"class": "Directory", "location": "http://h/d"},
            "http://h/d: only files are fetched from the network; name them in a listing",
        ),
    ],
)
def test_what_is_wrong_with_a_place_is_said_with_the_place(rules: FileRules, item: dict[str, str], text: str) -> None:
    assert told(rules, item["class"], item) == [(None, text)]


def test_a_place_may_be_written_as_an_address(rules: FileRules) -> None:
    address = (rules.base / "a.txt").as_uri()
    for location in ("a.txt", str(rules.base / "a.txt"), address, address.replace("file://", "file://localhost")):
        assert checked(rules, "File", {"class": "File", "location": location}) == (
            {"class": "File", "location": address},
            [],
        )


def test_a_file_that_is_awaited_need_not_be_there_but_must_be_where_files_may_be(rules: FileRules) -> None:
    late, outside = rules.base / "late.txt", rules.base.parent / "late.txt"
    awaiting = FileRules(base=rules.base, roots=rules.roots, awaited=frozenset({late, outside}))
    assert told(awaiting, "File", {"class": "File", "location": "late.txt"}) == []
    assert "input_roots" in told(awaiting, "File", {"class": "File", "location": str(outside)})[0][1]
    assert "there is no file" in told(awaiting, "File", {"class": "File", "location": "later.txt"})[0][1]


def test_a_folder_within_a_root_may_be_closed_and_one_within_that_open_again(rules: FileRules) -> None:
    (rules.base / "sub/mine").mkdir()
    of_others = FileRules(
        base=rules.base, roots=(rules.base, rules.base / "sub/mine"), closed=(rules.base / "sub",), not_allowed="no"
    )
    assert told(of_others, "Directory", {"class": "Directory", "location": "sub"}) == [(None, "sub no")]
    assert told(of_others, "Directory", {"class": "Directory", "location": "sub/mine"}) == []
    assert "holds folders" in told(of_others, "Directory", {"class": "Directory", "location": "."})[0][1]
    assert told(of_others, "File", {"class": "File", "location": "a.txt"}) == []
    assert of_others.root_of(rules.base / "sub/mine/x") == rules.base / "sub/mine"
    assert of_others.root_of(rules.base / "sub/x") is None
    assert of_others.root_of(rules.base.parent) is None


def test_a_device_is_neither_a_file_nor_a_folder(rules: FileRules) -> None:
    os.mkfifo(rules.base / "pipe")
    for kind in ("File", "Directory"):
        assert "neither a file nor a folder" in told(rules, kind, {"class": kind, "location": "pipe"})[0][1]


def test_a_loop_of_links_can_not_be_read(rules: FileRules) -> None:
    (rules.base / "loop").symlink_to("loop")
    assert told(rules, "File", {"class": "File", "location": "loop"})


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"size": -1}, "the size of a file is a number of bytes"),
        ({"size": True}, "the size of a file is a number of bytes"),
        ({"size": 1.5}, "the size of a file is a number of bytes"),
        ({"size": 0}, ""),
        ({"size": None}, ""),
    ],
)
def test_the_size_of_a_file_that_is_fetched(rules: FileRules, more: dict[str, Any], text: str) -> None:
    fetching = FileRules(base=rules.base, roots=rules.roots, hosts=HostRules.of(["x.org"]))
    given = {"class": "File", "location": "HTTP://x.org/a", **more}
    found, problems = checked(fetching, "File", given)
    assert [problem.message for problem in problems] == ([text] if text else [])
    assert found["location"] == "http://x.org/a"
    assert found.get("size") == more["size"]


@pytest.mark.parametrize("location", ["http://h/a", "HTTPS://h/a", "drs://h/a", "s3://bucket/key"])
def test_addresses_on_the_network(location: str) -> None:
    assert is_remote(location)


@pytest.mark.parametrize("location", [None, 7, "a", "/http://h", "file:///a"])
def test_what_is_no_address_on_the_network(location: object) -> None:
    assert not is_remote(location)
