"""An engine that is missing, broken or slow is told from one that works; no tool leaves its container for that."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from cwl_ui_plugin import container_options
from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.containers import engines
from cwl_ui_plugin.cwl.containers.engines import detect_engine
from cwl_ui_plugin.cwl.engine import execution, run_settings
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.cwl.processes import task_processes

ENGINES = ("docker", "podman", "singularity", "apptainer", "udocker")
KNOWN_AS = {"apptainer": "singularity"}
SHORT = 0.2
"""Seconds for an engine that does not answer anyway."""
LONG = 60.0
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
{kind}: {{DockerRequirement: {{dockerPull: "debian:stable-slim"}}}}
baseCommand: [/bin/sh, -c, ": > {ran}"]
inputs: {{}}
outputs: {{}}
"""
Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """``put(engine, state)``: all that is on the PATH. A slow one answers once somebody writes into the FIFO ``go``."""
    programs = tmp_path / "programs"
    programs.mkdir()
    os.mkfifo(tmp_path / "go")
    monkeypatch.setenv("PATH", str(programs))
    scripts = {
        "works": "exit 0",
        "broken": "echo the daemon is out of order >&2; exit 1",
        "slow": f"read line < {tmp_path}/go",
        "no program": None,
    }

    def put_engine(engine: str, state: str) -> None:
        program, script = programs / engine, scripts[state]
        program.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n" if script else "#!/nowhere\n")
        program.chmod(0o755)

    ask = engines._ask

    def ask_patiently(command: list[str], said: IO[bytes], seconds: float) -> int:
        """A busy machine makes no engine slow but those that are."""
        is_slow = scripts["slow"] in Path(command[0]).read_text()
        return ask(command, said, seconds if is_slow else LONG)

    monkeypatch.setattr(engines, "_ask", ask_patiently)
    return put_engine


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, str], bool]:
    """``run(kind, wanted)``: whether a tool ran outside, that has its container among requirements or hints."""

    def run_tool(kind: str, wanted: str) -> bool:
        ran = tmp_path / "ran"
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source/tool.cwl").write_text(TOOL.format(kind=kind, ran=ran))
        engine = detect_engine(wanted, SHORT)
        compiling.compile_document(tmp_path / "source", "tool.cwl", tmp_path / "compiled")
        step = read_plan(tmp_path / "compiled").steps[0]
        settings = run_settings.RunSettings(engine=engine, tag="test/engines/task/-1/1")
        execution.run_step(tmp_path / "compiled", tmp_path / "source", step, {}, tmp_path / "run", settings)
        return ran.exists()

    return run_tool


