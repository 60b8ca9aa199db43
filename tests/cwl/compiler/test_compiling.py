"""What is wrong with a document is said with file, line and column; what is hostile reads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cwl_ui_client.yaml_bounds import multiplies
from cwltool.update import ORIGINAL_CWLVERSION
from support.compiled_run import TOOL, upload

from cwl_ui_plugin.cwl.compile_process import compile_in_process
from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.errors import ChoiceError, DocumentError, UnsupportedError
from cwl_ui_plugin.cwl.plan import Plan, Step, read_plan


def compiled(tmp_path: Path, entry: str = "main.cwl", **files: str) -> Plan:
    return compiling.compile_document(upload(tmp_path / "upload", **files), entry, tmp_path / "compiled")


def refusal(tmp_path: Path, **files: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        compiled(tmp_path, **files)
    assert str(tmp_path) not in str(caught.value) + "".join(map(str, caught.value.problems))
    return caught.value


def workflow(run: str, more: str = "") -> str:
    return f"""
cwlVersion: v1.2
class: Workflow
label: Echo
inputs: {{text: string}}
outputs: {{out: {{type: File, outputSource: one/out}}}}
steps:
  one: {{run: {run}, in: {{text: text}}, out: [out]}}
{more}
"""


def test_a_workflow_becomes_a_plan_that_can_be_read_back(tmp_path: Path) -> None:
    plan = compiled(tmp_path, main=workflow("tool.cwl"), tool=TOOL)
    assert plan == read_plan(tmp_path / "compiled")
    assert (plan.kind, plan.cwl_version, plan.label) == ("Workflow", "v1.2", "Echo")
    assert [(step.id, step.tool, step.tool_name) for step in plan.steps] == [("one", "CommandLineTool", "tool.cwl")]
    assert [(item.id, item.type, item.is_optional) for item in plan.inputs] == [("text", "string", False)]


def test_a_plan_written_by_an_earlier_version_is_still_read(tmp_path: Path) -> None:
    plan = compiled(tmp_path, main=workflow("tool.cwl"), tool=TOOL)
    written = json.loads(plan.to_json())
    written["dropped"] = written["steps"][0]["javascript"] = True
    assert Plan.from_json(json.dumps(written)) == plan


def test_steps_stand_after_those_that_they_read_from(tmp_path: Path) -> None:
    text = workflow("tool.cwl").replace("steps:", "steps:\n  two: {run: again.cwl, in: {file: one/out}, out: []}", 1)
    again = TOOL.replace("text: {type: string, inputBinding: {}}", "file: File").replace("{out: stdout}", "{}")
    plan = compiled(tmp_path, main=text, tool=TOOL, again=again)
    assert [(step.id, step.upstream) for step in plan.steps] == [("one", ()), ("two", ("one",))]


def test_a_process_of_a_packed_document_can_be_chosen(tmp_path: Path) -> None:
    graph = """
