"""Break the code of a folder in small ways, one at a time, and count what the tests of this folder notice.

    python tools/mutation.py cwl_ui_plugin/signing                # all changes (make mutation)
    python tools/mutation.py cwl_ui_plugin/reports --sample 200   # so many, drawn with --seed
    python tools/mutation.py cwl_ui_plugin/reports --survivors    # again what was not noticed, with the tests of now
    python tools/mutation.py cwl_ui_plugin/reports --show         # what was not noticed, as diffs

mutmut makes the changes. They are tried here, as the tests share an Airflow home that lasts as long as one run of
pytest: each change gets a process of its own, forked from one that has imported everything, with the tests that reach
the function, quick ones first. What was tried is kept in .build/mutation, so that a run that is ended goes on where it
was. Run it once from start to end while the code stays the same: the changes are numbered along the code.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import difflib
import hashlib
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".build" / "mutation"
SURVIVED, NOTICED, ENDLESS, UNTESTED = "survived", "noticed", "endless", "no test"
SECONDS_MORE = 60
"""How long the tests of a change may take beyond ten times what they take without it."""
PR_SET_CHILD_SUBREAPER = 36
SWITCH = '''
"""Which change is in force, and which function a test has reached."""
import os
from mutmut.mutation import trampoline
from mutmut.mutation.trampoline import MutantDict, wrap_in_trampoline

_known = set()


def _reached(name, caller=None):
    hit = (os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0], name)
    if hit not in _known:
        _known.add(hit)
        with open(os.environ["MUTATION_REACHED"], "a") as file:
            file.write("\\t".join(hit) + "\\n")


trampoline.record_trampoline_hit = _reached
'''


@dataclass
class Sandbox:
    """A copy of the checkout whose code has all its changes in it; one is switched on by ``MUTANT_UNDER_TEST``."""

    place: Path
    diffs: dict[str, str] = field(default_factory=dict)
    """Of each change, by its name."""
    is_new: bool = True


@dataclass
class Tests:
    """How long each test takes, and which reach a function."""

    seconds: dict[str, float]
    reaching: dict[str, list[str]]

    def of(self, change: str) -> list[str]:
        """Return the tests that reach a change: module by module, quick modules first."""
        found = self.reaching.get(change.rpartition("__mutmut_")[0], [])
        modules: collections.Counter[str] = collections.Counter()
        for test in found:
            modules[test.partition("::")[0]] += max(1, int(self.seconds[test] * 1000))
        return sorted(found, key=lambda test: (modules[test.partition("::")[0]], self.seconds[test]))


def main() -> int:
    """Try the changes; return 0."""
    arguments = parsed()
    folder = FOLDER / "+".join(path.strip("/").replace("/", ".") for path in arguments.paths)
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder / "results.json")
    if arguments.show:
        results.show()
        return 0
    sandbox = prepared(folder / "checkout", arguments.paths)
    become_reaper()
    os.chdir(sandbox.place)
    sys.path.insert(0, str(sandbox.place))
    os.environ["PYTHONPATH"] = str(sandbox.place)
    selected = [*map(tests_of, arguments.paths), *arguments.tests]
    paths = [path for path in dict.fromkeys(selected) if Path(path).exists()]
    tests = timed(folder, paths, arguments.longest, is_new=sandbox.is_new)
    names = results.survivors() if arguments.survivors else drawn(sandbox.diffs, arguments)
    until = time.monotonic() + arguments.minutes * 60
    for name in names:
        if time.monotonic() > until:
            print(f"{arguments.minutes} minutes are over; the same command goes on.")
            break
        if arguments.survivors or name not in results.verdicts:
            results.add(name, tried(name, tests, folder), sandbox.diffs[name])
    results.summary(len(sandbox.diffs), names)
    return 0


def parsed() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="folders or modules, such as cwl_ui_plugin/signing")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="try N changes of all; without: all")
    parser.add_argument("--seed", type=int, default=16, help="which sample (16)")
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="tests beside those of the same names")
    parser.add_argument("--longest", type=float, default=20, metavar="SECONDS", help="leave out tests that last longer")
    parser.add_argument("--minutes", type=float, default=600, help="end after so many minutes")
    parser.add_argument("--survivors", action="store_true", help="try again what was not noticed")
    parser.add_argument("--show", action="store_true", help="show what was not noticed, and try nothing")
    return parser.parse_args()


class Results:
    """What came of each change, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.verdicts: dict[str, list[str]] = known

    def add(self, name: str, verdict: str, diff: str) -> None:
        """Keep the verdict on a change."""
        self.verdicts[name] = [verdict, diff]
        self._path.write_text(json.dumps(self.verdicts, indent=1), encoding="utf-8")
        print(f"{verdict:9} {name}", flush=True)

    def survivors(self) -> list[str]:
        """Return the names of the changes that were not noticed."""
        return [name for name, (verdict, _) in self.verdicts.items() if verdict in (SURVIVED, UNTESTED)]

    def show(self) -> None:
        """Print the changes that were not noticed."""
        for name in sorted(self.survivors()):
            print(f"\n### {name}: {self.verdicts[name][0]}\n{self.verdicts[name][1]}")

    def summary(self, of_all: int, names: Iterable[str]) -> None:
        """Print how many changes were noticed."""
        counts = collections.Counter(self.verdicts[name][0] for name in names if name in self.verdicts)
        tried = sum(counts.values())
        share = (tried - counts[SURVIVED] - counts[UNTESTED]) / max(1, tried)
        print(f"{tried} of {of_all} changes tried: {dict(counts)}; {share:.1%} noticed")


