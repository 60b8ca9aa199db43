"""Run the tests on every Python, and with the lowest and the newest dependencies, that setup.cfg allows.

    python tools/matrix.py                           # all cells (make matrix)
    python tools/matrix.py 3.10-lowest 3.13-newest   # these
    python tools/matrix.py --record                  # and write what came out into docs/compatibility-matrix.md

A cell is a Python and a choice of versions: ``lowest`` is the lower bound of each requirement in setup.cfg, ``newest``
is what pip would install today, and ``prerelease`` is that with the next version of Airflow, where one is published. uv
makes the environments, from interpreters that are there (on the PATH, or pyenv's) or that it can fetch. A cell that
can't be had is left out, and said to be.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".build" / "matrix"
PAGE = ROOT / "docs" / "compatibility-matrix.md"
EXTRAS = ("celery", "kubernetes", "openlineage", "s3")
UNIT_TESTS = "not e2e and not packaging and not bioinformatics"
# A pre-release in a bound is not enough: uv then prefers a release that is there.
PRERELEASES = ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk")
# The next version is tried before setup.cfg allows it.
NEXT_AIRFLOW = "apache-airflow>=3.2"
SHOWN = ("apache-airflow", "apache-airflow-providers-fab", "flask-appbuilder", "cwltool", "sqlalchemy", "pydantic")
BLOCK = re.compile(r"(<!-- matrix -->\n)(.*?)(<!-- end:matrix -->)", re.DOTALL)
HEAD = (
    "Cell",
    "Airflow",
    "FAB provider",
    "Flask-AppBuilder",
    "cwltool",
    "SQLAlchemy",
    "pydantic",
    "Tests",
    "Demo",
    "Day",
)


class LeftOutError(Exception):
    """A cell can't be run here; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A Python, such as ``3.12``, and a choice of versions: ``lowest``, ``newest`` or ``prerelease``."""

    python: str
    choice: str

    @property
    def name(self) -> str:
        """What it is called on the command line and in the table, such as ``3.12-lowest``."""
        return f"{self.python}-{self.choice}"

    @property
    def interpreter(self) -> Path:
        """The Python of its environment."""
        return FOLDER / self.name / "bin" / "python"


@dataclass(frozen=True)
class Result:
    """What came of a cell: versions as in :data:`SHOWN`, and each part's last word."""

    cell: Cell
    versions: tuple[str, ...]
    tests: str
    demo: str
    passed: bool

    def row(self) -> tuple[str, ...]:
        """Return it as a row of the table."""
        return (self.cell.name, *self.versions, self.tests, self.demo, date.today().isoformat())


def main() -> int:
    """Run the cells; return 0 if none of those that ran has failed."""
    arguments = parsed()
    results, left_out = [], {}
    for cell in chosen(arguments.cells):
        try:
            results.append(run(cell, arguments))
        except LeftOutError as error:
            left_out[cell.name] = str(error)
        if not arguments.keep:
            shutil.rmtree(FOLDER / cell.name, ignore_errors=True)
    print("\n" + table(result.row() for result in results))
    for name, reason in left_out.items():
        print(f"{name} was left out: {reason}")
    if arguments.record:
        record(results)
    return 0 if all(result.passed for result in results) else 1


def parsed() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="such as 3.12-lowest; without: all")
    parser.add_argument("--record", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--keep", action="store_true", help=f"keep the environments in {FOLDER.relative_to(ROOT)}")
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="these instead of all unit tests")
    parser.add_argument("--workers", default="2", help="how many tests run side by side (2)")
    return parser.parse_args()