cwlVersion: v1.2
$graph:
- {class: CommandLineTool, id: first, baseCommand: ls, inputs: {}, outputs: {}}
- {class: CommandLineTool, id: second, label: The second, baseCommand: ls, inputs: {}, outputs: {}}
"""
    assert compiled(tmp_path, "main.cwl#second", main=graph).label == "The second"


def test_no_path_of_the_machine_is_in_what_is_stored(tmp_path: Path) -> None:
    compiled(tmp_path, main=workflow("tool.cwl"), tool=TOOL)
    for path in (tmp_path / "compiled").rglob("*.*"):
        assert str(tmp_path) not in path.read_text()


def test_broken_yaml_is_explained_with_its_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, main="cwlVersion: v1.2\nclass: Workflow\ninputs: {a: [\n")
    assert error.problems[0].file == "main.cwl"
    assert error.problems[0].line in (3, 4)


@pytest.mark.parametrize("content", ["hello", "- 1\n- 2\n", "", "{}"])
def test_yaml_that_is_no_cwl_is_refused(tmp_path: Path, content: str) -> None:
    assert "CWL" in str(refusal(tmp_path, main=content))


def test_a_cwl_error_has_file_line_column_and_message(tmp_path: Path) -> None:
    error = refusal(tmp_path, main=workflow("tool.cwl"), tool=TOOL.replace("baseCommand", "baseComand"))
    problem = next(problem for problem in error.problems if "baseComand" in problem.message)
    assert (problem.file, problem.line, problem.column) == ("tool.cwl", 4, 1)


def test_a_missing_run_file_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, main=workflow("gone.cwl"))
    problem = next(problem for problem in error.problems if "gone.cwl" in problem.message)
    assert (problem.file, problem.line) == ("main.cwl", 8)


@pytest.mark.parametrize("version", ["v0.9", "v2.0", "draft-3", "1.2"])
def test_a_version_that_is_not_supported_says_which_are(tmp_path: Path, version: str) -> None:
    error = refusal(tmp_path, main=TOOL.replace("v1.2", version))
    assert isinstance(error, UnsupportedError)
    assert "v1.0, v1.1, v1.2" in str(error)


def test_a_requirement_that_nobody_knows_is_unsupported(tmp_path: Path) -> None:
    text = TOOL + "$namespaces: {x: 'http://example.org/x#'}\nrequirements: [{class: 'x:FlyToTheMoon'}]\n"
    error = refusal(tmp_path, main=text)
    assert isinstance(error, UnsupportedError)
    assert "FlyToTheMoon" in "".join(map(str, error.problems))


@pytest.mark.parametrize("is_step", [False, True])
def test_an_operation_is_unsupported(tmp_path: Path, is_step: bool) -> None:
    operation = "cwlVersion: v1.2\nclass: Operation\ninputs: {text: string}\noutputs: {out: File}\n"
    main, more = (workflow("tool.cwl"), {"tool": operation}) if is_step else (operation, {})
    error = refusal(tmp_path, main=main, **more)
    assert isinstance(error, UnsupportedError)
    assert "Operation" in str(error)


def test_steps_in_a_circle_are_refused(tmp_path: Path) -> None:
    circle = """
cwlVersion: v1.2
class: Workflow
inputs: {}
outputs: {}
steps:
  a: {run: tool.cwl, in: {file: b/out}, out: [out]}
  b: {run: tool.cwl, in: {file: a/out}, out: [out]}
"""
    tool = TOOL.replace("text: {type: string, inputBinding: {}}", "file: File")
    assert "circular" in str(refusal(tmp_path, main=circle, tool=tool).problems)


def test_a_workflow_that_runs_itself_is_refused(tmp_path: Path) -> None:
    assert "itself" in str(refusal(tmp_path, main=workflow("main.cwl")))


@pytest.mark.parametrize(
    "run",
    ["file:///etc/passwd", "../outside.cwl", "/etc/passwd", "http://example.org/tool.cwl", "upload/../../outside.cwl"],
)
def test_run_reads_nothing_outside_of_the_upload(tmp_path: Path, run: str) -> None:
    (tmp_path / "outside.cwl").write_text(TOOL)
    assert refusal(tmp_path, main=workflow(run), tool=TOOL).problems


@pytest.mark.parametrize("directive", ["$include", "$import"])
@pytest.mark.parametrize("target", ["/etc/hostname", "../secret", "link", "http://127.0.0.1:9/x"])
def test_directives_read_nothing_outside_of_the_upload(tmp_path: Path, directive: str, target: str) -> None:
    (tmp_path / "secret").write_text("the secret")
    folder = upload(tmp_path / "upload", main=TOOL + f"doc: {{{directive}: {target}}}\n")
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(DocumentError) as caught:
        compiling.compile_document(folder, "main.cwl", tmp_path / "compiled")
    assert "the secret" not in str(caught.value) + "".join(map(str, caught.value.problems))


def laughing(levels: int) -> str:
    lines = ["a0: &a0 [" + ", ".join(["ha"] * 10) + "]"]
    return "\n".join(lines + [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)])


def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path) -> None:
    found = refusal(tmp_path, main=f"{TOOL}\n{laughing(12)}\ndoc: *a11\n")
    assert any("aliases" in problem.message for problem in found.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (laughing(5), False),
        (laughing(6), True),
        ("&a [*a, *a]", False),
        ("a: &a " + "[" * 50_000, False),
        ("x: *none\ny: &y 1", False),
        ("function f(a, b) { return a && b * 2; }", False),
        ("{" + ", ".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]" if n else "k0: &k0 1" for n in range(40)) + "}", True),
    ],
)
def test_what_aliases_stand_for_is_counted_without_building_it(text: str, expected: bool) -> None:
    assert multiplies(text) is expected


def test_a_file_of_the_upload_may_be_included(tmp_path: Path) -> None:
    folder = upload(tmp_path / "upload", main=TOOL + "doc: {$include: about.txt}\n")
    (folder / "about.txt").write_text("Says it.")
    assert compiling.compile_document(folder, "main.cwl", tmp_path / "compiled").doc == "Says it."


RESOURCES = """
cwlVersion: v1.2
$graph:
- class: Workflow
  id: main
  requirements:
    SubworkflowFeatureRequirement: {}
    ScatterFeatureRequirement: {}
    StepInputExpressionRequirement: {}
  inputs: {n: {type: int, default: 4}, many: "int[]"}
  outputs: []
  steps:
    direct: {run: "#tool", in: {threads: n}, out: []}
    own: {run: "#tool", in: {threads: {default: 9}}, out: []}
    each: {run: "#tool", scatter: threads, in: {threads: many}, out: []}
    changed: {run: "#tool", in: {threads: {source: n, valueFrom: $(1)}}, out: []}
    deep: {run: "#inner", in: {m: n}, out: []}
    fixed: {run: "#fixed", in: [], out: []}
