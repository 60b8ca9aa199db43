"""A CWL conformance suite through one running server, beside plain cwltool on the same machine.

    python tests/conformance.py SUITE [-j 2] [--only ID,ID] [--no-peer] [--containers]

SUITE is a folder with ``conformance_tests.yaml``, or such a file. It prints every test that the two runners answer
differently, and ends with 1 when there is one that only cwltool passes. With ``--containers`` both run tools in podman
(as root; needs podman, runc, busybox-static and debootstrap), in images made from Debian's packages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))

from airflow_server import Server, standalone
from containers.debian import add_debian, images_of
from containers.podman import NoPodman, Podman, clear, make_podman

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
    """Run the tests of a suite; return passed, failed or unsupported for each of their names."""
    report = folder / f"{runner.name}.xml"
    command = [Path(sys.executable).with_name("cwltest"), "--test", tests, "--tool", runner]
    command += ["-j", str(jobs), "--timeout", "300", "--junit-xml", report]
    command += ["-s", only] if only else []
    environment = {**os.environ, "TMPDIR": str(folder)}
    if server:
        environment |= {"CWL_UI_URL": server.url, "CWL_UI_TOKEN": server.token()}
    with (folder / f"{runner.name}.log").open("w") as log:
        subprocess.run(
            list(map(str, command)), env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if not report.exists():
        sys.exit((folder / f"{runner.name}.log").read_text()[-4000:])
    return {case.attrib["file"]: _ending(case) for case in ET.parse(report).iter("testcase")}


def _ending(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return FAILED
    return PASSED if case.find("skipped") is None else UNSUPPORTED


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
