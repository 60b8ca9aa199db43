"""A CWL conformance suite through one running server, beside plain cwltool on the same machine.

    python tests/conformance.py SUITE [-j 2] [--only ID,ID] [--no-peer] [--containers]

SUITE is a folder with ``conformance_tests.yaml``, or such a file. It prints every test that the two runners answer
differently, and ends with 1 when there is one that only cwltool passes. With ``--containers`` both run tools in podman
(as root; needs podman, runc, busybox-static and debootstrap), in images made from Debian's packages.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cwltest import UNSUPPORTED_FEATURE, logger
from cwltest.utils import CWLTestConfig, load_and_validate_tests, run_test_plain, shortname

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support.airflow_server import Server, standalone
from support.debian import add_debian, images_of
from support.podman import NoPodman, Podman, clear, make_podman

TEST_SECONDS = 300
PASSED, FAILED, UNSUPPORTED = "passed", "failed", "unsupported"
ALLOWED = {"AIRFLOW__CWL__ALLOW_JOB_REQUIREMENTS": "True"}
"""What the suite asks of a runner, and a site does not allow by default."""
DEBIAN = Path(__file__).resolve().parents[1] / ".build" / "debian.tar"


def write_runner(path: Path, *command: str | Path) -> Path:
    """Write an executable that cwltest can call as a CWL runner."""
    words = " ".join(f"'{word}'" for word in command)
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
    return path


def own_runner(folder: Path) -> Path:
    """The runner ``cwl-ui-plugin run``; its server is named in the environment."""
    return write_runner(folder / "cwl-ui-plugin", sys.executable, "-m", "cwl_ui_plugin.cli.main", "run")


def peer_runner(folder: Path, podman: Podman | None) -> Path:
    """Plain cwltool; its own --podman does not work as root, so it has podman under the name of docker."""
    cwltool: list[str | Path] = [Path(sys.executable).with_name("cwltool"), "--relax-path-checks"]
    if podman is None:
        return write_runner(folder / "cwltool", *cwltool, "--no-container")
    (folder / "bin").mkdir()
    write_runner(folder / "bin" / "docker", "podman")
    variables = {**podman.variables, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    return write_runner(folder / "cwltool", "env", *(f"{name}={value}" for name, value in variables.items()), *cwltool)


def podman_for(suite: Path) -> Podman:
    """A podman with the images that a suite asks for; ends the program where there is none."""
    try:
        podman = make_podman(Path(tempfile.mkdtemp(prefix="cwl-podman-")), driver="overlay")
        add_debian(podman, images_of(suite), DEBIAN)
    except (NoPodman, subprocess.SubprocessError) as error:
        sys.exit(f"No containers: {error}")
    return podman


def run_suite(
    tests: Path, runner: Path, folder: Path, *, jobs: int, only: str | None = None, server: Server | None = None
) -> dict[str, str]:
    """Run the tests of a suite; return passed, failed or unsupported for each of their names.

    cwltest's own report has no failure for a test that should fail and does not, and with ``-s`` it gives results to
    other tests than theirs; so its function for one test is called for each.
    """
    variables = {"TMPDIR": str(folder)}
    if server:
        variables |= {"CWL_UI_URL": server.url, "CWL_UI_TOKEN": server.token()}
    chosen = names_to_tests(tests, only.split(",") if only else None)
    with _logged(folder / f"{runner.name}.log"), _environment(variables), ThreadPoolExecutor(jobs) as pool:
        endings = pool.map(lambda test: _ending(tests, test, runner), chosen.values())
        return dict(zip(chosen, endings, strict=True))


def names_to_tests(tests: Path, names: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the tests of a suite by name; end the program for a name that is none."""
    loaded, _metadata = load_and_validate_tests(str(tests))
    known = {test.get("short_name") or shortname(test["id"]): test for test in loaded}
    if unknown := set(names or ()) - known.keys():
        sys.exit(f"{tests} has no test {', '.join(sorted(unknown))}.")
    return {name: test for name, test in known.items() if names is None or name in names}


def _ending(tests: Path, test: dict[str, Any], runner: Path) -> str:
    config = CWLTestConfig(
        entry=str(tests),
        entry_line=test["line"],
        basedir=str(tests.parent),
        tool=str(runner),
        timeout=TEST_SECONDS,
        runner_quiet=True,
    )
    result = run_test_plain(config, test)
    ending = {0: PASSED, UNSUPPORTED_FEATURE: UNSUPPORTED}.get(result.return_code, FAILED)
    if ending == FAILED:
        logger.error("%s", result.error_output)
    return ending


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Let cwltest say into a file what went wrong."""
    handler = logging.FileHandler(path)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        handler.close()


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the runners; a runner is not told to whom it belongs in any other way."""
    before = dict(os.environ)
    os.environ.update(variables)
    tempfile.tempdir = None  # it is looked up once, and then kept
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = None


def _counted(results: dict[str, str], seconds: float) -> str:
    counts = {ending: list(results.values()).count(ending) for ending in (PASSED, FAILED, UNSUPPORTED)}
    return ", ".join(f"{number} {ending}" for ending, number in counts.items()) + f" ({seconds:.0f} s)"


def main() -> int:
    """Run the suite with both runners; print how they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path)
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="tests at the same time")
    parser.add_argument("--only", help="names of tests, separated by commas")
    parser.add_argument("--no-peer", action="store_true", help="leave plain cwltool out")
    parser.add_argument("--containers", action="store_true", help="run tools in podman")
    arguments = parser.parse_args()
    tests = arguments.suite / "conformance_tests.yaml" if arguments.suite.is_dir() else arguments.suite
    folder = Path(tempfile.mkdtemp(prefix="cwl-conformance-"))
    print(f"Logs are in {folder}", flush=True)
    podman = podman_for(tests.parent) if arguments.containers else None
    variables = {"AIRFLOW__CWL__CONTAINER_ENGINE": "podman", **podman.variables} if podman else {}
    with standalone(folder / "home", "simple", **variables, **ALLOWED) as server:
        began = time.monotonic()
        ours = run_suite(
            tests.resolve(), own_runner(folder), folder, jobs=arguments.j, only=arguments.only, server=server
        )
        print(f"cwl-ui-plugin: {_counted(ours, time.monotonic() - began)}", flush=True)
    theirs: dict[str, str] = {}
    if not arguments.no_peer:
        began = time.monotonic()
        cwltool = peer_runner(folder, podman)
        theirs = run_suite(tests.resolve(), cwltool, folder, jobs=arguments.j, only=arguments.only)
        print(f"cwltool:       {_counted(theirs, time.monotonic() - began)}", flush=True)
    for name, ending in ours.items():
        if ending != theirs.get(name, PASSED):
            print(f"  {name}: {ending}" + (f", with cwltool {theirs[name]}" if theirs else ""))
    if podman:
        clear(podman.folder)
    worse = [name for name, ending in ours.items() if ending != PASSED and theirs.get(name, PASSED) == PASSED]
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
