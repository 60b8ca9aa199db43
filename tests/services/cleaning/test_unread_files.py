"""What a run needs no more goes while it runs: every shape of workflow, task by task, all commands run for real."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.compiled_run import through_json
from support.stored import add_version, packed_of, plan_of, push, set_run, set_task

from cwl_ui_plugin.cwl import task_names
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import local_paths
from cwl_ui_plugin.cwl.plan import Step, read_plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.cleaning import unread_files
from cwl_ui_plugin.services.cleaning.unread_files import Instance, Standing

HEAD = """
cwlVersion: v1.2
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
  MultipleInputFeatureRequirement: {}
  ScatterFeatureRequirement: {}
  SubworkflowFeatureRequirement: {}
  StepInputExpressionRequirement: {}
"""
READ = 'name="$1"; shift; find -L "$@" -type l | grep . && exit 3; find -L "$@" -type f -exec cat {} + >"$name"'
GIVEN = ["null", "File", "Directory", {"type": "array", "items": ["File", "Directory"]}]
TOOLS: dict[str, Any] = {
    # Reads all that it is given, also what lies in folders, and fails of links that lead nowhere.
    "@tool": {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", READ, "sh"],
        "inputs": {
            "name": {"type": "string", "inputBinding": {"position": 1}},
            "given": {"type": GIVEN, "inputBinding": {"position": 2}},
            "also": {"type": GIVEN, "inputBinding": {"position": 3}},
        },
        "arguments": [{"valueFrom": "/dev/null", "position": 9}],
        "outputs": {"out": {"type": "File", "outputBinding": {"glob": "$(inputs.name)"}}},
    },
    "@indexed": {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-c", "echo x >$0.bam; echo x >$0.bam.bai; echo x >$0.log"],
        "inputs": {"name": {"type": "string", "inputBinding": {}}},
        "outputs": {
            "out": {"type": "File", "secondaryFiles": [".bai"], "outputBinding": {"glob": "*.bam"}},
            "log": {"type": "File", "outputBinding": {"glob": "*.log"}},
        },
    },
    # A folder with a file of its own, one of its input, linked, and a folder.
    "@folder": {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", 'mkdir -p $0/deep; echo x >$0/deep/own-$0; ln -s "$(readlink -f "$1")" $0/linked'],
        "inputs": {
            "name": {"type": "string", "inputBinding": {"position": 1}},
            "given": {"type": "File", "inputBinding": {"position": 2}},
        },
        "outputs": {"out": {"type": "Directory", "outputBinding": {"glob": "$(inputs.name)"}}},
    },
    "@pass": {
        "class": "ExpressionTool",
        "inputs": {"given": "Any"},
        "outputs": {"out": "Any"},
        "expression": "$({out: inputs.given})",
    },
    "@list": {
        "class": "ExpressionTool",
        "inputs": {"given": "Any", "also": "Any?"},
        "outputs": {"out": "Any"},
        "expression": "$({out: [inputs.given, inputs.also]})",
    },
    "@record": {
        "class": "ExpressionTool",
        "inputs": {"given": "Any"},
        "outputs": {"out": "Any"},
        "expression": '$({out: {"deep": [{"er": inputs.given}]}})',
    },
    "@first": {
        "class": "ExpressionTool",
        "inputs": {"given": "Any"},
        "outputs": {"out": "Any"},
        "expression": "$({out: inputs.given[0]})",
    },
    "@listing": {
        "class": "ExpressionTool",
        "inputs": {"given": "Any"},
        "outputs": {"out": "Directory"},
        "expression": '$({out: {"class": "Directory", "basename": "made", "listing": [inputs.given]}})',
    },
}


class Run:
    """A run of a compiled workflow, task by task; ``after`` is what was on the disk after each of them."""

    def __init__(self, folder: Path, document: str, job: dict[str, Any] | None = None, *, removes: bool = True) -> None:
        from cwl_ui_plugin.cwl.compiler import compiling
        from cwl_ui_plugin.cwl.engine import execution, run_settings

        self.source, self.compiled = folder / "source", folder / "compiled"
        self.source.mkdir()
        found = yaml.safe_load(HEAD + document)
        _put_tools(found)
        (self.source / "main.cwl").write_text(json.dumps(found))
        compiling.compile_document(self.source, "main.cwl", self.compiled)
        self.plan = read_plan(self.compiled)
        self.run = ("dag", f"run-{uuid.uuid4().hex[:8]}")
        self.settings = run_settings.RunSettings(engine="none", tag="test/unread/task/-1/1")
        self.removes = removes
        self.after: dict[str, set[str]] = {}
        self.instances: dict[tuple[str, int], Instance] = {}
        self.handed_on: dict[tuple[str, int], Any] = {}
        self.emptied: set[Instance] = set()
        self.folder = run_folder.run_tmp(*self.run)
        self.values = through_json(
            execution.start(self.compiled, self.source, job or {}, self.folder / "start/-1/1", self.settings)
        )

    def all(self) -> dict[str, Any]:
        from cwl_ui_plugin.cwl.engine import execution

        self.steps(self.plan.steps, self.values)
        outputs = execution.finish(self.compiled, self.source, self.values, self.source.parent / "outputs")
        return dict(through_json(outputs))

    def steps(self, steps: tuple[Step, ...], values: dict[str, Any]) -> None:
        for step in steps:
            self.step(step, values)

    def step(self, step: Step, values: dict[str, Any]) -> None:
        from cwl_ui_plugin.cwl.engine import execution, nesting

        read = {key: values[key] for key in step.sources if key in values}
        if step.scatter:
            values.update(self.scattered(step, read))
        elif step.steps:
            enter, folder = task_names.inputs_task(step.task_id), self.place(task_names.inputs_task(step.task_id))
            inner = through_json(nesting.enter(self.compiled, self.source, step, read, folder, self.settings))
            self.ended(enter, inner or {names.SKIPPED: [True, "skipped"]}, "success" if inner else "skipped")
            if inner is None:
                for one in _tasks_in(step):
                    self.ended(one, {}, "skipped")
                values.update(nesting.skipped(step))
            else:
                self.steps(step.steps, inner)
                values.update(nesting.leave(self.compiled, self.source, step, inner))
            self.ended(step.task_id, {name: values[name] for name in step.outputs})
        else:
            place = self.place(step.task_id)
            result = execution.run_step(self.compiled, self.source, step, read, place, self.settings)
            values.update(through_json(result.values))
            self.ended(step.task_id, {name: values[name] for name in step.outputs}, result.status)

    def scattered(self, step: Step, read: dict[str, Any]) -> dict[str, Any]:
        from cwl_ui_plugin.cwl.engine import scattering

        count = len(scattering.element_labels(self.compiled, self.source, step, read))
        batches = [{"first": index, "last": index, "label": ""} for index in range(count)]
        self.ended(task_names.scatter_task(step.task_id), batches)
        results: dict[str, Any] = {}
        for index in range(count):
            self.instances[step.task_id, index] = Instance(step.task_id, index, 1, "running")
        for index in range(count):
            one, place = range(index, index + 1), self.place(step.task_id, index)
            found = scattering.run_elements(self.compiled, self.source, step, read, one, place, self.settings)
            results |= through_json(found.results)
            self.ended(step.task_id, through_json(found.results), index=index)
        values = scattering.gather(self.compiled, self.source, step, read, results)[0]
        self.ended(task_names.gather_task(step.task_id), values)
        return values

    def place(self, task_id: str, index: int = -1) -> Path:
        folder = self.folder / task_id / str(index) / "1"
        folder.mkdir(parents=True)
        return folder

    def ended(self, task_id: str, handed_on: Any, state: str = "success", index: int = -1) -> None:
        self.instances[task_id, index] = Instance(task_id, index, 1, state)
        self.handed_on[task_id, index] = through_json(handed_on)
        if self.removes:
            self.remove()
        self.after[task_id if index < 0 else f"{task_id}[{index}]"] = self.left()

    def remove(self) -> int | None:
        return unread_files._Removal(self.run, self.emptied).remove()

    def left(self) -> set[str]:
        """The names of the files that tools have made."""
        return {path.name for path in self.folder.glob("*/*/*/out_*/**/*") if path.is_file() and not path.is_symlink()}

    def standing(self) -> Standing:
        ended = frozenset(one for one in self.instances.values() if one.state in unread_files._ENDED_WELL)
        unended: dict[str, list[int]] = {}
        for one in set(self.instances.values()) - ended:
            unended.setdefault(one.task_id, []).append(one.map_index)
        return Standing("version", ended, unended)


def _put_tools(node: Any) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and value in TOOLS:
                node[key] = TOOLS[value]
            else:
                _put_tools(value)
    elif isinstance(node, list):
        for item in node:
            _put_tools(item)


def _tasks_in(step: Step) -> Iterator[str]:
    for inner in step.steps:
        if inner.scatter:
            yield from (task_names.scatter_task(inner.task_id), task_names.gather_task(inner.task_id))
        yield inner.task_id


@pytest.fixture
def begin(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Begin a run whose tasks stand as the test says, not as a database does: ``begin(document, job)``."""

    def begin_run(document: str, job: dict[str, Any] | None = None, *, removes: bool = True) -> Run:
        folder = tmp_path / uuid.uuid4().hex[:8]
        folder.mkdir()
        run = Run(folder, document, job, removes=removes)
        monkeypatch.setattr(unread_files, "_standing", lambda _run: run.standing())
        monkeypatch.setattr(unread_files, "_flow", lambda _dag_id, _version: unread_files._flow_of(run.compiled))
        monkeypatch.setattr(
            unread_files,
            "_handed_on",
            lambda _run, tasks: [(key, value) for key, value in run.handed_on.items() if key[0] in tasks],
        )
        return run

    return begin_run


