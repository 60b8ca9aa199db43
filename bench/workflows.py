"""The CWL documents that are measured. None needs a network or a container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WC = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [wc, -l]
inputs: {file: File}
outputs: {count: stdout}
stdin: $(inputs.file.path)
stdout: count.txt
"""
SCATTER = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {texts: "string[]"}
outputs: {lines: {type: "File[]", outputSource: say/line}}
steps:
  say:
    scatter: text
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {line: stdout}
      stdout: $(inputs.text).txt
    in: {text: texts}
    out: [line]
"""


WC_STEP = """\
cwlVersion: v1.2
class: Workflow
inputs: {file: File}
outputs: {count: {type: File, outputSource: count/count}}
steps:
  count: {run: wc.cwl, in: {file: file}, out: [count]}
"""


def write(folder: Path, name: str, content: str | dict[str, Any]) -> Path:
    """Write a document or a job; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def wc(folder: Path) -> tuple[Path, Path]:
    """Write a tool and its job."""
    write(folder, "text.txt", "one\ntwo\n")
    job = {"file": {"class": "File", "path": "text.txt"}}
    return write(folder, "wc.cwl", WC), write(folder, "wc-job.json", job)


def wc_workflow(folder: Path) -> tuple[Path, Path]:
    """Write the same tool as a workflow of one step, and its job."""
    _document, job = wc(folder)
    return write(folder, "wc-step.cwl", WC_STEP), job


def chain(folder: Path, steps: int) -> tuple[Path, Path]:
    """Write a workflow of trivial tools that follow each other, and its job."""
    write(folder, "text.txt", "one\ntwo\n")
    name = f"chain-{steps}"
    job = {"file": {"class": "File", "path": "text.txt"}}
    return write(folder, f"{name}.cwl", chain_document(steps)), write(folder, f"{name}-job.json", job)


def scatter(folder: Path, elements: int) -> tuple[Path, Path]:
    """Write a workflow that echoes each text of a list, and its job."""
    job = {"texts": [f"text{number}" for number in range(elements)]}
    return write(folder, "scatter.cwl", SCATTER), write(folder, f"scatter-{elements}-job.json", job)


def chain_document(steps: int) -> dict[str, Any]:
    """Return a workflow of ``cat`` after ``cat``."""
    tool = {
        "class": "CommandLineTool",
        "baseCommand": "cat",
        "inputs": {"file": {"type": "File", "inputBinding": {}}},
        "outputs": {"copy": "stdout"},
        "stdout": "copy.txt",
    }
    sources = ["file", *(f"step{number}/copy" for number in range(1, steps + 1))]
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"file": "File"},
        "outputs": {"copy": {"type": "File", "outputSource": sources[-1]}},
        "steps": {
            f"step{number}": {"run": tool, "in": {"file": sources[number - 1]}, "out": ["copy"]}
            for number in range(1, steps + 1)
        },
    }
