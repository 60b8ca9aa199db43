"""Tools in real containers: what the image has and may, where it comes from, and that none is left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.podman import IMAGE, IMAGE_FILE, IMAGE_TEXT, Podman

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.containers.engines import detect_engine
from cwl_ui_plugin.cwl.containers.task_containers import end_containers
from cwl_ui_plugin.cwl.engine import execution
from cwl_ui_plugin.cwl.engine.run_settings import RunSettings
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.cwl.processes import task_processes

WAIT_SECONDS = 60
MARK = "test/podman/task/-1/1"
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {requirements}
arguments: [{{shellQuote: false, valueFrom: "{script}"}}]
inputs: {{text: {{type: "File?"}}}}
outputs: {{out: {{type: stdout}}}}
stdout: out.txt
"""
Run = Callable[..., str]


@pytest.fixture(scope="module")
def leaving_none(podman: Podman) -> Iterator[Podman]:
    """The podman of all tests here, which leave no container; looked at once, as podman takes a while to tell."""
    yield podman
    assert podman.containers() == []


@pytest.fixture
def engine(leaving_none: Podman, monkeypatch: pytest.MonkeyPatch) -> Podman:
    podman = leaving_none
    for name, value in podman.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("cwltool.docker._IMAGES", set())  # a task knows of none
    return podman


@pytest.fixture
def run(engine: Podman, tmp_path: Path) -> Run:
    """``run(script, **parts)``: what the script printed in its container."""
    return partial(run_tool, tmp_path)


def run_tool(
    folder: Path,
    script: str,
    docker: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    values: dict[str, Any] | None = None,
    wanted: str = "podman",
) -> str:
    (folder / "source").mkdir()
    requirements = {"ShellCommandRequirement": {}, "DockerRequirement": docker or {"dockerPull": IMAGE}, **(more or {})}
    tool = TOOL.format(requirements=json.dumps(requirements), script=script)
    (folder / "source/tool.cwl").write_text(tool)
    compiling.compile_document(folder / "source", "tool.cwl", folder / "compiled")
    step = read_plan(folder / "compiled").steps[0]
    settings = RunSettings(engine=detect_engine(wanted), tag=MARK)
    result = execution.run_step(folder / "compiled", folder / "source", step, values or {}, folder / "run", settings)
    ((output, _status),) = result.values.values()
    return Path(output["location"].removeprefix("file://")).read_text()


def test_a_tool_sees_its_image_and_its_inputs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("from outside\n")
    (tmp_path / "hidden.txt").touch()
    given = {"class": "File", "location": (tmp_path / "input.txt").as_uri(), "basename": "input.txt"}
    script = f"cat {IMAGE_FILE} $(inputs.text.path) staged.txt; echo $NAME; ls {tmp_path}/hidden.txt || echo unseen"
    more = {
        "InitialWorkDirRequirement": {"listing": [{"entry": "staged $(1 + 1)\n", "entryname": "staged.txt"}]},
        "EnvVarRequirement": {"envDef": {"NAME": "value"}},
        "InlineJavascriptRequirement": {},
    }
    printed = run(script, more=more, values={"text": [given, "success"]})
    assert printed == f"{IMAGE_TEXT}from outside\nstaged 2\nvalue\nunseen\n"


def test_a_container_has_the_memory_and_cpu_of_its_command(engine: Podman, tmp_path: Path) -> None:
    """Beside what busybox says of the same command; it takes the kernel's kilobytes for pages of four."""
    (tmp_path / "source").mkdir()
    words = ["time", "-v", "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=60"]
    tool = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": {"DockerRequirement": {"dockerPull": IMAGE}},
        "baseCommand": words,
        "inputs": {},
        "outputs": {"told": "stderr"},
    }
    (tmp_path / "source/tool.cwl").write_text(json.dumps(tool))
    compiling.compile_document(tmp_path / "source", "tool.cwl", tmp_path / "compiled")
    step = read_plan(tmp_path / "compiled").steps[0]
    settings = RunSettings(engine=detect_engine("podman"), tag=MARK)
    task_processes.adopt_orphans()  # as a task does
    result = execution.run_step(tmp_path / "compiled", tmp_path / "source", step, {}, tmp_path / "run", settings)
    told = Path(result.values["told"][0]["location"].removeprefix("file://")).read_text()
    fields = dict(line.strip().rsplit(": ", 1) for line in told.splitlines() if ": " in line)
    memory = int(fields["Maximum resident set size (kbytes)"]) * 1024 / 4
    seconds = float(fields["User time (seconds)"]) + float(fields["System time (seconds)"])
    assert result.peak_memory_bytes == pytest.approx(memory, rel=0.1)
    assert result.cpu_seconds == pytest.approx(seconds, rel=0.1, abs=0.05)