def _in(**given: str) -> str:
    return json.dumps({key: {"default": value[1:]} if value.startswith("=") else value for key, value in given.items()})


def step(name: str, run: str = "@tool", **given: str) -> str:
    """A step that makes a file of its own name, as a line of YAML."""
    inputs = given if run in ("@pass", "@list", "@record", "@first", "@listing") else {"name": f"={name}", **given}
    return f"  {name}: {{run: '{run}', in: {_in(**inputs)}, out: [out]}}\n"


def workflow(*steps: str, outputs: str = "{}", inputs: str = "{}") -> str:
    return f"inputs: {inputs}\noutputs: {outputs}\nsteps:\n{''.join(steps)}"


def last_of(sources: str, more: str) -> str:
    given = f"{{source: [{sources}], {more}}}"
    return f"  last: {{run: '@tool', in: {{name: {{default: last}}, given: {given}}}, out: [out]}}\n"


LAST = "{all: {type: Any, outputSource: last/out}}"
NESTED = f"""
  sub:
    run:
      class: Workflow
      inputs: {{given: File}}
      outputs: {{out: {{type: Any, outputSource: two/out}}, through: {{type: Any, outputSource: given}}}}
      steps:
        one: {{run: '@tool', in: {_in(name="=one", given="given")}, out: [out]}}
        two: {{run: '@tool', in: {_in(name="=two", given="one/out")}, out: [out]}}
    in: {{given: a/out}}
    out: [out, through]
"""
SHAPES: dict[str, tuple[str, dict[str, set[str]]]] = {
    "chain": (
        workflow(
            step("a"), step("b", given="a/out"), step("c", given="b/out"), step("last", given="c/out"), outputs=LAST
        ),
        {"a": {"a"}, "b": {"b"}, "c": {"c"}, "last": {"last"}},
    ),
    "diamond": (
        workflow(
            step("a"),
            step("b", given="a/out"),
            step("c", given="a/out"),
            step("last", given="b/out", also="c/out"),
            outputs=LAST,
        ),
        {"a": {"a"}, "b": {"a", "b"}, "c": {"b", "c"}, "last": {"last"}},
    ),
    "an output of the run that a step reads, too": (
        workflow(
            step("a"),
            step("b", given="a/out"),
            step("last", given="b/out"),
            outputs="{x: {type: File, outputSource: a/out}}",
        ),
        {"b": {"a", "b"}, "last": {"a"}},
    ),
    "nobody reads it": (workflow(step("a"), step("last"), outputs=LAST), {"a": set(), "last": {"last"}}),
    "handed through by an expression": (
        workflow(step("a"), step("p", "@pass", given="a/out"), step("last", given="p/out"), outputs=LAST),
        {"p": {"a"}, "last": {"last"}},
    ),
    "handed through to an output": (
        workflow(step("a"), step("last", "@pass", given="a/out"), outputs=LAST),
        {"last": {"a"}},
    ),
    "in a record and a list": (
        workflow(
            step("a"),
            step("b"),
            step("l", "@list", given="a/out", also="b/out"),
            step("r", "@record", given="l/out"),
            step("z"),
            step("last", "@pass", given="r/out"),
            outputs=LAST,
        ),
        {"r": {"a", "b"}, "z": {"a", "b"}, "last": {"a", "b"}},
    ),
    "the first of a list": (
        workflow(
            step("a"),
            step("b"),
            step("l", "@list", given="a/out", also="b/out"),
            step("last", "@first", given="l/out"),
            outputs=LAST,
        ),
        {"l": {"a", "b"}, "last": {"a"}},
    ),
    "in the listing of a literal Directory": (
        workflow(step("a"), step("d", "@listing", given="a/out"), step("last", given="d/out"), outputs=LAST),
        {"d": {"a"}, "last": {"last"}},
    ),
    "a link in a Directory to an input": (
        workflow(step("a"), step("d", "@folder", given="a/out"), step("z"), step("last", given="d/out"), outputs=LAST),
        {"d": {"a", "own-d"}, "last": {"last"}},
    ),
    "secondary files": (
        workflow(
            "  a: {run: '@indexed', in: {name: {default: a}}, out: [out, log]}\n",
            step("b", given="a/log"),
            step("last", given="a/out"),
            outputs=LAST,
        ),
        {"b": {"a.bam", "a.bam.bai"}, "last": {"last"}},
    ),
    "one of several outputs": (
        workflow(
            "  a: {run: '@indexed', in: {name: {default: a}}, out: [out, log]}\n",
            step("b", given="a/out"),
            step("last", given="a/log"),
            outputs="{x: {type: Any, outputSource: a/log}, y: {type: Any, outputSource: last/out}}",
        ),
        {"b": {"a.log"}, "last": {"a.log", "last"}},
    ),
    "merged sources": (
        workflow(
            step("a"),
            step("b"),
            last_of("a/out, b/out", "linkMerge: merge_flattened"),
            outputs=LAST,
        ),
        {"a": {"a"}, "b": {"a", "b"}, "last": {"last"}},
    ),
    "picked": (
        workflow(
            step("a"),
            step("b"),
            last_of("a/out, b/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"b": {"a", "b"}, "last": {"last"}},
    ),
    "skipped": (
        workflow(
            step("a"),
            "  s: {run: '@tool', when: '$(false)', in: {name: {default: s}, given: a/out}, out: [out]}\n",
            last_of("s/out, a/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"s": {"a"}, "last": {"last"}},
    ),
    "skipped, and the only reader": (
        workflow(
            step("a"),
            "  last: {run: '@tool', when: '$(false)', in: {name: {default: s}, given: a/out}, out: [out]}\n",
            outputs=LAST,
        ),
        {"a": {"a"}, "last": set()},
    ),
    "subworkflow": (
        workflow(step("a"), NESTED, step("last", given="sub/out"), outputs=LAST),
        {
            "a": {"a"},
            "sub.inputs": {"a"},
            "sub.one": {"a", "one"},
            "sub.two": {"a", "two"},
            "sub": {"two"},
            "last": {"last"},
        },
    ),
    "through a subworkflow": (
        workflow(step("a"), NESTED, step("last", given="sub/through"), outputs=LAST),
        {"sub.two": {"a", "two"}, "sub": {"a"}, "last": {"last"}},
    ),
    "skipped subworkflow": (
        workflow(
            step("a"),
            NESTED.replace("    in: {given", "    when: '$(false)'\n    in: {given"),
            last_of("sub/out, a/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"sub": {"a"}, "last": {"last"}},
    ),
    "scatter after scatter": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1, a2]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: given, in: {given: a/out, name: {valueFrom: 'of-$(inputs.given.basename)'}},"
            " out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {
            "a.gather": {"a0", "a1", "a2"},
            "b[0]": {"a1", "a2", "of-a0"},
            "b[1]": {"a2", "of-a0", "of-a1"},
            "b.gather": {"of-a0", "of-a1", "of-a2"},
            "last": {"last"},
        },
    ),
    "scatter whose list is read as a whole, too": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: given, in: {given: a/out, also: a/out, name: {default: b}}, out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1", "b"}, "b[1]": {"b"}, "last": {"last"}},
    ),
    "crossproduct": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: [given, also], scatterMethod: flat_crossproduct,"
            " in: {given: a/out, also: a/out, name: {default: b}}, out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1", "b"}, "b[2]": {"a0", "a1", "b"}, "b[3]": {"b"}, "last": {"last"}},
    ),
    "scattered subworkflow": (
        workflow(
            step("a"),
            NESTED.replace("in: {given", "scatter: given\n    in: {given").replace("{given: a/out}", "{given: l/out}"),
            step("l", "@list", given="a/out", also="a/out"),
            step("last", given="sub/out"),
            outputs=LAST,
        ),
        {"l": {"a"}, "sub[0]": {"a", "two"}, "sub[1]": {"a", "two"}, "sub.gather": {"two"}, "last": {"last"}},
    ),
    "an element that chooses a list's file later": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@pass', scatter: given, in: {given: a/out}, out: [out]}\n",
            step("f", "@first", given="b/out"),
            step("last", given="f/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1"}, "b.gather": {"a0", "a1"}, "f": {"a0"}, "last": {"last"}},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_there_after_each_task_and_all_later_ones_find_theirs(begin: Callable[..., Run], shape: str) -> None:
    document, expected = SHAPES[shape]
    run = begin(document)
    outputs = run.all()
    assert {task: run.after[task] for task in expected} == expected
    assert all(path.exists() for path in local_paths(outputs))


