"""Jobs: read as YAML 1.2 or JSON, checked input by input, proposed with every input in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.checks import FileRules, check_job, job_template, job_text, read_job
from cwl_ui_plugin.cwl.plan import Parameter, Plan

READS = {
    "type": "record",
    "name": "reads",
    "fields": [{"name": "lane", "type": "int"}, {"name": "file", "type": "File"}],
}
INPUTS = (
    Parameter(id="text", type="string", label="The text", doc="Anything."),
    Parameter(id="count", type="int", has_default=True, default=3),
    Parameter(id="file", type=["null", "File"]),
    Parameter(id="files", type=["null", {"type": "array", "items": "File"}]),
    Parameter(id="mode", type=["null", {"type": "enum", "symbols": ["fast", "exact"]}]),
    Parameter(id="reads", type=["null", READS]),
)


def plan_with(inputs: tuple[Parameter, ...] = INPUTS) -> Plan:
    return Plan(
        kind="Workflow", cwl_version="v1.2", main="a.cwl", label=None, doc=None, inputs=inputs, outputs=(), steps=()
    )


@pytest.fixture
def rules(tmp_path: Path) -> FileRules:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("s")
    (tmp_path / "in/link.txt").symlink_to(tmp_path / "secret.txt")
    return FileRules(base=tmp_path / "in", roots=(tmp_path / "in",), allow_network=False)


def problems(rules: FileRules, job: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(JobError) as caught:
        check_job(plan_with(), job, rules)
    return {str(problem.input): problem.message for problem in caught.value.problems}


def test_a_job_that_fits_gets_absolute_locations(rules: FileRules) -> None:
    job = check_job(plan_with(), {"text": "x", "file": {"class": "File", "location": "a.txt"}}, rules)
    assert job["file"]["location"] == (rules.base / "a.txt").as_uri()


def test_each_input_that_is_wrong_is_named_once(rules: FileRules) -> None:
    found = problems(rules, {"count": "many", "mode": "slow", "fiel": 1, "of another workflow": 2})
    assert set(found) == {"text", "count", "mode", "fiel"}
    assert "'file'" in found["fiel"]
    assert "fast" in found["mode"]


def test_what_is_wrong_inside_an_input_is_named_by_its_place(rules: FileRules) -> None:
    reads = {"lane": "one", "file": {"class": "File", "location": "gone.txt"}}
    found = problems(rules, {"text": "x", "reads": reads, "files": [{"class": "File", "location": "gone.txt"}]})
    assert set(found) == {"reads.lane", "reads.file", "files[0]"}
    assert "gone.txt" in found["files[0]"]


@pytest.mark.parametrize("location", ["../secret.txt", "/etc/passwd", "file:///etc/passwd", "link.txt"])
def test_files_outside_of_the_folders_for_inputs_are_refused(rules: FileRules, location: str) -> None:
    assert set(problems(rules, {"text": "x", "file": {"class": "File", "location": location}})) == {"file"}


def test_a_file_on_the_network_is_refused_unless_allowed(rules: FileRules) -> None:
    assert "network" in problems(rules, {"text": "x", "file": {"class": "File", "location": "http://x.org/a"}})["file"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", "yes"),
        ("a: true", True),
        ("a: 1e3", 1000.0),
        ("a: 2024-01-02", "2024-01-02"),
        ("a: 012", 12),
        ('{"a": [1, 2.5, null]}', [1, 2.5, None]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert read_job(text) == {"a": value}


@pytest.mark.parametrize(
    "text", ["a: [", "- 1", "a: 1\na: 2", "a: &x [1]\nb: *x", "1: a", "!!python/object:os.system {}"]
)
def test_what_is_no_job_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(JobError) as caught:
        read_job(text)
    assert len(str(caught.value)) > 20


def test_a_job_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(JobError, match="nested"):
        read_job("a: " + "[" * 5000 + "]" * 5000)


def test_the_proposed_job_names_every_input_and_is_a_job() -> None:
    text = job_text(plan_with())
    assert all(item.id in text for item in INPUTS)
    assert read_job(text) == job_template(plan_with()) == {"text": "", "count": 3}
