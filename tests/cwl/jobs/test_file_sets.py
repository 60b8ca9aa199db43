"""Which files of a folder belong together, what of them is missing, and which job they make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.stored import plan_of

from cwl_ui_plugin.cwl.jobs.file_sets import Found, WatchProblems, job_of, read_watch, run_id_of, sets_of
from cwl_ui_plugin.cwl.plan import Parameter, Plan

FILES = {"type": "array", "items": "File"}
PAIR = {"type": "record", "name": "pair", "fields": [{"name": "r1", "type": "File"}, {"name": "r2", "type": "File"}]}
INPUTS = (
    Parameter("one", "File"),
    Parameter("maybe", ["null", "File"]),
    Parameter("many", FILES),
    Parameter("pair", ["null", PAIR]),
    Parameter("name", "string"),
    Parameter("number", "int"),
    Parameter("folder", "Directory"),
)


def plan() -> Plan:
    return replace(plan_of("a"), inputs=INPUTS)


def watch_of(files: dict[str, str], **more: Any) -> Any:
    return read_watch({"folder": "/in", "files": files, **more}, plan())


def found(*paths: str) -> list[Found]:
    return [Found(path, 1, 1) for path in paths]


def path(name: str) -> dict[str, str]:
    return {"class": "File", "path": f"/in/{name}"}


def test_pairs_become_a_record_or_a_list_and_their_name_a_string() -> None:
    watch = watch_of({"pair": "{s}_R{1,2}.gz", "many": "{s}_R{1,2}.gz"}, names={"name": "s"})
    (made, later), others = sets_of(watch, found("b_R1.gz", "a_R2.gz", "a_R1.gz", "readme.txt"))
    assert (made.name, made.missing, later.name, later.missing) == ("a", (), "b", ("b_R2.gz", "b_R2.gz"))
    assert [file.path for file in others] == ["readme.txt"]
    assert job_of(watch, made) == {
        "pair": {"r1": path("a_R1.gz"), "r2": path("a_R2.gz")},
        "many": [path("a_R1.gz"), path("a_R2.gz")],
        "name": "a",
    }


def test_a_star_gives_all_there_are_and_the_marker_says_when() -> None:
    watch = watch_of({"many": "{s}/*.gz"}, marker="{s}/done")
    (made,), _others = sets_of(watch, found("x/2.gz", "x/1.gz"))
    assert made.missing == ("x/done",)
    (made,), _others = sets_of(watch, found("x/2.gz", "x/1.gz", "x/done"))
    assert made.missing == ()
    assert job_of(watch, made) == {"many": [path("x/1.gz"), path("x/2.gz")]}
    (only_marker,), _others = sets_of(watch, found("y/done"))
    assert only_marker.missing == ("y/*.gz",)


def test_a_file_without_groups_is_of_every_set() -> None:
    watch = watch_of({"one": "{s}.bam", "maybe": "common.bed"})
    sets, _others = sets_of(watch, found("common.bed", "a.bam", "b.bam"))
    assert [job_of(watch, made) for made in sets] == [
        {"one": path("a.bam"), "maybe": path("common.bed")},
        {"one": path("b.bam"), "maybe": path("common.bed")},
    ]
    sets, _others = sets_of(watch, found("a.bam"))
    assert (sets[0].missing, job_of(watch, sets[0])) == ((), {"one": path("a.bam")})


def test_a_folder_without_groups_is_one_set() -> None:
    watch = watch_of({"one": "data.csv", "many": "{a,b}.txt"})
    (made,), _others = sets_of(watch, found("data.csv", "a.txt"))
    assert made.missing == ("b.txt",)
    assert made.name == "data.csv"


def test_a_set_has_always_the_same_run() -> None:
    watch = watch_of({"pair": "{s}_R{1,2}.gz"})
    name = {run_id_of(watch, sets_of(watch, files)[0][0]) for files in (found("ä b_R1.gz", "ä b_R2.gz"),) * 2}
    (run_id,) = name
    assert run_id.startswith("folder-_b-")
    changed = [Found("ä b_R1.gz", 5, 7), Found("ä b_R2.gz", 1, 1)]
    assert run_id_of(watch, sets_of(watch, changed)[0][0]) == run_id
    elsewhere = replace(watch, folder=watch.folder / "other")
    assert run_id_of(elsewhere, sets_of(watch, changed)[0][0]) != run_id


def test_the_name_of_a_run_has_nothing_that_airflow_takes_for_a_way_up() -> None:
    watch = watch_of({"one": "{s}.gz"})
    (made,), _others = sets_of(watch, found("a...b.gz"))
    assert run_id_of(watch, made).startswith("folder-a_b-")


def test_one_file_more_for_a_star_is_no_other_set() -> None:
    watch = watch_of({"many": "{s}_*.gz"})
    first, second = (sets_of(watch, found(*names))[0][0] for names in (("a_1.gz",), ("a_1.gz", "a_2.gz")))
    assert run_id_of(watch, first) == run_id_of(watch, second)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"files": {}}, "At least one input"),
        ({"files": {"nothing": "{s}.gz"}}, "nothing: .*no such input"),
        ({"files": {"number": "{s}.gz"}}, "number: It is int; a pattern is for a File"),
        ({"files": {"folder": "{s}"}}, "folder: It is Directory"),
        ({"files": {"one": "{s}_{1,2}.gz"}}, "one: .*2 files, but the input is File"),
        ({"files": {"one": "*.gz"}}, "any number of files"),
        ({"files": {"pair": "{s}_{1,2,3}.gz"}}, "3 files, but the input is record"),
        ({"files": {"one": "{s"}}, "one: Each '{' needs"),
        ({"files": {"one": "{s}.gz", "maybe": "{t}.gz"}}, "maybe: Its groups are t, those of another pattern s"),
        ({"files": {"one": "{s}.gz"}, "names": {"name": "t"}}, r"name: No pattern has the group \{t\}; there is \{s\}"),
        ({"files": {"one": "{s}.gz"}, "names": {"number": "s"}}, "number: It is int; a group is a string"),
        ({"files": {"one": "{s}.gz"}, "marker": "../x"}, "marker: "),
        ({"files": {"one": "{s}.gz"}, "settle": 0}, "settle time"),
        ({"files": {"one": "{s}.gz"}, "settle": True}, "settle time"),
        ({"files": {"one": "{s}.gz"}, "folder": "in"}, "absolute path"),
        ({"files": {"one": 3}}, "object of texts"),
        ({"files": ["one"]}, "object of texts"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(WatchProblems, match=words):
        read_watch({"folder": "/in", **settings}, plan())
