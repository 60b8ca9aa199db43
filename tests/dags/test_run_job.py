"""The one rule for the job of a run: what wins over what, files by their paths, and keys that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.run_job import MEANINGLESS, given, job_of, run_job

RECORD = {
    "type": "record",
    "name": "sample",
    "fields": [{"name": "reads", "type": "File"}, {"name": "name", "type": "string"}],
}
OTHER_RECORD = {"type": "record", "name": "folder", "fields": [{"name": "folder", "type": "Directory"}]}
INPUTS = (
    Parameter("reads", "File"),
    Parameter("threads", "int", has_default=True, default=1),
    Parameter("note", ["null", "string"]),
)


def file(location: str, kind: str = "File") -> dict[str, str]:
    return {"class": kind, "location": location}


def problems_of(conf: dict[str, Any], inputs: tuple[Parameter, ...] = INPUTS, **how: Any) -> list[str]:
    with pytest.raises(JobError) as failure:
        run_job(inputs, conf, **how)
    assert failure.value.message == MEANINGLESS
    return [str(problem) for problem in failure.value.problems]


def test_the_job_wins_over_flat_keys_and_these_over_the_template() -> None:
    template = {"reads": "t.fastq", "threads": 2, "note": "template"}
    assert run_job(INPUTS, None, template=template) == {"reads": file("t.fastq"), "threads": 2, "note": "template"}
    assert run_job(INPUTS, {"threads": 3, "note": "flat"}, template=template)["threads"] == 3
    conf = {"threads": 3, "note": "flat", "job": {"threads": 4}}
    assert run_job(INPUTS, conf, template=template) == {"reads": file("t.fastq"), "threads": 4, "note": "flat"}


def test_null_as_a_flat_key_means_not_given_and_in_the_job_it_is_a_value() -> None:
    template = {"threads": 2, "note": "template"}
    assert run_job(INPUTS, {"reads": None, "threads": None, "note": None}, template=template) == template
    assert run_job(INPUTS, {"note": "flat", "job": {"note": None}}) == {"note": None}


@pytest.mark.parametrize("conf", [None, {}, {"job": {}}, {"check_payload": "a.b.c", "cwl_grant": "d.e.f"}])
def test_what_is_no_input_is_no_part_of_the_job(conf: Any) -> None:
    assert run_job(INPUTS, conf) == {}


def test_the_folders_of_a_run_may_stand_beside_the_inputs() -> None:
    assert run_job(INPUTS, {"output_folder": "here", "threads": 2}) == {"output_folder": "here", "threads": 2}
    assert given({"tmp_folder": "a", "job": {"tmp_folder": "b"}}) == {"tmp_folder": "b"}


@pytest.mark.parametrize("job", [None, [], "x", 1])
def test_a_job_is_a_mapping(job: Any) -> None:
    with pytest.raises(JobError, match="The conf must be"):
        run_job(INPUTS, {"job": job})
    assert job_of(INPUTS, {"job": job, "threads": 2}) == {"threads": 2}


def test_keys_that_mean_nothing_are_refused_with_what_may_be_meant() -> None:
    assert problems_of({"thread": 1, "JOB": {}, "reads": "a"}) == [
        "thread: the workflow has no such input; did you mean 'threads' or 'reads'?",
        "JOB: the workflow has no such input; it has reads, threads, note",
    ]
    assert problems_of({"jobs": {}}) == ["jobs: the workflow has no such input; did you mean 'job'?"]
    assert problems_of({"x": None}, ()) == ["x: the workflow has no such input; it has none"]


def test_problems_are_bounded() -> None:
    many = tuple(Parameter(f"input{index}", "int") for index in range(300))
    problems = problems_of({f"key{index}": 1 for index in range(1000)} | {"k" * 10_000: 1}, many)
    assert len(problems) == 101
    assert problems[-1] == "and 901 more keys"
    assert max(map(len, problems)) < 500


def test_params_of_the_author_of_a_dag_file_are_no_inputs_and_mean_something() -> None:
    assert run_job(INPUTS, {"site": "here", "threads": 2}, others=["site"]) == {"threads": 2}
    assert run_job(INPUTS, {"output_folder": "here"}, others=["output_folder"]) == {"output_folder": "here"}


def test_an_input_with_a_name_that_a_conf_uses_is_given_in_the_job() -> None:
    inputs = (Parameter("job", "string"), Parameter("check_payload", "string"))
    assert run_job(inputs, {"job": {"job": "a", "check_payload": "b"}}) == {"job": "a", "check_payload": "b"}
    assert run_job(inputs, {"job": {}, "check_payload": "a.b.c"}) == {}


@pytest.mark.parametrize(
    ("declared", "value", "made"),
    [
        ("File", "a.txt", file("a.txt")),
        ("Directory", "a", file("a", "Directory")),
        (["null", "File"], "a.txt", file("a.txt")),
        ("File", {"class": "File", "path": "a.txt"}, {"class": "File", "path": "a.txt"}),
        ("File", "", file("")),
        (["File", "Directory"], "a", file("a")),
        (["File", "Directory"], "a/", file("a/", "Directory")),
        ({"type": "array", "items": "File"}, ["a", "", file("b")], [file("a"), file("b")]),
        ({"type": "array", "items": "string"}, ["a", ""], ["a", ""]),
        (["File", {"type": "array", "items": "File"}], ["a"], [file("a")]),
        (["null", ["File", {"type": "array", "items": ["null", "File"]}]], [None, "a"], [None, file("a")]),
        (["string", "File"], "a.txt", "a.txt"),
        (["File", {"type": "enum", "symbols": ["auto"]}], "auto", "auto"),
        (["File", {"type": "enum", "symbols": ["auto"]}], "a.txt", file("a.txt")),
        ("Any", "a.txt", "a.txt"),
        (RECORD, {"reads": "a", "name": "b"}, {"reads": file("a"), "name": "b"}),
        ([RECORD, OTHER_RECORD], {"folder": "a"}, {"folder": file("a", "Directory")}),
        ([RECORD, OTHER_RECORD], {"other": "a"}, {"other": "a"}),
        ("int", "a", "a"),
        ("File", ["a"], ["a"]),
    ],
)
def test_a_path_becomes_a_file_where_nothing_else_can_be_meant(declared: Any, value: Any, made: Any) -> None:
    inputs = (Parameter("x", declared),)
    assert run_job(inputs, {"x": value}) == job_of(inputs, {"x": value}) == {"x": made}
    assert run_job(inputs, {"job": {"x": value}}) == {"x": value}, "a job has files as CWL has them"
    assert given({"x": value}) == {"x": value}


def test_a_conf_of_a_run_is_not_changed() -> None:
    conf = {"reads": "a", "job": {"threads": 2}}
    run_job(INPUTS, conf)
    assert conf == {"reads": "a", "job": {"threads": 2}}
