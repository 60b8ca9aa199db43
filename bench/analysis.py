"""A workflow as people write them: 22 steps with 22 tools, in many of CWL's ways, that needs no network.

It cleans, splits, counts, sorts and reports on a table of genes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import workflows

TSV = "http://edamontology.org/format_3475"
TEXT = "http://edamontology.org/format_2330"
ROWS = 400
JS = {"InlineJavascriptRequirement": {}}


@dataclass(frozen=True)
class StepOf:
    """A step: what it shows, its tool (without the class), and what its inputs come from."""

    about: str
    tool: dict[str, Any]
    sources: dict[str, Any]
    more: dict[str, Any] = field(default_factory=dict)


def _file(position: int | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "File", **({} if position is None else {"inputBinding": {"position": position}}), **more}


def _filter(command: list[str], name: str, **more: Any) -> dict[str, Any]:
    """Return a tool that reads its input on standard input."""
    return {
        "baseCommand": command,
        "inputs": {"file": _file()},
        "outputs": {"out": {"type": "stdout", **more}},
        "stdin": "$(inputs.file.path)",
        "stdout": name,
    }


def _named(command: list[str], inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a tool whose output has a fixed name."""
    return {"baseCommand": command, "inputs": inputs, "outputs": {"out": "stdout"}, "stdout": "out.txt", **more}


STEPS: dict[str, StepOf] = {
    "clean": StepOf(
        "stdin, format checked", {**_filter(["tr", "-d", "\\r"], "clean.tsv", format=TSV)}, {"file": "genes"}
    ),
    "header": StepOf(
        "argument with a default",
        _named(["head"], {"lines": {"type": "int", "default": 1, "inputBinding": {"prefix": "-n"}}, "file": _file(1)}),
        {"file": "clean/out"},
    ),
    "body": StepOf(
        "arguments", {**_named(["tail"], {"file": _file(1)}), "arguments": ["-n", "+2"]}, {"file": "clean/out"}
    ),
    "count": StepOf(
        "output by loadContents and JavaScript",
        {
            "baseCommand": ["wc", "-l"],
            "requirements": JS,
            "inputs": {"file": _file()},
            "stdin": "$(inputs.file.path)",
            "stdout": "count.txt",
            "outputs": {
                "rows": {
                    "type": "int",
                    "outputBinding": {
                        "glob": "count.txt",
                        "loadContents": True,
                        "outputEval": "$(parseInt(self[0].contents))",
                    },
                }
            },
        },
        {"file": "body/out"},
    ),
    "genes_only": StepOf(
        "prefixes without space",
        _named(
            ["cut"], {"field": {"type": "int", "inputBinding": {"prefix": "-f", "separate": False}}, "file": _file(1)}
        ),
        {"field": {"default": 1}, "file": "body/out"},
    ),
    "sort": StepOf(
        "enum and boolean inputs, environment",
        {
            **_named(
                ["sort"],
                {
                    "numeric": {"type": "boolean", "inputBinding": {"prefix": "-n"}},
                    "locale": {"type": {"type": "enum", "symbols": ["C", "POSIX"]}},
                    "file": _file(1),
                },
            ),
            "requirements": {"EnvVarRequirement": {"envDef": {"LC_ALL": "$(inputs.locale)"}}},
        },
        {"numeric": {"default": False}, "locale": {"default": "C"}, "file": "genes_only/out"},
    ),
    "unique": StepOf(
        "a file's name from its input",
        {
            "baseCommand": ["uniq"],
            "inputs": {"file": _file(1)},
            "outputs": {"out": "stdout"},
            "stdout": "$(inputs.file.nameroot).unique.txt",
        },
        {"file": "sort/out"},
    ),
    "chromosomes": StepOf(
        "awk, by ShellCommandRequirement",
        {
            **_named(["awk"], {"file": _file(2)}),
            "requirements": {"ShellCommandRequirement": {}},
            "arguments": [{"valueFrom": "'{print $2}'", "shellQuote": False, "position": 1}],
        },
        {"file": "body/out"},
    ),
    "per_chromosome": StepOf(
        "a pipe in a shell",
        {
            "requirements": {"ShellCommandRequirement": {}},
            "inputs": {"file": _file()},
            "outputs": {"out": "stdout"},
            "stdout": "counts.txt",
            "arguments": ["sort", "$(inputs.file.path)", {"valueFrom": "|", "shellQuote": False}, "uniq", "-c"],
        },
        {"file": "chromosomes/out"},
    ),
    "split": StepOf(
        "an array of files by a glob",
        {
            "baseCommand": ["split", "-l"],
            "inputs": {"lines": {"type": "int", "inputBinding": {"position": 1}}, "file": _file(2)},
            "outputs": {"parts": {"type": "File[]", "outputBinding": {"glob": "x*"}}},
        },
        {"lines": {"default": 100}, "file": "body/out"},
    ),
    "join": StepOf(
        "an array of files as arguments",
        _named(["cat"], {"files": {"type": "File[]", "inputBinding": {"position": 1}}}),
        {"files": "split/parts"},
    ),
    "both": StepOf(
        "two sources merged",
        _named(["cat"], {"files": {"type": "File[]", "inputBinding": {"position": 1}}}),
        {"files": {"source": ["header/out", "join/out"], "linkMerge": "merge_flattened"}},
    ),
    "checksum": StepOf(
        "JavaScript in a string output",
        {
            "baseCommand": ["sha1sum"],
            "requirements": JS,
            "inputs": {"file": _file(1)},
            "stdout": "sum.txt",
            "outputs": {
                "sum": {
                    "type": "string",
                    "outputBinding": {
                        "glob": "sum.txt",
                        "loadContents": True,
                        "outputEval": "$(self[0].contents.split(' ')[0])",
                    },
                }
            },
        },
        {"file": "both/out"},
    ),
    "index": StepOf(
        "secondary file made beside its file",
        {
            "baseCommand": ["sh", "-c", 'wc -c "$1" > "$1.idx"', "index"],
            "requirements": {"InitialWorkDirRequirement": {"listing": ["$(inputs.file)"]}},
            "inputs": {"file": _file(1, inputBinding={"valueFrom": "$(self.basename)"})},
            "outputs": {
                "indexed": {
                    "type": "File",
                    "secondaryFiles": [".idx"],
                    "outputBinding": {"glob": "$(inputs.file.basename)"},
                }
            },
        },
        {"file": "both/out"},
    ),
    "use_index": StepOf(
        "secondary file required",
        _named(["ls", "-L"], {"file": _file(1, secondaryFiles=[".idx"])}),
        {"file": "index/indexed"},
    ),
    "script": StepOf(
        "a script written by InitialWorkDirRequirement",
        {
            **_named(["sh", "run.sh"], {"rows": "int", "limit": "int"}),
            "requirements": {
                "InitialWorkDirRequirement": {
                    "listing": [
                        {"entryname": "run.sh", "entry": "echo rows $(inputs.rows) of at most $(inputs.limit)\n"}
                    ]
                }
            },
        },
        {"rows": "count/rows", "limit": "limit"},
    ),
    "sample": StepOf(
        "JavaScript in an argument",
        {
            **_named(["head"], {"rows": "int", "file": _file(2)}),
            "requirements": JS,
            "arguments": [{"prefix": "-n", "valueFrom": "${return Math.ceil(inputs.rows / 10);}", "position": 1}],
        },
        {"rows": "count/rows", "file": "body/out"},
    ),
    "settings": StepOf(
        "a record",
        _named(
            ["echo"],
            {
                "choice": {
                    "type": {
                        "type": "record",
                        "name": "choice",
                        "fields": {
                            "name": {"type": "string", "inputBinding": {"prefix": "--name"}},
                            "deep": {"type": "boolean", "inputBinding": {"prefix": "--deep"}},
                        },
                    }
                }
            },
        ),
        {"choice": {"default": {"name": "quick", "deep": True}}},
    ),
    "label": StepOf(
        "valueFrom on a step's input",
        _named(["echo"], {"text": {"type": "string", "inputBinding": {}}}),
        {"text": {"source": "checksum/sum", "valueFrom": "sum-$(self)"}},
        {"requirements": {"StepInputExpressionRequirement": {}}},
    ),
    "archive": StepOf(
        "ResourceRequirement by an expression",
        {
            "baseCommand": ["tar", "-chf", "all.tar"],
            "requirements": {**JS, "ResourceRequirement": {"coresMin": 1, "ramMin": "$(64 + inputs.files.length)"}},
            "inputs": {
                "files": {
                    "type": "File[]",
                    "inputBinding": {"position": 1, "valueFrom": "$(self.map(function(file) {return file.path;}))"},
                }
            },
            "outputs": {"out": {"type": "File", "outputBinding": {"glob": "all.tar"}}},
        },
        {"files": "split/parts"},
    ),
    "optional": StepOf(
        "a condition, and an input that is left out",
        _named(
            ["cat"], {"missing": {"type": "File?", "inputBinding": {"position": 2}}, "rows": "int", "file": _file(1)}
        ),
        {"file": "sample/out", "rows": "count/rows"},
        {"when": "$(inputs.rows > 1)", "requirements": JS},
    ),
    "report": StepOf(
        "the last: seven files",
        _named(["cat"], {"files": {"type": "File[]", "inputBinding": {"position": 1}}}),
        {
            "files": {
                "source": [
                    "unique/out",
                    "per_chromosome/out",
                    "use_index/out",
                    "script/out",
                    "settings/out",
                    "label/out",
                    "optional/out",
                ]
            }
        },
    ),
}