def cells() -> list[Cell]:
    """Return all cells: the Pythons of setup.cfg with the lowest and the newest versions, and the next Airflow."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    found = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    pairs = [Cell(python, choice) for python in found for choice in ("lowest", "newest")]
    return [*pairs, Cell(found[-1], "prerelease")]


def chosen(names: list[str]) -> list[Cell]:
    """Return the cells with these names, all without names."""
    known = {cell.name: cell for cell in cells()}
    if unknown := set(names) - known.keys():
        sys.exit(f"No such cell: {', '.join(sorted(unknown))}. There are {', '.join(known)}.")
    return [known[name] for name in names or known]


def run(cell: Cell, arguments: argparse.Namespace) -> Result:
    """Install a cell, and run its tests and the demo.

    Raises:
        LeftOutError: its Python or its versions are not to be had.

    """
    print(f"\n==> {cell.name}", flush=True)
    install(cell)
    versions = tuple(version(cell, name) for name in SHOWN)
    print(", ".join(f"{name} {number}" for name, number in zip(SHOWN, versions, strict=True)), flush=True)
    tests_passed, tests = run_tests(cell, arguments)
    demo_passed = run_demo(cell)
    return Result(cell, versions, tests, "passed" if demo_passed else "failed", tests_passed and demo_passed)


def install(cell: Cell) -> None:
    """Make the environment of a cell, with the package in it as it is in this checkout."""
    uv("venv", "--quiet", "--clear", "--python", cell.python, str(FOLDER / cell.name))
    constraints = FOLDER / f"{cell.name}.txt"
    bounds = for_next_airflow() if cell.choice == "prerelease" else []
    how = {"lowest": ["--resolution", "lowest-direct"], "newest": [], "prerelease": bounds}[cell.choice]
    extras = [f"--extra={extra}" for extra in EXTRAS]
    constraints.unlink(missing_ok=True)  # uv would prefer what it says
    what = ["setup.cfg", *extras, "-o", str(constraints)]
    uv("pip", "compile", "--quiet", "--no-annotate", *how, *for_cell(cell), *what)
    if cell.choice == "prerelease" and not re.search(r"^apache-airflow==[\d.]+(a|b|rc)", constraints.read_text(), re.M):
        raise LeftOutError("no version of Airflow is published that is newer than the newest release")
    package = f"{ROOT}[{','.join((*EXTRAS, 'test'))}]"
    uv("pip", "install", "--quiet", "--constraint", str(constraints), *bounds, *for_cell(cell), "--editable", package)


def for_next_airflow() -> list[str]:
    """Return the arguments that make uv take the next version of Airflow, and no pre-release of anything else."""
    overrides = FOLDER / "overrides.txt"
    overrides.write_text(f"{NEXT_AIRFLOW}\n", encoding="utf-8")
    return ["--override", str(overrides), *(f"--prerelease-package={name}=allow" for name in PRERELEASES)]


def for_cell(cell: Cell) -> list[str]:
    """Return the arguments that make uv work on the environment of a cell."""
    return ["--python", str(cell.interpreter)]


def uv(*arguments: str) -> None:
    """Call uv.

    Raises:
        LeftOutError: it failed; with its own words.

    """
    command = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if command is None:
        sys.exit("uv is needed: pip install uv")
    environment = {**os.environ, "PATH": os.pathsep.join([*pyenv_folders(), os.environ.get("PATH", "")])}
    called = [command, *arguments]
    result = subprocess.run(called, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LeftOutError(" ".join(result.stderr.split()))


def pyenv_folders() -> Iterator[str]:
    """Yield where pyenv keeps interpreters; what it has on the PATH refuses those that are not switched on."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(folder) for folder in sorted(root.glob("versions/3.*/bin")))


def version(cell: Cell, distribution: str) -> str:
    """Return which version of a distribution a cell has."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return subprocess.run([cell.interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def environment_of(cell: Cell) -> dict[str, str]:
    """Return the environment variables for commands of a cell, which finds its own programs first."""
    path = os.pathsep.join([str(cell.interpreter.parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "VIRTUAL_ENV": str(FOLDER / cell.name)}


def run_tests(cell: Cell, arguments: argparse.Namespace) -> tuple[bool, str]:
    """Run the unit tests; return whether all passed, and pytest's last line."""
    log = FOLDER / f"{cell.name}.log"
    side_by_side = ["--numprocesses", arguments.workers, "--dist", "loadscope", "--no-loadscope-reorder"]
    command = [cell.interpreter, "-m", "pytest", "-q", "-m", UNIT_TESTS, *side_by_side, *arguments.tests]
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(
            command, cwd=ROOT, env=environment_of(cell), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    last = (log.read_text(encoding="utf-8").strip().splitlines() or [""])[-1]
    said = ", ".join(re.findall(r"\d+ (?:passed|failed|errors?|skipped)", last)) or f"ended with {code}"
    print(f"tests: {last} (log: {log})", flush=True)
    return code == 0, f"{said} ({' '.join(arguments.tests) or 'make unit'})"


def run_demo(cell: Cell) -> bool:
    """Run the demo: a real standalone server, a signed run, its reports."""
    log = FOLDER / f"{cell.name}.demo.log"
    with tempfile.TemporaryDirectory(prefix="cwl-matrix-") as home, log.open("w", encoding="utf-8") as output:
        environment = {**environment_of(cell), "DEMO_EXIT": "1", "DEMO_HOME": home}
        command = [cell.interpreter, ROOT / "examples" / "demo.py"]
        code = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    print(f"demo: {'passed' if code == 0 else 'FAILED'} (log: {log})", flush=True)
    return code == 0


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as a table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def record(results: list[Result]) -> None:
    """Write the rows of what has passed into the page; those of other cells stay, and what failed goes."""
    text = PAGE.read_text(encoding="utf-8")
    block = BLOCK.search(text)
    if block is None:
        sys.exit(f"{PAGE} has no block for the table.")
    rows = {row[0]: row for row in rows_of(block[2])}
    for result in results:
        rows.pop(result.cell.name, None)
        if result.passed:
            rows[result.cell.name] = result.row()
    ordered = [rows[cell.name] for cell in cells() if cell.name in rows]
    PAGE.write_text(BLOCK.sub(lambda match: match[1] + table(ordered) + match[3], text), encoding="utf-8")


def rows_of(block: str) -> list[tuple[str, ...]]:
    """Return the rows of a table in Markdown, without its head."""
    lines = [line for line in block.splitlines() if line.startswith("|")][2:]
    return [tuple(part.strip() for part in line.strip("|").split("|")) for line in lines]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    sys.exit(main())
