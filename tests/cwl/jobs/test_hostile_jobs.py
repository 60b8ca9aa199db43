"""What a job may not say: requirements, directives of runners, names that are paths; and jobs that are very wide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.jobs.checks import FileRules, check_job
from cwl_ui_plugin.cwl.plan import Parameter, Plan

INPUTS = (
    Parameter(id="file", type=["null", "File"]),
    Parameter(id="files", type=["null", {"type": "array", "items": "File"}]),
    Parameter(id="folder", type=["null", "Directory"]),
    Parameter(id="any", type=["null", "Any"]),
    Parameter(id="texts", type=["null", {"type": "array", "items": "string"}]),
)
REQUIREMENTS = [{"class": "EnvVarRequirement", "envDef": [{"envName": "WHO", "envValue": "$('a' + 1)"}]}]
MANY = 100_000


def plan_with(inputs: tuple[Parameter, ...] = INPUTS) -> Plan:
    return Plan(
        kind="Workflow", cwl_version="v1.2", main="a.cwl", label=None, doc=None, inputs=inputs, outputs=(), steps=()
    )


@pytest.fixture
def rules(tmp_path: Path) -> FileRules:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/a.txt").write_text("a")
    (tmp_path / "in/b.txt").write_text("b")
    return FileRules(base=tmp_path / "in", roots=(tmp_path / "in",))


def problems(rules: FileRules, job: dict[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(JobError) as caught:
        check_job(plan_with(), job, rules, **more)
    return {str(problem.input): problem.message for problem in caught.value.problems}


def a_file(location: str = "a.txt", **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def literal(name: str, **more: Any) -> dict[str, Any]:
    return {"class": "File", "basename": name, "contents": "x", **more}


# requirements and directives


@pytest.mark.parametrize("name", ["cwl:requirements", "https://w3id.org/cwl/cwl#requirements"])
def test_requirements_in_a_job_are_refused_with_the_option_that_allows_them(rules: FileRules, name: str) -> None:
    assert "[cwl] allow_job_requirements" in problems(rules, {name: REQUIREMENTS})[name]
    assert check_job(plan_with(), {name: REQUIREMENTS}, rules, allow_requirements=True) == {name: REQUIREMENTS}


@pytest.mark.parametrize("value", [{"class": "EnvVarRequirement"}, ["EnvVarRequirement"], [{}], "x"])
def test_allowed_requirements_have_their_form(rules: FileRules, value: Any) -> None:
    assert "a list" in problems(rules, {"cwl:requirements": value}, allow_requirements=True)["cwl:requirements"]


@pytest.mark.parametrize("name", ["cwltool:overrides", "http://commonwl.org/cwltool#overrides"])
@pytest.mark.parametrize("allowed", [True, False])
def test_overrides_are_always_refused(rules: FileRules, name: str, allowed: bool) -> None:
    found = problems(rules, {name: {"a.cwl": {"requirements": {}}}}, allow_requirements=allowed)
    assert "upload a version" in found[name]


@pytest.mark.parametrize(
    "name",
    [
        *("$graph", "$schemas", "$import", "$include", "$mixin", "$job", "@id", "@type", "cwl:hints", "cwl:defaults"),
        *(
            "sbg:x",
            "https://w3id.org/cwl/cwl#hints",
            "a#b",
            "http://commonwl.org/cwltool#generation",
            "CWL:requirements",
        ),
    ],
)
@pytest.mark.parametrize("allowed", [True, False])
def test_directives_and_names_of_vocabularies_are_refused(rules: FileRules, name: str, allowed: bool) -> None:
    assert "directives" in problems(rules, {name: "x"}, allow_requirements=allowed)[name]


@pytest.mark.parametrize("allowed", [True, False])
def test_namespaces_are_prefixes_and_nothing_else(rules: FileRules, allowed: bool) -> None:
    names = {"$namespaces": {"edam": "http://edamontology.org/"}}
    assert check_job(plan_with(), names, rules, allow_requirements=allowed) == names
    for value in (["x"], "x", {"edam": 5}, {"edam": {"@id": "x"}}):
        assert "mapping" in problems(rules, {"$namespaces": value}, allow_requirements=allowed)["$namespaces"]


def test_an_input_may_have_such_a_name_where_the_workflow_declares_it(rules: FileRules) -> None:
    plan = plan_with((Parameter(id="sbg:x", type="string"),))
    assert check_job(plan, {"sbg:x": "y"}, rules) == {"sbg:x": "y"}


def test_which_tool_it_is_for_and_its_own_id_are_left_out_of_a_job(rules: FileRules) -> None:
    given = {"cwl:tool": "a.cwl", "https://w3id.org/cwl/cwl#tool": "a.cwl", "id": "x", "output_folder": "y"}
    assert check_job(plan_with(), given, rules) == {}


def test_requirements_are_not_taken_by_the_tasks_either(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "env.cwl").write_text(TOOL)
    from cwl_ui_plugin.cwl.compiler import compiling

    compiling.compile_document(source, "env.cwl", tmp_path / "compiled")
    job = {"cwl:requirements": REQUIREMENTS}
    with pytest.raises(JobError, match="allow_job_requirements"):
        run_compiled(tmp_path / "compiled", source, job, tmp_path / "refused")
    done = run_compiled(tmp_path / "compiled", source, job, tmp_path / "run", job_requirements=True)
    assert Path(done["out"]["path"]).read_text() == "a1\n"


TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements: [{class: InlineJavascriptRequirement}, {class: ShellCommandRequirement}]
inputs: []
arguments: [{shellQuote: false, valueFrom: echo $WHO}]
stdout: who
outputs: {out: stdout}
"""


