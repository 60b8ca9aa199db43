"""Small documents through a running server and through plain cwltool on the same machine, and how their answers differ.

    python tests/beside_cwltool.py FOLDER...

A case is a folder with ``wf.cwl`` (``wf.json``), ``job.yml`` (``job.json``) where it needs a job, and what these refer
to. The folders may be cases or hold some. It ends with 1 where one of the two succeeds alone, or their outputs differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.airflow_server import Server, standalone

CASE_SECONDS = 300
_DOCUMENTS = ("wf.cwl", "wf.json")
_JOBS = ("job.yml", "job.json")
_KEPT = ("class", "basename", "checksum", "size", "format")


@dataclass(frozen=True)
class Answer:
    """How a runner ended, its output object, and what it printed besides."""

    exit_code: int
    outputs: dict[str, Any]
    said: str

    @property
    def shape(self) -> Any:
        """What two runners must agree on: whether it succeeds, and the outputs without where they are."""
        return shape_of(self.outputs) if self.exit_code == 0 else "failure"


@dataclass(frozen=True)
class Case:
    """A folder with a document and its job; ``process`` is ``#id`` where one of several has to be chosen."""

    folder: Path
    process: str = ""

    @property
    def words(self) -> list[str]:
        """Return document and job as a runner wants them."""
        documents = [f"{self.folder / name}{self.process}" for name in _DOCUMENTS if (self.folder / name).exists()]
        return documents + [str(self.folder / name) for name in _JOBS if (self.folder / name).exists()]

    def here(self, server: Server, outdir: Path) -> Answer:
        """Run it on a server."""
        result = server.command("run", "--quiet", "--outdir", outdir, *self.words, check=False)
        return _answer(result)

    def by_cwltool(self, outdir: Path) -> Answer:
        """Run it by plain cwltool."""
        cwltool = Path(sys.executable).with_name("cwltool")
        command = [cwltool, "--no-container", "--enable-ext", "--relax-path-checks", "--outdir", outdir, *self.words]
        return _answer(subprocess.run(command, capture_output=True, text=True, timeout=CASE_SECONDS, check=False))


def _answer(result: subprocess.CompletedProcess[str]) -> Answer:
    outputs = json.loads(result.stdout) if result.returncode == 0 else {}
    return Answer(result.returncode, outputs, result.stderr)


def shape_of(value: Any) -> Any:
    """Return an output object without where its files are, and with folders in one order."""
    if isinstance(value, list):
        return [shape_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {key: shape_of(item) for key, item in value.items()}
    shape = {key: value[key] for key in _KEPT if key in value}
    for key in ("secondaryFiles", "listing"):
        if value.get(key):
            shape[key] = sorted(map(shape_of, value[key]), key=lambda item: str(item["basename"]))
    return shape


def cases_in(folder: Path) -> Iterator[Case]:
    """Yield the case that a folder is, or those in it."""
    if any((folder / name).exists() for name in _DOCUMENTS):
        yield Case(folder)
    else:
        for path in sorted(path for path in folder.iterdir() if path.is_dir()):
            yield from cases_in(path)


def main() -> int:
    """Run all cases both ways; print those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="cases at the same time")
    arguments = parser.parse_args()
    cases = [case for folder in arguments.folders for case in cases_in(folder.resolve())]
    folder = Path(tempfile.mkdtemp(prefix="beside-cwltool-"))
    with standalone(folder / "home", "simple") as server, ThreadPoolExecutor(arguments.j) as pool:

        def both(case: Case) -> tuple[Answer, Answer]:
            outdir = folder / case.folder.name
            return case.here(server, outdir / "here"), case.by_cwltool(outdir / "cwltool")

        differing = 0
        for case, (ours, theirs) in zip(cases, pool.map(both, cases), strict=True):
            is_same = ours.shape == theirs.shape
            differing += not is_same
            print(f"{'same' if is_same else 'OTHER'}: {case.folder.name}", flush=True)
            if not is_same:
                for name, answer in (("cwl-ui-plugin", ours), ("cwltool", theirs)):
                    shown = json.dumps(answer.shape, sort_keys=True) if answer.exit_code == 0 else answer.said[-1000:]
                    print(f"  {name}: {shown}")
    print(f"{len(cases)} cases, {differing} with another answer than cwltool's; outputs are in {folder}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
