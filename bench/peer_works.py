"""The five works that CWL runners are compared by, as CWL documents and as Dags of a bare Airflow."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import workflows

LARGE_BYTES = 100_000_000
LINE = "the quick brown fox jumps over the lazy dog, and so on until the line has a hundred characters     \n"
FILES = """\
cwlVersion: v1.2
class: Workflow
requirements: {SubworkflowFeatureRequirement: {}}
inputs: {file: File}
outputs:
  changed: {type: File, outputSource: inner/changed}
  sum: {type: File, outputSource: inner/sum}
steps:
  copy:
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs: {file: {type: File, inputBinding: {}}}
      outputs: {copy: stdout}
      stdout: copy.txt
    in: {file: file}
    out: [copy]
  inner:
    run:
      class: Workflow
      inputs: {file: File}
      outputs:
        changed: {type: File, outputSource: change/changed}
        sum: {type: File, outputSource: add/sum}
      steps:
        change:
          run:
            class: CommandLineTool
            baseCommand: [tr, a-z, A-Z]
            inputs: {file: File}
            outputs: {changed: stdout}
            stdin: $(inputs.file.path)
            stdout: changed.txt
          in: {file: file}
          out: [changed]
        add:
          run:
            class: CommandLineTool
            baseCommand: cksum
            inputs: {file: File}
            outputs: {sum: stdout}
            stdin: $(inputs.file.path)
            stdout: sum.txt
          in: {file: change/changed}
          out: [sum]
    in: {file: copy/copy}
    out: [changed, sum]
"""
CHAINED = '''"""A chain of commands."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, chain

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=False):
    commands = {commands!r}
    chain(*(BashOperator(task_id=f"task{{n}}", bash_command=c, cwd={folder!r}) for n, c in enumerate(commands)))
'''
SCATTERED = '''"""Commands side by side."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("{dag_id}", schedule=None, is_paused_upon_creation=False):
    BashOperator.partial(task_id="say", cwd={folder!r}).expand(bash_command={commands!r})
'''


@dataclass(frozen=True)
class Work:
    """Something to do: a document and its job, and the same commands as tasks of a bare Airflow."""

    key: str
    title: str
    document: Path
    job: Path
    commands: tuple[str, ...]
    side_by_side: bool = False

    def job_object(self) -> dict[str, object]:
        """Return the job with absolute paths."""
        job: dict[str, object] = json.loads(self.job.read_text())
        file = job.get("file")
        if isinstance(file, dict):
            file["path"] = str(self.job.parent / file["path"])
        return job

    def dag_file(self) -> str:
        """Return a Dag file that runs its commands as they are."""
        text = SCATTERED if self.side_by_side else CHAINED
        return text.format(dag_id=self.key, commands=list(self.commands), folder=str(self.document.parent))


def works(folder: Path, few: int, many: int) -> list[Work]:
    """Write the documents and jobs of all works; two are scatters of so many elements."""
    return [
        Work("tool", "one tool (`wc`)", *workflows.wc(folder), ("wc -l < text.txt > count.txt",)),
        Work("chain", "chain of 5 (`cat`)", *workflows.chain(folder, 5), tuple(_copies(5))),
        _scatter(folder, few),
        _scatter(folder, many),
        Work("files", "subworkflow, files of 100 MB", *_files(folder), _FILE_COMMANDS),
    ]


_FILE_COMMANDS = (
    "cat large.txt > copy.txt",
    "tr a-z A-Z < copy.txt > changed.txt",
    "cksum < changed.txt > sum.txt",
)


def _scatter(folder: Path, elements: int) -> Work:
    commands: Sequence[str] = [f"echo text{number} > text{number}.txt" for number in range(elements)]
    place = folder / f"scatter-{elements}"
    title = f"scatter of {elements} (`echo`)"
    document, job = workflows.scatter(place, elements)
    document = document.rename(document.with_name(f"scatter-{elements}.cwl"))
    return Work(f"scatter-{elements}", title, document, job, tuple(commands), side_by_side=True)


def _copies(steps: int) -> list[str]:
    names = ["text.txt", *(f"copy{number}.txt" for number in range(1, steps + 1))]
    return [f"cat {source} > {target}" for source, target in itertools.pairwise(names)]


def _files(folder: Path) -> tuple[Path, Path]:
    with (folder / "large.txt").open("w") as large:
        for _ in range(100):
            large.write(LINE * (LARGE_BYTES // len(LINE) // 100))
    job = {"file": {"class": "File", "path": "large.txt"}}
    return workflows.write(folder, "files.cwl", FILES), workflows.write(folder, "files-job.json", job)