@pytest.mark.parametrize("kind", ["requirements", "hints"])
@pytest.mark.parametrize("way", ["auto", "named"])
@pytest.mark.parametrize("state", ["broken", "slow", "no program"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_in_trouble_fails_the_task_for_another_try(
    put: Put, run: Callable[[str, str], bool], tmp_path: Path, engine: str, state: str, way: str, kind: str
) -> None:
    put(engine, state)
    wanted = "auto" if way == "auto" else KNOWN_AS.get(engine, engine)
    with pytest.raises(StepError) as caught:
        run(kind, wanted)
    assert caught.value.kind == "temporaryFail"
    said = {"broken": "exit code 1: the daemon is out of order. That may pass", "slow": "container_engine_timeout"}
    assert said.get(state, "can't be started") in caught.value.message
    assert f"programs/{engine} " in caught.value.message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("way", ["auto", "named"])
@pytest.mark.parametrize("state", ["broken", "slow", "no program"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_recovers_is_used_by_the_next_try(put: Put, engine: str, state: str, way: str) -> None:
    known = KNOWN_AS.get(engine, engine)
    wanted = "auto" if way == "auto" else known
    put(engine, state)
    with pytest.raises(StepError):
        detect_engine(wanted, SHORT)
    put(engine, "works")
    assert detect_engine(wanted, LONG) == known


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slow_engine_is_waited_for(put: Put, tmp_path: Path, engine: str) -> None:
    put(engine, "slow")
    writer = threading.Thread(target=lambda: (tmp_path / "go").write_text("\n"), daemon=True)
    writer.start()  # it waits for the engine to read
    assert detect_engine("auto", LONG) == KNOWN_AS.get(engine, engine)
    writer.join(LONG)


@pytest.mark.parametrize("state", ["broken", "slow"])
def test_another_engine_that_works_is_taken_by_auto_alone(put: Put, state: str) -> None:
    put("docker", state)
    put("podman", "works")
    assert detect_engine("auto", SHORT) == "podman"
    with pytest.raises(StepError, match="programs/docker ps"):
        detect_engine("docker", SHORT)


def test_each_engine_in_trouble_is_named(put: Put) -> None:
    put("docker", "broken")
    put("podman", "slow")
    with pytest.raises(StepError, match=r"docker ps.*out of order.*podman info.*has not answered within 0\.2 seconds"):
        detect_engine("auto", SHORT)


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine not in KNOWN_AS])
@pytest.mark.parametrize("kind", ["requirements", "hints"])
def test_a_named_engine_that_is_not_installed_is_no_reason_to_try_again(
    put: Put, run: Callable[[str, str], bool], engine: str, kind: str
) -> None:
    with pytest.raises(StepError, match=f"{engine}.*is not installed on this worker") as caught:
        run(kind, engine)
    assert caught.value.kind == "permanentFail"


def test_where_none_is_installed_a_hint_runs_outside(put: Put, run: Callable[[str, str], bool]) -> None:
    assert run("hints", "auto")


def test_where_none_is_installed_a_requirement_fails(put: Put, run: Callable[[str, str], bool], tmp_path: Path) -> None:
    with pytest.raises(StepError, match="this worker has no container engine") as caught:
        run("requirements", "auto")
    assert caught.value.kind == "unsupported"
    assert not (tmp_path / "ran").exists()


def test_nothing_is_left_of_an_engine_that_took_too_long(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = f"test/engines/{uuid.uuid4()}/-1/1"  # not that of another session
    monkeypatch.setenv("CWL_UI_PLUGIN_TASK", mark)
    put("podman", "slow")
    script = f"(read line < {tmp_path}/go) & echo $! > {tmp_path}/child; wait"
    (tmp_path / "programs/podman").write_text(f"#!/bin/sh\n# read line < {tmp_path}/go\n{script}\n")
    for seconds in (0.5, 5.0, 50.0):
        with pytest.raises(StepError):
            detect_engine("podman", seconds)
        if (tmp_path / "child").exists():
            break
    deadline = time.monotonic() + LONG
    while task_processes.find(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert task_processes.find(mark) == []


def test_what_an_engine_leaves_running_is_not_waited_for(put: Put, tmp_path: Path) -> None:
    put("podman", "works")
    (tmp_path / "programs/podman").write_text(f"#!/bin/sh\n(read line < {tmp_path}/go) &\nexit 0\n")
    assert detect_engine("podman", LONG) == "podman"
    (tmp_path / "go").write_text("\n")


def test_none_asks_nobody(put: Put) -> None:
    put("docker", "works")
    assert detect_engine("none") == "none"


def test_each_engine_that_can_be_configured_is_known() -> None:
    assert set(container_options.CONTAINER_ENGINES) == {*engines.ENGINES, engines.AUTO, engines.NONE}


def test_cwltool_is_told_which_engine_to_use() -> None:
    """As its own options do: ``--podman``, ``--singularity``, ``--user-space-docker-cmd``, ``--no-container``."""
    told = {name: engines.context_of(name) for name in (*engines.ENGINES, engines.NONE)}
    assert told == {
        "docker": {"use_container": True},
        "podman": {"use_container": True, "podman": True},
        "singularity": {"use_container": True, "singularity": True},
        "udocker": {"use_container": True, "user_space_docker_cmd": "udocker"},
        "none": {"use_container": False},
    }
