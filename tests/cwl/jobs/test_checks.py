"""Jobs: read as YAML 1.2 or JSON, checked input by input, proposed with every input in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.jobs.checks import FileRules, check_job, job_template, job_text, read_job
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.fetching.hosts import HostRules

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
    return FileRules(base=tmp_path / "in", roots=(tmp_path / "in",))


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


@pytest.mark.parametrize("location", ["http://x.org/a", "https://x.org/a", "drs://x.org/a"])
def test_a_file_on_the_network_is_refused_unless_its_host_is_allowed(rules: FileRules, location: str) -> None:
    job = {"text": "x", "file": {"class": "File", "location": location, "checksum": f"sha1${'a' * 40}"}}
    assert "[cwl] fetch_hosts" in problems(rules, job)["file"]
    allowed = replace(rules, hosts=HostRules.of(["x.org"]))
    assert check_job(plan_with(), job, allowed)["file"] == job["file"]
    assert "[cwl] fetch_hosts" in problems(replace(rules, hosts=HostRules.of(["y.org"])), job)["file"]


@pytest.mark.parametrize(
    ("item", "match"),
    [
        ({"location": "drs://x.org"}, "write drs://host/id"),
        ({"location": "drs://dg.1234:abc"}, "write drs://host/id"),
        ({"location": "http://user:secret@x.org/a"}, "a login"),
        ({"location": "http://x.org:8080/a"}, "fetch_hosts"),
        ({"location": "http://x.org/a", "checksum": "sha1$xyz"}, "no checksum"),
        ({"location": "http://x.org/a", "checksum": 7}, "no checksum"),
    ],
)
def test_what_is_wrong_with_an_address_is_told(rules: FileRules, item: dict[str, object], match: str) -> None:
    allowed = replace(rules, hosts=HostRules.of(["x.org"]))
    assert match in problems(allowed, {"text": "x", "file": {"class": "File", **item}})["file"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", "yes"),
        ("a: true", True),
        ("a: 1e3", 1000.0),
        ("a: 2024-01-02", "2024-01-02"),
        ("a: 012", 12),
        ("a: 0o17", 15),
        ("a: 0x1F", 31),
        ("a: -12", -12),
        ("a: FALSE", False),
        ("a: .5", 0.5),
        ("a: 1.5e-3", 0.0015),
        ("a: -.inf", float("-inf")),
        ("a: no", "no"),
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
    """Of brackets the first that is too deep is refused: each that is read costs a look at all that are open."""
    for text in ("a: " + "[" * 5000 + "]" * 5000, "a: " + "[{a: " * 2500, "{a: " * 2500):
        with pytest.raises(JobError, match=f"nested deeper than {checks.DEEPEST_JOB} levels"):
            read_job(text)
    with pytest.raises(JobError, match="nested"):
        read_job("- " * 5000)


@pytest.mark.parametrize(("start", "end"), [("a: ", ""), ("{a: ", "}")])
def test_a_job_may_be_as_deep_as_the_bound(start: str, end: str) -> None:
    depth = checks.DEEPEST_JOB
    assert read_job(f"{start}{'[' * depth}{']' * depth}{end}")
    with pytest.raises(JobError, match="nested deeper"):
        read_job(f"{start}{'[' * (depth + 1)}{']' * (depth + 1)}{end}")


def test_the_proposed_job_names_every_input_and_is_a_job() -> None:
    text = job_text(plan_with())
    assert all(item.id in text for item in INPUTS)
    assert read_job(text) == job_template(plan_with()) == {"text": "", "count": 3}


SAMPLES = {
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "",
    "File": {"class": "File", "location": ""},
    "Directory": {"class": "Directory", "location": ""},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_required_input_is_proposed_with_a_value_of_its_type(name: str) -> None:
    plan = plan_with((Parameter(id="x", type=name),))
    assert job_template(plan) == read_job(job_text(plan)) == {"x": SAMPLES[name]}
    assert type(job_template(plan)["x"]) is type(SAMPLES[name])


def test_what_is_proposed_for_compound_types_has_all_that_is_required() -> None:
    mode = {"type": "enum", "name": "mode", "symbols": ["fast", "exact"]}
    types = {"reads": READS, "mode": mode, "files": {"type": "array", "items": "File"}, "either": [mode, "int"]}
    assert job_template(plan_with(tuple(Parameter(id=name, type=kind) for name, kind in types.items()))) == {
        "reads": {"lane": 0, "file": {"class": "File", "location": ""}},
        "mode": "fast",
        "files": [],
        "either": "fast",
    }
    assert job_template(plan_with((Parameter(id="none", type={**mode, "symbols": []}),))) == {"none": ""}


def test_an_input_is_proposed_below_what_it_is_and_an_optional_one_as_a_comment() -> None:
    inputs = (
        Parameter(id="mode", type=["null", "string"], doc="How.\nOr not."),
        Parameter(id="names", type=["null", "string"], has_default=True, default="ä"),
        Parameter(id="text", type="string", label="The text"),
    )
    assert job_text(plan_with(inputs)) == (
        "# The text: string\ntext: ''\n\n# string?, optional\n# How.\n# Or not.\n# mode: null\n\n"
        "# string?, optional\nnames: ä\n"
    )
    assert job_text(plan_with(inputs), {"text": "x", "other": 1}).endswith("\nother: 1\n")
    assert job_text(plan_with(())) == "{}\n"


@pytest.mark.parametrize(
    ("default", "is_shown"), [(None, False), ({"class": "File", "location": "a"}, False), ("x", True), ([1], True)]
)
def test_a_default_is_proposed_if_it_can_be_edited(default: object, is_shown: bool) -> None:
    item = Parameter(id="x", type=["null", "Any"], has_default=True, default=default)
    assert job_template(plan_with((item,))) == ({"x": default} if is_shown else {})


def test_what_is_said_of_a_wrong_value(rules: FileRules) -> None:
    found = problems(rules, {"mode": "slow", "reads": {"lane": "x", "more": 1}})
    assert found["mode"] == "expected one of fast, exact?, but got the text 'slow'"
    assert found["text"] == "this input is required; give it a value of type string"
    assert {name for name in found if name.startswith("reads")} == {"reads", "reads.lane", "reads.file"}


def test_optional_fields_of_a_record_are_left_out_where_they_are_not_given(rules: FileRules) -> None:
    fields = [{"name": "lane", "type": "int"}, {"name": "note", "type": ["null", "string"]}]
    plan = plan_with((Parameter(id="x", type={"type": "record", "fields": fields}),))
    assert check_job(plan, {"x": {"lane": 1}}, rules) == {"x": {"lane": 1}}
    assert check_job(plan, {"x": {"lane": 1, "note": None}}, rules) == {"x": {"lane": 1, "note": None}}


@pytest.mark.parametrize("value", ["slow", None, 1])
def test_an_enum_that_must_be_given_takes_its_symbols_only(rules: FileRules, value: object) -> None:
    plan = plan_with((Parameter(id="x", type={"type": "enum", "symbols": ["fast", "exact"]}),))
    assert check_job(plan, {"x": "fast"}, rules) == {"x": "fast"}
    with pytest.raises(JobError):
        check_job(plan, {"x": value}, rules)


def test_an_input_with_a_default_may_be_null_and_no_other(rules: FileRules) -> None:
    assert check_job(plan_with(), {"text": "x", "count": None}, rules) == {"text": "x", "count": None}
    assert set(problems(rules, {"text": None})) == {"text"}


TEXTS = [
    "x: y",
    "- a",
    "é日本😀",
    '"q" \\ \n\t\b',
    "yes",
    "1e5",
    "null",
    "#c",
    "\x1f",
    "\x7f",
]


@pytest.mark.parametrize(
    ("character", "count"), [("k", 2000), ("k", 1023), ("k", 900), ("\x01", 199), ("\x01", 166), ('"', 600)]
)
def test_long_names_in_a_long_list_are_read_as_they_were(character: str, count: int) -> None:
    nothing: dict[str, Any] = {"label": None, "doc": None, "outputs": (), "steps": ()}
    inputs = (Parameter(id="all", type={"type": "array", "items": "Any"}),)
    plan = Plan(kind="Workflow", cwl_version="v1.2", main="m.cwl", inputs=inputs, **nothing)
    job = {"all": [{character * count: number} for number in range(301)]}
    assert checks.read_job(checks.job_text(plan, job)) == job


@pytest.mark.parametrize("odd", TEXTS)
def test_a_long_list_is_written_in_no_time_and_read_as_it_was(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    """The form shows a job as text, too: ten thousand files took YAML's own writer a quarter of a minute."""
    nothing: dict[str, Any] = {"label": None, "doc": None, "outputs": (), "steps": ()}
    inputs = (Parameter(id="all: of them", type={"type": "array", "items": "Any"}),)
    plan = Plan(kind="Workflow", cwl_version="v1.2", main="m.cwl", inputs=inputs, **nothing)
    numbers: list[object] = [1e22, 1.5, -3, True, None, 10**30]
    items = [
        {"class": "File", "path": f"/{odd}/{number}", "metadata": {"k: v": odd, "n": list(numbers)}}
        for number in range(301)
    ]
    assert checks.read_job(checks.job_text(plan, {"all: of them": items})) == {"all: of them": items}
    plain = [{"class": "File", "path": f"/{number}"} for number in range(301)]
    written = 0
    dump = yaml.safe_dump

    def counting(value: Any, **options: Any) -> str:
        nonlocal written
        written += len(str(value))
        return str(dump(value, **options))

    monkeypatch.setattr(checks.yaml, "safe_dump", counting)
    assert checks.read_job(checks.job_text(plan, {"all: of them": plain})) == {"all: of them": plain}
    assert written < 100