@pytest.mark.parametrize("name", ["$import", "@type", "cwl:x", "http://a/b#c", "a#b"])
@pytest.mark.parametrize("kind", ["File", "Directory"])
def test_files_and_folders_have_no_fields_of_vocabularies(rules: FileRules, name: str, kind: str) -> None:
    job = {"any": {"class": kind, "location": "a.txt" if kind == "File" else "sub", name: "file:///etc/passwd"}}
    assert name in problems(rules, job)["any"]


def test_a_value_of_any_type_may_hold_directives_as_data(rules: FileRules) -> None:
    value = {"$import": "file:///etc/passwd", "schema": {"$ref": "#/a", "run": "x.cwl"}}
    assert check_job(plan_with(), {"any": value}, rules)["any"] == value


def test_what_a_runner_finds_out_by_itself_is_not_taken_from_a_job(rules: FileRules) -> None:
    forged = a_file(
        checksum="sha1$0", size=0, contents="forged", writable=True, metadata=1, nameroot="a", nameext=".txt"
    )
    found = check_job(plan_with(), {"file": forged | {"dirname": "", "path": "/etc/passwd"}}, rules)["file"]
    assert found == {"class": "File", "location": (rules.base / "a.txt").as_uri()}
    folder = {"class": "Directory", "location": "sub", "listing": [literal("x")], "secondaryFiles": [a_file("/etc")]}
    assert check_job(plan_with(), {"folder": folder}, rules)["folder"].keys() == {"class", "location"}


# names

NAMES = ["a/b", "/etc/x", "../x", "..", ".", "", "x\0y", "a/", "n" * 256, 7, ["x"], {"a": 1}]
AROUND: list[Any] = [
    lambda part: {"file": part},
    lambda part: {"files": [part]},
    lambda part: {"any": {"deep": [part]}},
    lambda part: {"file": a_file(secondaryFiles=[part])},
    lambda part: {"file": a_file(secondaryFiles=[a_file("b.txt", secondaryFiles=[part])])},
    lambda part: {"folder": {"class": "Directory", "basename": "d", "listing": [part]}},
    lambda part: {
        "folder": {
            "class": "Directory",
            "basename": "d",
            "listing": [{"class": "Directory", "basename": "e", "listing": [part]}],
        }
    },
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:12])
def test_a_basename_is_a_name_and_no_path(rules: FileRules, name: Any, around: Any) -> None:
    for part in (a_file(basename=name), literal(name)):
        found = problems(rules, around(part)).values()
        assert any("basename" in text for text in found)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:12])
def test_so_is_that_of_a_folder(rules: FileRules, name: Any) -> None:
    folder = {"class": "Directory", "basename": name, "listing": []}
    for job in ({"folder": folder}, {"folder": {**folder, "basename": "d", "listing": [folder]}}):
        assert any("basename" in text for text in problems(rules, job).values())


@pytest.mark.parametrize("name", ["-rf", "a\nb", "a b", "ä", "$(x)", "a;b", "...", ".hidden", "a\\b"])
def test_any_other_name_is_legal(rules: FileRules, name: str) -> None:
    assert check_job(plan_with(), {"file": a_file(basename=name)}, rules)["file"]["basename"] == name


@pytest.mark.parametrize(
    "more", [{"nameroot": "../x"}, {"nameext": "/x"}, {"dirname": "/etc"}, {"nameroot": 1}, {"dirname": ["x"]}]
)
def test_what_follows_from_the_name_must_follow_from_it(rules: FileRules, more: dict[str, Any]) -> None:
    assert next(iter(more)) in problems(rules, {"file": a_file(**more)})["file"]
    assert next(iter(more)) in problems(rules, {"file": literal("x.txt", **more)})["file"]


def test_two_files_of_one_name_can_not_lie_beside_each_other(rules: FileRules) -> None:
    beside = a_file(secondaryFiles=[a_file("b.txt", basename="a.txt")])
    assert "'a.txt'" in problems(rules, {"file": beside})["file"]
    folder = {"class": "Directory", "basename": "d", "listing": [a_file(), literal("a.txt")]}
    assert "'a.txt'" in problems(rules, {"folder": folder})["folder"]