def test_a_loop_keeps_what_it_reads_until_it_has_ended(begin: Callable[..., Run]) -> None:
    document = workflow(
        step("a"),
        """  s:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'cat "$1" >loop-$0']
      inputs: {count: {type: int, inputBinding: {position: 1}}, file: {type: File, inputBinding: {position: 2}}}
      outputs:
        out: {type: File, outputBinding: {glob: "loop-*"}}
        next: {type: int, outputBinding: {outputEval: $(inputs.count + 1)}}
    requirements:
      cwltool:Loop: {loopWhen: $(inputs.count < 3), loop: {count: next, file: out}, outputMethod: last}
    in: {count: {default: 0}, file: a/out}
    out: [out, next]
""",
        step("last", given="s/out"),
        outputs=LAST,
    )
    run = begin("$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}\n" + document)
    run.all()
    assert (run.after["a"], run.after["s"], run.after["last"]) == ({"a"}, {"loop-2"}, {"last"})


CHAIN = SHAPES["chain"][0]


@pytest.fixture
def chain(begin: Callable[..., Run]) -> Run:
    """A run whose first two steps of four have ended, and nothing is removed yet."""
    run = begin(CHAIN, removes=False)
    run.steps(run.plan.steps[:2], run.values)
    return run


def test_a_failed_task_keeps_what_it_has_read(chain: Run) -> None:
    for state in ("failed", "up_for_retry", "running", "upstream_failed"):
        chain.instances["b", -1] = Instance("b", -1, 1, state)
        chain.remove()
        assert chain.left() == {"a", "b"}, state


