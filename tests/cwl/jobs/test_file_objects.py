"""What a File or Directory of a job says about itself: what is kept of it, what it is called, what contradicts that."""

from __future__ import annotations

from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.file_objects import basename_of, file_object, is_directive, name_problem, parts_problems


def kept(**value: Any) -> tuple[dict[str, Any], list[str]]:
    found: list[Problem] = []
    return file_object(value, found), [problem.message for problem in found]


def a_file(**more: Any) -> dict[str, Any]:
    return {"class": "File", **more}


def a_folder(**more: Any) -> dict[str, Any]:
    return {"class": "Directory", **more}


def test_a_path_is_a_location_where_there_is_none() -> None:
    assert kept(**a_file(path="in/a.txt")) == (a_file(location="in/a.txt"), [])
    assert kept(**a_file(path="other", location="a.txt")) == (a_file(location="a.txt"), [])
    assert kept(**a_folder(path="d", location=None)) == (a_folder(location="d"), [])
    assert kept(**a_file(path=None)) == (a_file(), [])


def test_of_each_class_its_own_fields_are_kept() -> None:
    given = {"location": "x", "basename": "y", "size": 3, "checksum": "sha1$0", "dirname": None, "other": 1}
    parts = {"secondaryFiles": [], "listing": [], "format": "edam:format_2572"}
    assert kept(**a_file(**given, **parts))[0] == a_file(
        location="x", basename="y", format="edam:format_2572", secondaryFiles=[]
    )
    assert kept(**a_folder(**given, **parts))[0] == a_folder(location="x", basename="y")
    assert kept(**a_folder(basename="y", listing=[]))[0] == a_folder(basename="y", listing=[])


def test_a_literal_has_no_location_and_what_has_one_no_contents() -> None:
    assert kept(**a_file(location="_:1", basename="a", contents="x"))[0] == a_file(basename="a", contents="x")
    assert kept(**a_folder(location="_:1", basename="a", listing=[]))[0] == a_folder(basename="a", listing=[])
    assert kept(**a_file(location="_:1"))[0] == a_file(location="_:1")
    assert kept(**a_file(location="a", contents="x"))[0] == a_file(location="a")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (a_file(location="a", format=1), "format is a text"),
        (a_file(basename="a", contents=1), "contents is a text"),
        (a_file(location="a", secondaryFiles={}), "secondaryFiles is a list of objects of class File or Directory"),
        (a_folder(basename="a", listing="x"), "listing is a list of objects of class File or Directory"),
        (
            a_file(basename="a", contents="x" * (64 * 1024 + 1)),
            "contents of a file may have 64 KiB; give a larger one by its location",
        ),
        (a_file(location="a", basename=""), "a basename is a text with at least one character"),
        (
            a_file(location="in/a.b.txt", nameroot="a"),
            "nameroot is 'a.b' for the basename 'a.b.txt'; leave it out",
        ),
        (a_file(location="in/a.txt", nameext="txt"), "nameext is '.txt' for the basename 'a.txt'; leave it out"),
        (a_file(location="in/a.txt", dirname="/in"), "dirname is not the folder of the location; leave it out"),
        (a_file(location="a", **{"cwl:x": 1}), "a File has no field 'cwl:x'"),
    ],
)
def test_what_contradicts_itself_is_told(value: dict[str, Any], text: str) -> None:
    assert kept(**value)[1] == [text]


@pytest.mark.parametrize(
    "value",
    [
        a_file(basename="a", contents="x" * (64 * 1024)),
        a_file(location="in/a.b.txt", nameroot="a.b", nameext=".txt", dirname="in"),
        a_file(location="file:///in/a%20b.txt", nameroot="a b", nameext=".txt", dirname="/in"),
        a_file(location="in/50%25?.txt", nameroot="50%25?", nameext=".txt", dirname="in"),
        a_file(location="a", basename=None, nameroot=None),
        a_folder(location="d.x", nameroot="anything"),
    ],
)
def test_what_follows_from_the_location_may_be_said(value: dict[str, Any]) -> None:
    assert kept(**value)[1] == []


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (a_file(basename="b", location="in/a"), "b"),
        (a_file(location="in/a"), "a"),
        (a_file(location="file:///in/a%20b"), "a b"),
        (a_file(location="in/a%20b?c#d"), "a%20b?c#d"),
        (a_file(location="https://h/in/a?x=1"), "a"),
        (a_folder(location="in/d/"), "d"),
        (a_file(location="http://[x/a"), ""),
        (a_file(contents="x"), ""),
        (a_file(location=7, basename=7), ""),
    ],
)
def test_what_a_file_is_called(value: dict[str, Any], name: str) -> None:
    assert basename_of(value) == name


def test_files_that_lie_beside_each_other_have_names_of_their_own() -> None:
    def told(value: dict[str, Any]) -> list[str]:
        return [problem.message for problem in parts_problems(value)]

    twice = [a_file(location="x/a"), a_file(location="y/a"), a_file(location="b"), a_file(contents=""), a_file(), 7]
    assert told(a_folder(listing=twice)) == ["listing: 2 files have the name 'a'"]
    assert told(a_file(location="a", secondaryFiles=twice)) == ["secondaryFiles: 3 files have the name 'a'"]
    assert told(a_folder(location="b", listing=[a_file(location="b")])) == []
    assert told(a_file(location="b", secondaryFiles="b")) == []


@pytest.mark.parametrize(
    ("name", "is_fine"),
    [("a", True), ("ä" * 127, True), ("ä" * 128, False), ("a" * 255, True), ("a" * 256, False), ("..", False)],
)
def test_names_are_as_long_as_file_systems_take_them(name: str, is_fine: bool) -> None:
    assert (name_problem(name) is None) is is_fine


@pytest.mark.parametrize(
    ("name", "means_more"), [("$x", True), ("@x", True), ("a:b", True), ("a#b", True), ("a$", False)]
)
def test_names_that_mean_more_to_runners(name: str, means_more: bool) -> None:
    assert is_directive(name) is means_more