def prepared(place: Path, paths: Iterable[str]) -> Sandbox:
    """Copy the checkout, and put the changes into the code of some folders; a copy of the same files stays."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    files = [name for name in found if name and (ROOT / name).is_file()]
    digest = hashlib.sha256(b"".join(name.encode() + (ROOT / name).read_bytes() for name in sorted(files))).hexdigest()
    made = place.with_name("made.json")
    if made.exists():
        before, diffs = json.loads(made.read_text(encoding="utf-8"))
        if before == digest:
            return Sandbox(place, diffs, is_new=False)
    shutil.rmtree(place, ignore_errors=True)
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    (place / ".build").mkdir()
    for database in (ROOT / ".build").glob("airflow-*.db"):
        shutil.copy(database, place / ".build")
    (place / "mutation_switch.py").write_text(SWITCH, encoding="utf-8")
    modules = [file for path in paths for file in modules_in(place / path) if "migrations" not in file.parts]
    diffs = dict(itertools.chain.from_iterable(changed(file, place) for file in sorted(modules)))
    made.write_text(json.dumps([digest, diffs]), encoding="utf-8")
    return Sandbox(place, diffs)


def modules_in(path: Path) -> Iterable[Path]:
    """Return the modules in a folder, or the module itself."""
    return [path] if path.suffix == ".py" else path.rglob("*.py")


def tests_of(path: str) -> str:
    """Return where the tests of a folder or of a module stand."""
    code = Path(path)
    mirrored = Path("tests", *code.parts[1:])
    return str(mirrored.with_name(f"test_{code.name}") if code.suffix == ".py" else mirrored)


def changed(file: Path, place: Path) -> Iterator[tuple[str, str]]:
    """Put all its changes into a module; yield their names and what each changes."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    name = file.relative_to(place)
    made = mutate_file_contents(str(name), file.read_text(encoding="utf-8"))
    file.write_text(made.code.replace("from mutmut.mutation.trampoline", "from mutation_switch"), encoding="utf-8")
    module = ".".join(name.with_suffix("").parts)
    lines = made.code.splitlines()
    for change in made.mutant_names:
        yield f"{module}.{change}", diff(change, lines, made.line_span_by_function_name)


def diff(change: str, lines: list[str], spans: Mapping[str, Any]) -> str:
    """Return what a change changes, without the name of the function."""
    original = f"{change.rpartition('__mutmut_')[0]}__mutmut_orig"
    texts = []
    for name in (original, change):
        span = spans[name]
        texts.append([line.replace(name, "function") for line in lines[span.start - 1 : span.end]])
    return "\n".join(list(difflib.unified_diff(*texts, lineterm="", n=2))[2:])