def document() -> dict[str, Any]:
    """Return the workflow."""
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {
            "MultipleInputFeatureRequirement": {},
            "StepInputExpressionRequirement": {},
            "InlineJavascriptRequirement": {},
        },
        "inputs": {"genes": {"type": "File", "format": TSV}, "limit": {"type": "int", "default": 1000}},
        "outputs": {
            "summary": {"type": "File", "outputSource": "report/out"},
            "package": {"type": "File", "outputSource": "archive/out"},
        },
        "steps": {name: _step(name, step) for name, step in STEPS.items()},
    }


def write(folder: Path) -> Path:
    """Write the workflow, each tool in a file of its own, and its input; return its path."""
    lines = [f"gene{number}\tchr{number % 22 + 1}\t{number * 100}\r" for number in range(ROWS)]
    workflows.write(folder, "genes.tsv", "\n".join(["gene\tchromosome\tstart\r", *lines]) + "\n")
    for name, step in STEPS.items():
        tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", **step.tool}
        workflows.write(folder / "tools", f"{name}.cwl", tool)
    return workflows.write(folder, "analysis.cwl", document())


def job(folder: Path) -> dict[str, Any]:
    """Return the job; the input is where :func:`write` has put it."""
    return {"genes": {"class": "File", "path": str(folder / "genes.tsv"), "format": TSV}}


def _step(name: str, step: StepOf) -> dict[str, Any]:
    outputs = list(step.tool["outputs"])
    return {"run": f"tools/{name}.cwl", "in": step.sources, "out": outputs, **step.more}
