"""The engine that is found is one that answers; containers of a task are ended.

There is no Docker engine where these tests run: the engine is a script that does what cwltool asks of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl import compiling, execution
from cwl_ui_plugin.cwl.containers import detect_engine, end_containers
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import read_plan


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Put an engine on an otherwise empty PATH: ``engine(name, exit code)``."""
    monkeypatch.setenv("PATH", str(tmp_path))
    detect_engine.cache_clear()

    def put(name: str, exit_code: int) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {exit_code}\n")
        (tmp_path / name).chmod(0o755)

    yield put
    detect_engine.cache_clear()


def test_auto_takes_the_first_that_answers(engine: Callable[[str, int], None]) -> None:
    engine("docker", 1)
    engine("podman", 0)
    engine("udocker", 0)
    assert detect_engine("auto") == "podman"


def test_auto_takes_none_where_there_is_none(engine: Callable[[str, int], None]) -> None:
    assert detect_engine("auto") == "none"


def test_apptainer_is_singularity(engine: Callable[[str, int], None]) -> None:
    engine("apptainer", 0)
    assert detect_engine("singularity") == "singularity"


def test_an_engine_that_does_not_answer_is_named_with_what_was_asked(engine: Callable[[str, int], None]) -> None:
    engine("docker", 1)
    with pytest.raises(StepError, match="docker info"):
        detect_engine("docker")


def test_none_asks_nobody(engine: Callable[[str, int], None]) -> None:
    engine("docker", 0)
    assert detect_engine("none") == "none"


ENGINE = """#!/bin/sh
# docker, as far as cwltool uses it: a "container" is a line in a file.
containers={folder}/containers
case "$1" in
run)
    for word in "$@"; do case "$word" in --cidfile=*) cid="${word#--cidfile=}";; esac; done
    echo "$*" >> {folder}/calls
    printf 0123456789abcdef > "$cid"; echo 0123456789abcdef >> "$containers"
    echo from the container
    [ -e {folder}/crash ] && kill -9 $$
    : > "$containers";;
inspect) echo '[{"Id": "sha256:1"}]';;
images) echo "debian stable-slim sha256:1";;
rm) : > "$containers";;
ps) cat "$containers";;
esac
"""
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {DockerRequirement: {dockerPull: "debian:stable-slim"}}
baseCommand: [cat, /etc/debian_version]
inputs: {}
outputs: {out: {type: stdout}}
stdout: out.txt
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the engine notes; the engine is on the PATH as docker."""
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "containers").touch()
    (folder / "docker").write_text(ENGINE.replace("{folder}", str(folder)))
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    detect_engine.cache_clear()
    yield folder
    detect_engine.cache_clear()


def run_tool(tmp_path: Path, engine: str) -> execution.StepResult:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/tool.cwl").write_text(TOOL)
    compiling.compile_document(tmp_path / "source", "tool.cwl", tmp_path / "compiled")
    step = read_plan(tmp_path / "compiled").steps[0]
    assert (step.container, step.needs_container) == ("debian:stable-slim", True)
    settings = execution.RunSettings(engine=engine, mark="test/container/task/-1/1")
    return execution.run_step(tmp_path / "compiled", tmp_path / "source", step, {}, tmp_path / "run", settings)


def test_a_tool_runs_in_its_container_without_network(docker: Path, tmp_path: Path) -> None:
    result = run_tool(tmp_path, "docker")
    assert (docker / "calls").read_text().count("\n") == 1
    assert "--net=none" in (docker / "calls").read_text()
    assert "debian:stable-slim" in (docker / "calls").read_text()
    ((output, _status),) = result.values.values()
    assert Path(output["location"].removeprefix("file://")).read_text() == "from the container\n"


def test_without_an_engine_it_says_so_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="no container engine answers") as caught:
        run_tool(tmp_path, "none")
    assert caught.value.kind == "unsupported"


def test_a_container_that_outlives_its_client_is_ended(docker: Path, tmp_path: Path) -> None:
    (docker / "crash").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    assert (docker / "containers").read_text()
    assert end_containers(tmp_path / "run", "docker") == []
    assert (docker / "containers").read_text() == ""
    assert list((tmp_path / "run").glob("*.cid")) == []


def test_a_container_that_can_not_be_ended_is_named(docker: Path, tmp_path: Path) -> None:
    (docker / "crash").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    script = (docker / "docker").read_text()
    (docker / "docker").write_text(script.replace('rm) : > "$containers"', "rm) exit 1"))
    assert end_containers(tmp_path / "run", "docker") == ["container 0123456789ab (docker)"]


def test_an_engine_that_went_away_hides_nothing(docker: Path, tmp_path: Path) -> None:
    (docker / "crash").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    (docker / "docker").unlink()
    detect_engine.cache_clear()
    assert end_containers(tmp_path / "run", "docker") == ["container 0123456789ab (docker)"]
