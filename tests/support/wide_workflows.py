"""Workflows as those of datirium/workflows: many inputs of each kind, with labels, documentation and hints of SciDAP.

Each input goes to a step that prints it, and the last step puts together what all have printed: ``name=value`` lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CWL = dict[str, Any]
ENUM = {"type": "enum", "symbols": ["none", "mild", "strict"]}
FILES = {"type": "array", "items": "File"}
_OPTIONAL: tuple[tuple[str, Any, Any], ...] = (
    # what it is called, its type, its default (``...``: none)
    ("threads", "int", 4),
    ("is_paired", "boolean", False),
    ("trimming", ENUM, "mild"),
    ("annotation", ["null", "File"], ...),
    ("threshold", ["null", "double"], ...),
    ("adapters", ["null", FILES], ...),
    ("comment", ["null", "string"], ...),
    ("keep_duplicates", ["null", "boolean"], ...),
)


@dataclass(frozen=True)
class Wide:
    """A workflow, and how many inputs and steps it has."""

    document: CWL
    names: list[str]

    @property
    def kinds(self) -> dict[str, Any]:
        """The types of its inputs by their names."""
        return {name: item["type"] for name, item in self.document["inputs"].items()}


def wide_workflow(label: str, inputs: int, steps: int) -> Wide:
    """Return a workflow of so many inputs, the required ones first (the second reads before the first), and steps."""
    made: CWL = {
        "fastq_r2": _input("File", "Reads 2", "FASTQ file with the *second* reads."),
        "fastq_r1": _input("File", "Reads 1", "FASTQ file with the first reads."),
        "genome": _input("string", "Genome", "Which genome to align to."),
        "replicates": _input(FILES, "Replicates", "Files of all replicates, one path in each line."),
    }
    for number in range(inputs - len(made)):
        name, kind, default = _OPTIONAL[number % len(_OPTIONAL)]
        item = _input(kind, f"{name.replace('_', ' ').capitalize()} {number}", f"Sets {name} of step {number % steps}.")
        if default is not ...:
            item["default"] = default
        if number >= 2 * len(_OPTIONAL):
            item["sd:layout"] = {"advanced": True}
        made[f"{name}_{number}"] = item
    return Wide(_workflow(label, made, steps), list(made))


def _input(kind: Any, label: str, doc: str) -> CWL:
    return {"type": kind, "label": label, "doc": doc, "sd:preview": {"position": 1}}


def _workflow(label: str, inputs: CWL, steps: int) -> CWL:
    shares = [list(inputs)[number::steps] for number in range(steps)]
    printing = {f"print_{number}": _printing(inputs, share, number) for number, share in enumerate(shares)}
    together = {
        "run": _together(),
        "in": {"parts": {"source": [f"{step}/printed" for step in printing], "linkMerge": "merge_flattened"}},
        "out": ["report"],
    }
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "label": label,
        "requirements": {"MultipleInputFeatureRequirement": {}},
        "inputs": inputs,
        "outputs": {"report": {"type": "File", "outputSource": "put_together/report"}},
        "steps": {**printing, "put_together": together},
        "$namespaces": {"sd": "https://scidap.com/"},
        "sd:version": 100,
    }


def _printing(inputs: CWL, share: list[str], number: int) -> CWL:
    """A step that prints its share of the inputs."""
    bound = {
        name: {
            "type": inputs[name]["type"],
            "inputBinding": {"prefix": f"{name}=", "separate": False, "itemSeparator": ","},
        }
        for name in share
    }
    tool = {
        "class": "CommandLineTool",
        "label": f"Print share {number}",
        "baseCommand": ["printf", "%s\\n", f"share={number}"],
        "inputs": bound,
        "outputs": {"printed": "stdout"},
        "stdout": f"printed-{number}.txt",
    }
    return {"run": tool, "in": {name: name for name in share}, "out": ["printed"]}


def _together() -> CWL:
    return {
        "class": "CommandLineTool",
        "baseCommand": "cat",
        "inputs": {"parts": {"type": FILES, "inputBinding": {}}},
        "outputs": {"report": "stdout"},
        "stdout": "report.txt",
    }


SAMPLE = {
    "type": "record",
    "name": "sample",
    "fields": {"reads": {"type": "File"}, "name": {"type": "string"}, "lanes": {"type": "int?"}},
}
RANGE = {"type": "record", "name": "range", "fields": {"last": {"type": "int"}, "first": {"type": "int"}}}
RECORDS: CWL = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "label": "Records and unions",
    "requirements": {"InlineJavascriptRequirement": {}},
    "baseCommand": "echo",
    "arguments": ["$(JSON.stringify([inputs.sample.name, inputs.sample.lanes, inputs.sample.reads.basename]))"],
    "inputs": {
        "sample": {"type": SAMPLE, "label": "Sample", "doc": "What was sequenced."},
        "region": {"type": ["null", RANGE, "string"], "label": "Region"},
        "limit": {"type": ["int", "string"], "label": "Limit"},
        "one_or_many": {"type": ["File", FILES], "label": "One or many"},
        "more": {"type": {"type": "array", "items": SAMPLE}, "label": "More samples"},
        "anything": {"type": "Any", "default": {"a": [1]}, "label": "Anything"},
        "modes": {"type": ["null", {"type": "array", "items": "string"}], "label": "Modes"},
    },
    "outputs": {
        "said": "stdout",
        "given": {"type": "string", "outputBinding": {"outputEval": "$(JSON.stringify(inputs))"}},
    },
    "stdout": "said.txt",
}