def drawn(changes: Iterable[str], arguments: argparse.Namespace) -> list[str]:
    """Return the names of a sample of changes, in the order in which they are tried."""
    names = sorted(changes)
    random.Random(arguments.seed).shuffle(names)
    return names[: arguments.sample or None]


def become_reaper() -> None:
    """Become the parent of what tests leave behind, so that it can be ended."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def timed(folder: Path, paths: list[str], longest: float, *, is_new: bool) -> Tests:
    """Run the tests on the code without a change, and import here what they import."""
    pytest.main(["--collect-only", "-qq", "--no-summary", *paths])
    reached = folder / "reached.tsv"
    measured = folder / "tests.json"
    if is_new or not measured.exists():
        measured.unlink(missing_ok=True)
        reached.unlink(missing_ok=True)
        os.environ["MUTATION_REACHED"] = str(reached)
        forked("stats", lambda: watched(paths, measured), folder / "clean.log", seconds=3600)
    seconds, failed, modules = json.loads(measured.read_text(encoding="utf-8"))
    usable = {test: lasts for test, lasts in seconds.items() if lasts <= longest and test not in failed}
    print(f"{len(usable)} of {len(seconds)} tests; these fail without a change: {failed or 'none'}", flush=True)
    reaching: dict[str, list[str]] = {}
    for line in dict.fromkeys(reached.read_text(encoding="utf-8").splitlines()):
        test, _, function = line.partition("\t")
        if test in usable:
            reaching.setdefault(function, []).append(test)
    for module in modules:
        if module.partition(".")[0] in ("airflow", "cwl_ui_plugin", "cwltool", "fastapi", "flask", "sqlalchemy"):
            with contextlib.suppress(Exception):
                importlib.import_module(module)
    return Tests(usable, reaching)


def watched(paths: list[str], measured: Path) -> int:
    """Run tests, and write down how long they take, which fail, and what they import; return pytest's code."""
    watch = Watch()
    code = int(pytest.main(["-q", "-p", "no:cacheprovider", *paths], plugins=[watch]))
    measured.write_text(json.dumps([watch.seconds, sorted(watch.failed), sorted(sys.modules)]), encoding="utf-8")
    return code


class Watch:
    """A plugin of pytest that notes how long tests take, and which fail."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a part of a test."""
        lasted = 0.0 if report.when == "setup" else report.duration  # which may be that of all tests
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + lasted
        if report.failed:
            self.failed.add(report.nodeid)


class Select:
    """A plugin of pytest that runs some tests, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: index for index, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep these tests."""
        known = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(known, key=lambda item: self._order[item.nodeid])


def tried(name: str, tests: Tests, folder: Path) -> str:
    """Switch a change on, and return whether tests notice it."""
    selected = tests.of(name)
    if not selected:
        return UNTESTED
    paths = list(dict.fromkeys(test.partition("::")[0] for test in selected))
    options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:random-order"]

    def run() -> int:
        return int(pytest.main([*options, *paths], plugins=[Select(selected)]))

    limit = SECONDS_MORE + 10 * sum(tests.seconds[test] for test in selected)
    code = forked(name, run, folder / "change.log", seconds=limit)
    return ENDLESS if code is None else NOTICED if code else SURVIVED


def forked(change: str, run: Callable[[], int], log: Path, *, seconds: float) -> int | None:
    """Run something with a change switched on in a process of its own; None if it does not end.

    Nothing that it has started outlives it.
    """
    pid = os.fork()
    if pid == 0:
        os.environ["MUTANT_UNDER_TEST"] = change
        Path(os.environ["AIRFLOW_HOME"]).mkdir(exist_ok=True)  # the run before has removed it
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = 70
        try:
            code = run()
        finally:
            os._exit(code)
    try:
        return ended(pid, time.monotonic() + seconds)
    finally:
        end_all()


def end_all() -> None:
    """End what a test has left, whoever its parent was."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def ended(pid: int, until: float) -> int | None:
    """Wait for a process; return its code, or None if it lasts too long."""
    for known, status in iter(lambda: os.waitpid(pid, os.WNOHANG), None):
        if known:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return None


if __name__ == "__main__":
    sys.exit(main())