- class: Workflow
  id: inner
  inputs: {m: int}
  outputs: []
  steps:
    within: {run: "#tool", in: {threads: m}, out: []}
- class: CommandLineTool
  id: tool
  baseCommand: "true"
  requirements: {ResourceRequirement: {coresMin: $(inputs.threads), ramMax: 500}}
  inputs: {threads: int}
  outputs: []
- class: CommandLineTool
  id: fixed
  baseCommand: "true"
  hints: {ResourceRequirement: {coresMin: 2, coresMax: 4, ramMin: 1000}}
  inputs: []
  outputs: []
"""


def test_the_plan_says_what_each_step_asks_of_the_machine(tmp_path: Path) -> None:
    plan = compiled(tmp_path, main=RESOURCES)
    steps = {step.id: step for _depth, step in plan.all_steps()}
    assert steps["fixed"].resources == {"cores": 2, "ram": 1000}
    assert steps["direct"].resources == {"cores": "$(inputs.threads)", "ram": 500}
    from_job = {"threads": {"input": "n", "default": 4}}
    assert {name: step.resource_inputs for name, step in steps.items()} == {
        "direct": from_job,
        "own": {"threads": {"input": "", "default": 9}},
        "each": {},
        "changed": {},
        "deep": {},
        "within": from_job,
        "fixed": {},
    }


GRAPH = """
cwlVersion: v1.2
$graph:
- {class: CommandLineTool, id: tool, baseCommand: ls, inputs: {}, outputs: {}}
- {class: Workflow, id: inner, inputs: {}, outputs: {}, steps: {list: {run: "#tool", in: {}, out: []}}}
"""
OUTER = """
- class: Workflow
  id: NAME
  requirements: {SubworkflowFeatureRequirement: {}}
  inputs: {}
  outputs: {}
  steps: [{id: s, run: "#inner", in: [], out: []}]
"""


def test_the_one_workflow_that_no_other_runs_is_the_main_one(tmp_path: Path) -> None:
    plan = compiled(tmp_path, main=GRAPH + OUTER.replace("NAME", "outer"))
    assert plan.main == read_plan(tmp_path / "compiled").main == "main.cwl#outer"
    assert [step.task_id for step in plan.steps] == ["s"]


def test_a_workflow_called_main_is_the_main_one(tmp_path: Path) -> None:
    plan = compiled(tmp_path, main=GRAPH + OUTER.replace("NAME", "main") + OUTER.replace("NAME", "outer"))
    assert plan.main == "main.cwl"


@pytest.mark.parametrize(
    ("graph", "choices"),
    [
        (GRAPH + OUTER.replace("NAME", "a") + OUTER.replace("NAME", "b"), ("main.cwl#a", "main.cwl#b")),
        (
            GRAPH.splitlines()[1]
            + "\n$graph:\n"
            + 2 * "- {class: CommandLineTool, id: NAME, inputs: {}, outputs: {}}\n",
            (),
        ),
    ],
)
def test_where_several_could_be_meant_they_are_named(tmp_path: Path, graph: str, choices: tuple[str, ...]) -> None:
    graph = graph.replace("NAME", "first", 1).replace("NAME", "second")
    with pytest.raises(ChoiceError) as caught:
        compile_in_process(upload(tmp_path / "upload", main=graph), "main.cwl", tmp_path / "compiled", timeout=120)
    assert caught.value.choices == (choices or ("main.cwl#first", "main.cwl#second"))


ECHO = """{class: CommandLineTool, baseCommand: echo, inputs: {text: string?}, outputs: {}}"""


def nested(step: str) -> str:
    return f"{{class: Workflow, inputs: [], outputs: [], steps: {{{step}: {{run: {ECHO}, in: [], out: []}}}}}}"


def test_no_two_tasks_of_a_dag_have_one_id(tmp_path: Path) -> None:
    text = f"""