def test_docker_works_as_podman_does(run: Run, engine: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text('#!/bin/sh\nexec podman "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run(f"cat {IMAGE_FILE}", wanted="docker") == IMAGE_TEXT


def test_a_container_has_a_network_only_where_the_document_says_so(run: Run) -> None:
    assert run("grep -c : /proc/net/dev") == "1\n"


def test_a_container_has_the_network_that_the_document_asks_for(run: Run) -> None:
    outside = sum(":" in line for line in Path("/proc/net/dev").read_text().splitlines())
    more = {"NetworkAccess": {"networkAccess": True}}
    assert run("grep -c : /proc/net/dev", more=more) == f"{outside}\n"


def test_outputs_go_where_the_document_says(run: Run) -> None:
    assert run("pwd", {"dockerPull": IMAGE, "dockerOutputDirectory": "/results"}) == "/results\n"


@pytest.mark.parametrize("source", ["dockerImageId", "dockerFile", "dockerLoad", "dockerImport"])
def test_an_image_comes_from_where_the_document_says(run: Run, engine: Podman, tmp_path: Path, source: str) -> None:
    archive = tmp_path / "image.tar"
    name = f"localhost/made-by-{source.lower()}:1"
    requirement = {"dockerImageId": name}
    if source == "dockerImageId":
        engine.run("tag", IMAGE, name)
    elif source == "dockerFile":
        requirement = {source: f"FROM {IMAGE}\nLABEL made=here\n"}
    elif source == "dockerLoad":
        engine.run("tag", IMAGE, name)
        engine.run("save", "--quiet", "--output", str(archive), name)
        engine.run("rmi", name)
        requirement[source] = str(archive)
    else:
        requirement[source] = str(engine.folder / "root.tar")
    assert run(f"cat {IMAGE_FILE}", requirement) == IMAGE_TEXT


def test_an_image_that_is_nowhere_is_named(run: Run) -> None:
    with pytest.raises(StepError, match="no image localhost:1/nowhere") as caught:
        run("true", {"dockerPull": "localhost:1/nowhere"})
    assert caught.value.kind == "temporaryFail"


def test_a_failed_command_in_a_container_is_told_like_any_other(run: Run) -> None:
    with pytest.raises(StepError, match="exit code 3") as caught:
        run("echo broken >&2; exit 3")
    assert caught.value.stderr == "broken"


def test_a_time_limit_ends_a_container_that_takes_no_notice(run: Run, tmp_path: Path) -> None:
    """Process 1 of a container ignores SIGTERM, unless it asks for it."""
    with pytest.raises(StepError, match="time limit of 1 seconds"):
        run("sleep 600", more={"ToolTimeLimit": {"timelimit": 1}})
    assert end_containers(tmp_path / "run", MARK) == []  # on a slow machine its client was killed as it started


def test_the_container_of_a_task_that_was_killed_is_found_and_ended(engine: Podman, tmp_path: Path) -> None:
    task = os.fork()
    if not task:
        try:
            os.setsid()
            run_tool(tmp_path, "sleep 600")
        finally:
            os._exit(1)
    deadline = time.monotonic() + WAIT_SECONDS
    while not (list((tmp_path / "run").glob("*.cid")) and engine.containers()):
        assert os.waitpid(task, os.WNOHANG) == (0, 0)
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(task, signal.SIGKILL)
    os.waitpid(task, 0)
    for path in (tmp_path / "run").glob("*.cid"):
        path.unlink()  # as if it had been killed a moment earlier
    assert engine.containers()
    assert end_containers(tmp_path / "run", MARK) == []