@pytest.mark.parametrize(
    "part",
    [
        {"secondaryFiles": "x"},
        {"secondaryFiles": ["x"]},
        {"secondaryFiles": [{"class": "Other"}]},
        {"format": ["x"]},
        {"location": ["x"]},
        {"location": {"$import": "x"}},
    ],
)
def test_fields_have_their_types(rules: FileRules, part: dict[str, Any]) -> None:
    assert problems(rules, {"file": {**a_file(), **part}})


def test_contents_of_a_literal_are_bounded_at_any_depth(rules: FileRules) -> None:
    large = {"class": "File", "basename": "x", "contents": "ä" * (32 * 1024 + 1)}
    folder = {"class": "Directory", "basename": "d", "listing": [large]}
    assert "64 KiB" in problems(rules, {"folder": folder})["folder.listing[0]"]
    assert "text" in problems(rules, {"file": literal("x") | {"contents": ["x"]}})["file"]


def test_a_literal_may_be_written_as_cwltool_writes_it(rules: FileRules) -> None:
    assert check_job(plan_with(), {"file": literal("x", location="_:7")}, rules)["file"] == literal("x")
    assert problems(rules, {"file": {"class": "File", "location": "_:7"}})


# locations


@pytest.mark.parametrize(
    "location",
    [
        *("file://host/a.txt", "file:///etc/passwd", "file:///a.txt?x", "file:///a.txt#x", "http://[", "ftp://x/a"),
        *("//etc/passwd", "sub/../../secret", "file:/etc/passwd", "FILE:///etc/passwd", "data:text/plain,x", "~/a", ""),
        *("%2e%2e/secret", "a" * 5000, "file:///%00", "s3://b/k", "arvados:x", "_:1"),
    ],
)
def test_locations_that_lead_elsewhere_are_refused(rules: FileRules, location: str) -> None:
    (rules.base.parent / "secret").write_text("s")
    assert problems(rules, {"file": a_file(location)})


def test_a_location_ends_with_a_name(rules: FileRules) -> None:
    (rules.base / "sub/deep").mkdir()
    folder = {"class": "Directory", "location": "sub/deep/.."}
    assert check_job(plan_with(), {"folder": folder}, rules)["folder"]["location"] == (rules.base / "sub").as_uri()
    folder["location"] = f"file://{rules.base}/sub/deep/%2e%2e"
    assert check_job(plan_with(), {"folder": folder}, rules)["folder"]["location"] == (rules.base / "sub").as_uri()


def test_a_pipe_is_no_file(rules: FileRules) -> None:
    import os

    os.mkfifo(rules.base / "pipe")
    assert "pipe" in problems(rules, {"file": a_file("pipe")})["file"]


# wide and deep


@pytest.mark.parametrize("depth", [200, 100_000])
def test_a_job_may_not_be_deep(rules: FileRules, depth: int) -> None:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    with pytest.raises(JobError, match="nested deeper"):
        check_job(plan_with(), {"any": value}, rules)


@pytest.mark.parametrize(("form", "many"), [("json", MANY), ("flow", MANY // 5), ("block", MANY // 5)])
def test_very_many_texts_are_a_job(rules: FileRules, form: str, many: int) -> None:
    """YAML is read by Python, in seconds for a hundred thousand of them: a fifth has the same forms."""
    like = ("sample_{:06d}", "{:06d}", "a: b #{:06d}", "漢🧬 {:06d}", "-{:06d}.0e5")
    texts = [like[number % len(like)].format(number) for number in range(many)]
    written = json.dumps(texts, ensure_ascii=False)
    if form == "block":
        written = "\n" + "\n".join(f"- {json.dumps(item, ensure_ascii=False)}" for item in texts)
    job = checks.read_job(f'{{"texts": {written}}}' if form == "json" else f"texts: {written}", 4 * 1024 * 1024)
    assert check_job(plan_with(), job, rules) == {"texts": texts}


def test_names_are_compared_for_the_first_strangers_only(rules: FileRules, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(checks, "_meant", lambda name, _unused: asked.append(name))
    assert check_job(plan_with(), {f"input {number}": number for number in range(MANY)}, rules) == {}
    assert len(asked) == checks.MAX_SUGGESTIONS


@pytest.mark.parametrize(
    "job",
    [
        {f"$x{number}": number for number in range(MANY)},
        {"texts": list(range(MANY))},
        {"any": [a_file("/etc/passwd") for _ in range(MANY // 10)]},
    ],
    ids=["directives", "texts", "files"],
)
def test_of_many_problems_the_first_are_told(rules: FileRules, job: dict[str, Any]) -> None:
    with pytest.raises(JobError) as caught:
        check_job(plan_with(), job, rules)
    assert len(caught.value.problems) == checks.MAX_PROBLEMS + 1
    assert "more problems" in caught.value.problems[-1].message


def test_each_of_many_files_is_looked_at_a_few_times(rules: FileRules, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **more: looked.append(path.name) or stat(path, **more))
    job = {"files": [a_file() for _ in range(MANY // 10)]}
    assert len(check_job(plan_with(), job, rules)["files"]) == MANY // 10
    assert looked.count("a.txt") < MANY