cwlVersion: v1.2
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}, SubworkflowFeatureRequirement: {{}}}}
inputs: {{texts: "string[]"}}
outputs: {{}}
steps:
  x: {{run: {ECHO}, scatter: text, in: {{text: texts}}, out: []}}
  x.scatter: {{run: {ECHO}, in: [], out: []}}
  y.inner: {{run: {ECHO}, in: [], out: []}}
  a.b: {{run: {nested("c")}, in: [], out: []}}
  a: {{run: {nested("b.c")}, in: [], out: []}}
  y:
    run:
      class: Workflow
      inputs: {{}}
      outputs: {{}}
      steps: {{inner: {{run: {ECHO}, in: [], out: []}}, {"i" * 260}: {{run: {ECHO}, in: [], out: []}}}}
    in: []
    out: []
"""
    plan = compiled(tmp_path, main=text)
    ids = [*task_ids(plan.steps)]
    assert len({name.replace(".", "-") for name in ids}) == len(ids) == 10
    assert {"x", "y", "y.inner", "y.inner_2", "a.b.c", "a.b.c_2"} <= set(ids)
    assert max(map(len, ids)) < 240
    again = compiling.compile_document(tmp_path / "upload", "main.cwl", tmp_path / "again")
    assert [*task_ids(again.steps)] == ids


def task_ids(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        yield step.task_id
        yield from task_ids(step.steps)


@pytest.mark.parametrize("place", ["label", "default", "input", "step", "symbol"])
@pytest.mark.parametrize("text", ["\U0001f9ec gene", "p \U0001d4ab-value", "ok \\ \U0001f9ec"])
def test_characters_that_are_escaped_as_pairs_are_what_they_mean(tmp_path: Path, text: str, place: str) -> None:
    name = text.replace(" ", "").replace("\\", "")
    document = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "label": text if place == "label" else "x",
        "inputs": {
            name if place == "input" else "i": {
                "type": {"type": "enum", "symbols": [name]} if place == "symbol" else "string",
                "default": name if place == "symbol" else text,
            }
        },
        "outputs": {},
        "steps": {
            name if place == "step" else "s": {
                "run": {"class": "CommandLineTool", "baseCommand": "ls", "inputs": {}, "outputs": {}},
                "in": {},
                "out": [],
            }
        },
    }
    plan = compiled(tmp_path, main=json.dumps(document))
    assert plan == read_plan(tmp_path / "compiled")
    assert (plan.label == text) is (place == "label")
    assert (plan.inputs[0].id, plan.steps[0].id) == (
        name if place == "input" else "i",
        name if place == "step" else "s",
    )
    assert plan.inputs[0].default == (name if place == "symbol" else text)


@pytest.mark.parametrize("label", [r'"\ud83e"', r'"\uddec\ud83e"', r'"\\ud83e\uddec"'])
def test_half_a_pair_is_a_message_and_no_traceback(tmp_path: Path, label: str) -> None:
    text = TOOL.replace("baseCommand", f"label: {label}\nbaseCommand")
    with pytest.raises(DocumentError, match="surrogate") as caught:
        compile_in_process(upload(tmp_path / "upload", main=text), "main.cwl", tmp_path / "compiled", timeout=120)
    assert "Traceback" not in str(caught.value)


@pytest.mark.usefixtures("fresh_compiler")
def test_half_a_pair_is_a_message_of_a_new_process_too(tmp_path: Path) -> None:
    test_half_a_pair_is_a_message_and_no_traceback(tmp_path, r'"\ud83e"')


def test_a_document_on_the_network_is_refused_with_what_allows_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, main=workflow("https://example.com/tool.cwl"))
    assert "https://example.com/tool.cwl is on the network" in error.problems[0].message
    assert "[cwl] fetch_hosts" in error.problems[0].message


NEEDY = """
cwlVersion: v1.2
class: Workflow
$namespaces: {cwltool: "http://commonwl.org/cwltool#", ui: "https://w3id.org/cwl-ui-plugin#"}
requirements: {SubworkflowFeatureRequirement: {}}
inputs: []
outputs: []
steps:
  devices:
    run: &tool {class: CommandLineTool, baseCommand: ls, inputs: [], outputs: []}
    requirements:
      cwltool:CUDARequirement: {cudaVersionMin: "11.4", cudaComputeCapability: "3.0", cudaDeviceCountMin: 2}
    in: []
    out: []
  limits:
    requirements: {NetworkAccess: {networkAccess: true}, ToolTimeLimit: {timelimit: 60}}
    run: *tool
    in: []
    out: []
  profile: {hints: [{class: "ui:Execution", profile: long}], run: *tool, in: [], out: []}
  hostile: {hints: [{class: "ui:Execution", profile: {queue: x}}, {class: "ui:Gift"}], run: *tool, in: [], out: []}
  plain: {run: *tool, in: [], out: []}
