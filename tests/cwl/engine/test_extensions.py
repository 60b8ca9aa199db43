"""cwltool's extensions of CWL work through step documents, too."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import execution, run_settings
from cwl_ui_plugin.cwl.engine.secrets import SecretsFile

NAMESPACES = '$namespaces: {cwltool: "http://commonwl.org/cwltool#"}\n'

LOOP = (
    "cwlVersion: v1.2\n"
    + NAMESPACES
    + """
class: Workflow
requirements: {InlineJavascriptRequirement: {}}
inputs: {i1: int, i2: int}
outputs: {o1: {type: int, outputSource: count/o1}}
steps:
  count:
    run:
      class: ExpressionTool
      inputs: {i1: int, i2: int}
      outputs: {o1: int}
      expression: "${return {'o1': inputs.i1 + inputs.i2};}"
    in: {i1: i1, i2: i2}
    out: [o1]
    requirements:
      cwltool:Loop: {loopWhen: $(inputs.i1 < 10), loop: {i1: o1}, outputMethod: last}
"""
)
NESTED_LOOP = (
    "cwlVersion: v1.2\n"
    + NAMESPACES
    + """
class: Workflow
requirements: {InlineJavascriptRequirement: {}, SubworkflowFeatureRequirement: {}, StepInputExpressionRequirement: {}}
inputs: {i1: int, i2: int}
outputs: {o1: {type: Any, outputSource: outer/o1}}
steps:
  outer:
    run:
      class: Workflow
      inputs: {i1: int, i2: int}
      outputs: {o1: {type: "int[]", outputSource: inner/o1}}
      steps:
        inner:
          run:
            class: ExpressionTool
            inputs: {i1: int, i2: int}
            outputs: {o1: int}
            expression: "${return {'o1': inputs.i1 + 1};}"
          in: {i1: i1, i2: i2}
          out: [o1]
          requirements:
            cwltool:Loop: {loopWhen: $(inputs.i1 <= inputs.i2), loop: {i1: o1}, outputMethod: all}
    in: {i1: i1, i2: i2}
    out: [o1]
    requirements:
      cwltool:Loop:
        loopWhen: $(inputs.i2 < 4)
        loop: {i2: {valueFrom: $(inputs.i2 + 1)}}
        outputMethod: all
"""
)
SECRETS = (
    "cwlVersion: v1.2\n"
    + NAMESPACES
    + """
class: Workflow
hints: {"cwltool:Secrets": {secrets: [password]}}
requirements: {InlineJavascriptRequirement: {}}
inputs: {password: string}
outputs: {length: {type: File, outputSource: measure/length}}
steps:
  measure:
    run:
      class: CommandLineTool
      requirements:
        InitialWorkDirRequirement: {listing: [{entryname: key.txt, entry: $(inputs.password)}]}
      baseCommand: [wc, -c, key.txt]
      inputs: {password: string}
      outputs: {length: stdout}
    in: {password: password}
    out: [length]
"""
)
MPI = (
    "cwlVersion: v1.2\n"
    + NAMESPACES
    + """
class: CommandLineTool
requirements: {"cwltool:MPIRequirement": {processes: 3}}
baseCommand: [echo, rank]
inputs: []
outputs: {said: stdout}
"""
)
INPLACE = (
    "cwlVersion: v1.0\n"
    + NAMESPACES
    + """
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {}
  cwltool:InplaceUpdateRequirement: {inplaceUpdate: true}
  InitialWorkDirRequirement: {listing: [{entry: $(inputs.file), writable: true}]}
  ShellCommandRequirement: {}
arguments: [{shellQuote: false, valueFrom: "echo more >> $(inputs.file.basename)"}]
inputs: {file: File}
outputs: {out: {type: File, outputBinding: {glob: $(inputs.file.basename)}}}
"""
)


def in_own_process(function: Any, *arguments: Any) -> Any:
    """Run in a process of its own, as Airflow's tasks are; the schemas with extensions stay in it."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: sender.send(function(*arguments)))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 0
    return receiver.recv()


def outputs_of(document: str, job: dict[str, Any], folder: Path, **settings: Any) -> dict[str, Any]:
    source = folder / "source"
    source.mkdir()
    (source / "main.cwl").write_text(document)

    def run() -> dict[str, Any]:
        compiling.compile_document(source, "main.cwl", folder / "compiled")
        return run_compiled(folder / "compiled", source, job, folder / "run", **settings)

    return dict(in_own_process(run))


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    run_settings.preload()


def test_a_loop_runs_until_its_condition_is_false(tmp_path: Path) -> None:
    assert outputs_of(LOOP, {"i1": 1, "i2": 2}, tmp_path) == {"o1": 11}


def test_a_loop_collects_what_a_loop_inside_it_has_collected(tmp_path: Path) -> None:
    assert outputs_of(NESTED_LOOP, {"i1": 1, "i2": 1}, tmp_path) == {"o1": [[2], [2, 3], [2, 3, 4]]}


def test_a_secret_reaches_its_command_and_no_value(tmp_path: Path) -> None:
    outputs = outputs_of(SECRETS, {"password": "open sesame"}, tmp_path, secrets=SecretsFile(tmp_path / "secrets.json"))
    assert Path(outputs["length"]["path"]).read_text().split()[0] == str(len("open sesame"))
    kept = tmp_path / "secrets.json"
    assert kept.stat().st_mode & 0o777 == stat.S_IRUSR | stat.S_IWUSR
    assert list(json.loads(kept.read_text()).values()) == ["open sesame"]
    plan = json.loads((tmp_path / "compiled" / "plan.json").read_text())
    assert [item["is_secret"] for item in plan["inputs"]] == [True]


def test_the_values_that_travel_between_tasks_have_no_secret(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.cwl").write_text(SECRETS)

    def start() -> Any:
        compiling.compile_document(source, "main.cwl", tmp_path / "compiled")
        keeper = SecretsFile(tmp_path / "secrets.json")
        settings = run_settings.RunSettings(engine="none", tag="t/r/s/-1/1", secrets=keeper)
        return execution.start(tmp_path / "compiled", source, {"password": "sesame"}, tmp_path / "run", settings)

    assert "sesame" not in json.dumps(in_own_process(start))


def test_mpi_runs_as_the_site_says(tmp_path: Path) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text('#!/bin/sh\necho launched "$@"\n')
    launcher.chmod(0o755)
    config = tmp_path / "mpi.yml"
    config.write_text(json.dumps({"runner": str(launcher), "nproc_flag": "-np"}))
    outputs = outputs_of(MPI, {}, tmp_path, mpi_config=config)
    assert Path(outputs["said"]["path"]).read_text() == "launched -np 3 echo rank\n"


def test_a_file_is_changed_in_place_where_the_tool_may(tmp_path: Path) -> None:
    file = tmp_path / "data.txt"
    file.write_text("one\n")
    outputs_of(INPLACE, {"file": {"class": "File", "location": file.as_uri()}}, tmp_path)
    assert file.read_text() == "one\nmore\n"