def test_the_folder_of_an_earlier_try_stays_until_the_end(chain: Run) -> None:
    chain.instances["a", -1] = Instance("a", -1, 2, "success")
    chain.remove()
    assert chain.left() == {"a", "b"}


def test_logs_stay_where_files_go(chain: Run) -> None:
    (chain.folder / "a/-1/1/stdout.log").write_text("printed")
    chain.remove()
    assert chain.left() == {"b"}
    assert (chain.folder / "a/-1/1/stdout.log").read_text() == "printed"


def test_nothing_goes_where_what_a_task_has_handed_on_is_not_known(chain: Run) -> None:
    del chain.handed_on["b", -1]
    with pytest.raises(ValueError, match="not known"):
        chain.remove()
    assert chain.left() == {"a", "b"}


def test_a_folder_above_all_that_is_handed_on_keeps_all(chain: Run) -> None:
    chain.handed_on["b", -1] = _as(chain.handed_on["b", -1], {"class": "Directory", "location": chain.folder.as_uri()})
    chain.remove()
    assert chain.left() == {"a", "b"}


def test_a_link_to_a_link_keeps_both(chain: Run, tmp_path: Path) -> None:
    out = next(chain.folder.glob("a/-1/1/out_*/a")).parent
    made = next(chain.folder.glob("b/-1/1/out_*/b")).parent
    (made / "b").unlink()
    (out / "relative").symlink_to("../" + out.name + "/a")
    (made / "b").symlink_to(out / "relative")
    chain.remove()
    assert (made / "b").exists()
    assert (out / "a").exists()