"""


def test_the_plan_says_what_a_step_asks_of_the_site(tmp_path: Path) -> None:
    steps = {step.id: step for step in compiled(tmp_path, main=NEEDY).steps}
    needs = {name: (step.gpus, step.network, step.time_limit, step.profile) for name, step in steps.items()}
    nothing = (0, False, None, "")
    assert needs == {
        "devices": (2, False, None, ""),
        "limits": (0, True, 60, ""),
        "profile": (0, False, None, "long"),
        "hostile": nothing,
        "plain": nothing,
    }


def test_a_prefix_of_ours_that_is_not_declared_is_enough(tmp_path: Path) -> None:
    text = TOOL + "hints: {'cwl-ui:Execution': {profile: long}}\n"
    (step,) = compiled(tmp_path, main=text).steps
    assert step.profile == "long"


@pytest.mark.parametrize("version", ["draft-3", "cwl:draft-4.dev1"])
def test_a_document_within_that_is_too_old_is_named(tmp_path: Path, version: str) -> None:
    error = refusal(tmp_path, main=workflow("tool.cwl"), tool=TOOL.replace("v1.2", version))
    assert isinstance(error, UnsupportedError)
    assert [(problem.file, problem.line) for problem in error.problems] == [("tool.cwl", 2)]
    assert version.removeprefix("cwl:") in error.problems[0].message


@pytest.mark.parametrize(
    ("source", "sink", "words"),
    [
        ("'string[]'", "File?", "of type string[] is incompatible"),
        ("{type: enum, symbols: [a, b]}", "File", "of type one of a, b is incompatible"),
        ("{type: record, name: r, fields: {x: int?}}", "File", "of type record with x: int? is incompatible"),
    ],
)
def test_types_that_do_not_fit_are_told_as_authors_write_them(
    tmp_path: Path, source: str, sink: str, words: str
) -> None:
    text = workflow("tool.cwl").replace("inputs: {text: string}", f"inputs: {{text: {{type: {source}}}}}")
    error = refusal(tmp_path, main=text, tool=TOOL.replace("type: string", f"type: {sink}"))
    assert f"Source 'text' {words} with sink 'text' of type {sink}" == error.problems[0].message


def test_steps_are_not_looked_through_for_each_step() -> None:
    count, looked = 200, 0

    class Loaded(SimpleNamespace):
        @property
        def id(self) -> str:
            nonlocal looked
            looked += 1
            return str(self.name)

    def process(**more: object) -> SimpleNamespace:
        metadata = {"cwlVersion": "v1.2", ORIGINAL_CWLVERSION: "v1.2"}
        return SimpleNamespace(metadata=metadata, **more)

    tool = process(tool={"class": "CommandLineTool"})
    steps = [Loaded(name=f"#{number}", embedded_tool=tool, tool={"inputs": []}) for number in range(count)]
    raw = [{"id": f"#{number}", "in": []} for number in range(count)]
    document: Any = compiling._document(process(tool={"class": "Workflow", "steps": raw}, steps=steps))  # type: ignore[arg-type]
    assert [step["run"]["class"] for step in document["steps"]] == ["CommandLineTool"] * count
    assert looked <= 2 * count
