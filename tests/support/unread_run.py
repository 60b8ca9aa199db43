"""A run of a compiled workflow, task by task, of which files that nobody reads any more are removed meanwhile."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from support.compiled_run import through_json

from cwl_ui_plugin.cwl import task_names
from cwl_ui_plugin.cwl.plan import Step, read_plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import run_folder
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


def in_of(**given: str) -> str:
    return json.dumps({key: {"default": value[1:]} if value.startswith("=") else value for key, value in given.items()})


def step(name: str, run: str = "@tool", **given: str) -> str:
    """A step that makes a file of its own name, as a line of YAML."""
    inputs = given if run in ("@pass", "@list", "@record", "@first", "@listing") else {"name": f"={name}", **given}
    return f"  {name}: {{run: '{run}', in: {in_of(**inputs)}, out: [out]}}\n"


def workflow(*steps: str, outputs: str = "{}", inputs: str = "{}") -> str:
    return f"inputs: {inputs}\noutputs: {outputs}\nsteps:\n{''.join(steps)}"


def last_of(sources: str, more: str) -> str:
    given = f"{{source: [{sources}], {more}}}"
    return f"  last: {{run: '@tool', in: {{name: {{default: last}}, given: {given}}}, out: [out]}}\n"


LAST = "{all: {type: Any, outputSource: last/out}}"
CHAIN = workflow(
    step("a"), step("b", given="a/out"), step("c", given="b/out"), step("last", given="c/out"), outputs=LAST
)