def test_a_link_in_the_place_of_a_folder_is_not_followed(chain: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "1/out_x").mkdir(parents=True)
    (elsewhere / "1/out_x/precious").write_text("kept")
    task = chain.folder / "a"
    (task / "-1").rename(tmp_path / "moved")
    (task / "-1").symlink_to(elsewhere)
    chain.remove()
    assert (elsewhere / "1/out_x/precious").read_text() == "kept"


def test_what_a_link_leads_to_stays_when_the_link_goes(chain: Run, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    out = next(chain.folder.glob("a/-1/1/out_*"))
    (out / "folder").symlink_to(precious)
    (out / "new\nline\udcff").write_text("odd")
    chain.remove()
    assert chain.left() == {"b"}
    assert (precious / "file").read_text() == "kept"


def test_a_task_that_is_cleared_while_files_are_removed_keeps_them(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cleared after it was looked at, and before the word was written that files are being removed."""
    asked: list[Standing] = [chain.standing()]
    cleared = replace(asked[0], ended=frozenset(one for one in asked[0].ended if one.task_id != "b"))
    monkeypatch.setattr(unread_files, "_standing", lambda _run: asked.pop() if asked else cleared)
    assert chain.remove() is None
    assert chain.left() == {"a", "b"}
    check(chain)


def test_a_process_that_is_left_of_a_task_keeps_its_files(chain: Run) -> None:
    with run_folder.lease(TaskTry(*chain.run, "b", -1, 1), 1):
        assert chain.remove() is None
    assert chain.left() == {"a", "b"}


def check(run: Run, task: str = "b") -> None:
    """Do what a task does that begins: it reads what ``a`` has made."""
    intermediate.check_there(TaskTry(*run.run, task, -1, 2), run.handed_on["a", -1], f"Step {task}")


def test_a_task_whose_files_are_gone_says_which_task_to_clear(chain: Run) -> None:
    check(chain)
    chain.remove()
    with pytest.raises(StepError, match=r"Step b needs a, which the task a has made.* Clear a, too.*keep_intermediate"):
        check(chain)


def test_a_file_that_was_never_there_is_not_said_to_be_removed(chain: Run) -> None:
    next(chain.folder.glob("a/-1/1/out_*/a")).unlink()
    check(chain)


def test_a_task_waits_while_files_are_removed(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            finished.__exit__(None, None, None)

    monkeypatch.setattr(intermediate.time, "sleep", sleep)
    finished = intermediate.removing(*chain.run)
    finished.__enter__()
    check(chain)
    assert len(waited) == 2


def test_the_word_of_somebody_who_was_killed_grows_old(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    intermediate.removing(*chain.run).__enter__()
    monkeypatch.setattr(intermediate, "STALE_SECONDS", 0.0)
    check(chain)
    monkeypatch.undo()


def test_who_was_overtaken_or_is_too_slow_removes_nothing(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with intermediate.removing(*chain.run) as holds:
        assert holds()
        with intermediate.removing(*chain.run) as of_another:
            assert not holds()
            assert of_another()
    monkeypatch.setattr(intermediate, "MAX_REMOVING_SECONDS", 0.0)
    assert chain.remove() is None
    assert chain.left() == {"a", "b"}


def test_what_was_put_aside_before_a_kill_goes_with_the_next_round(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(intermediate, "empty_bins", lambda _place: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            chain.remove()
    assert list(chain.folder.glob("a/-1/1/.removed-*"))
    chain.remove()
    assert not list(chain.folder.glob("a/-1/1/.removed-*"))
    with pytest.raises(StepError, match="is gone"):
        check(chain)


def test_the_end_of_a_run_removes_the_word_of_a_removal(chain: Run) -> None:
    intermediate.removing(*chain.run).__enter__()
    run_folder.remove_run_tmp(*chain.run)
    assert not chain.folder.exists()
    assert not intermediate._word(*chain.run).parent.exists()


def test_files_that_tools_change_in_place_stay(begin: Callable[..., Run]) -> None:
    run = begin("hints: {InplaceUpdateRequirement: {inplaceUpdate: true}}\n" + CHAIN)
    run.steps(run.plan.steps, run.values)
    assert run.after["last"] == {"a", "b", "c", "last"}


def _as(handed_on: dict[str, Any], value: Any) -> dict[str, Any]:
    return {key: [value, "success"] for key in handed_on}


@pytest.fixture
def stored_run(folders: Path, store: WorkflowStore) -> tuple[str, str]:
    """A run of a stored workflow ``a`` -> ``b`` -> ``c``, as Airflow's database has it, and the files of a and b."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.triggering import triggers

    dag_id, run_id = f"unread-{uuid.uuid4().hex[:8]}", f"run-{uuid.uuid4().hex[:8]}"
    plan = plan_of("a", "b", "c")
    steps = tuple(replace(step, sources=tuple(f"#{name}/out" for name in step.upstream)) for step in plan.steps)
    plan = replace(plan, steps=steps, output_sources=("#c/out",))
    add_version(store, dag_id, plan, "document", packed_of(plan))
    register(dag_id)
    triggers.trigger(dag_id, conf={"job": {"text": "x"}}, run_id=run_id, user="ada", via=triggers.REST)
    set_run(dag_id, run_id, "running")
    for name in ("a", "b"):
        set_task(dag_id, run_id, name, state="success", try_number=1)
        file = run_folder.run_tmp(dag_id, run_id) / name / "-1/1/out_x" / name
        file.parent.mkdir(parents=True)
        file.write_text(name)
        value = {"class": "File", "location": file.as_uri(), "basename": name}
        push(dag_id, run_id, name, names.RETURN_KEY, {f"#{name}/out": [value, "success"]})
    return dag_id, run_id


def left(run: tuple[str, str]) -> list[str]:
    return sorted(path.name for path in run_folder.run_tmp(*run).rglob("*") if path.is_file() and len(path.name) == 1)


def test_the_database_says_which_tasks_have_ended(stored_run: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_files, "_PACE", 0)
    files = unread_files.UnreadFiles()
    assert files.remove() == 1
    assert left(stored_run) == ["b"]
    set_task(*stored_run, "c", state="skipped", try_number=1)
    assert files.remove() == 1
    assert left(stored_run) == []


@pytest.mark.parametrize("state", [None, "scheduled", "running", "failed", "up_for_retry", "upstream_failed"])
def test_a_task_that_has_not_ended_well_keeps_what_it_reads(stored_run: tuple[str, str], state: str | None) -> None:
    set_task(*stored_run, "b", state=state)
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_site_may_keep_all(stored_run: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_INTERMEDIATE", "True")
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


@pytest.mark.parametrize("state", ["queued", "failed"])
def test_only_runs_that_go_on_are_looked_at(stored_run: tuple[str, str], state: str) -> None:
    set_run(*stored_run, state)
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_run_in_which_nothing_has_ended_since_costs_two_queries(
    stored_run: tuple[str, str], statements: list[str]
) -> None:
    files = unread_files.UnreadFiles()
    files.remove()
    statements.clear()
    files.remove()
    assert len(statements) == 2


def test_a_run_whose_version_is_not_known_keeps_all(stored_run: tuple[str, str]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == stored_run[1]).values(bundle_version=None))
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]


def test_a_value_of_another_shape_is_told_in_the_log_and_keeps_all(
    stored_run: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    push(*stored_run, "b", names.RETURN_KEY, "not a value")
    assert unread_files.UnreadFiles().remove() == 0
    assert left(stored_run) == ["a", "b"]
    assert "stay until it has ended" in caplog.text
