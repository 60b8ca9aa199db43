"""Tools run in their containers; containers of a task are ended. Which engine is found: test_engines.py.

There is no Docker engine where these tests run: the engine is a script that does what cwltool asks of one. Real
containers are in test_podman.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.containers.engines import detect_engine
from cwl_ui_plugin.cwl.containers.task_containers import end_containers
from cwl_ui_plugin.cwl.engine import execution, run_settings
from cwl_ui_plugin.cwl.engine.process_runs import StepResult
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.plan import read_plan

ENGINE = """#!/bin/sh
# docker, as far as cwltool uses it: a "container" is a line in a file.
containers={folder}/containers
case "$1" in
run)
    for word in "$@"; do case "$word" in --cidfile=*) cid="${word#--cidfile=}";; esac; done
    echo "$*" >> {folder}/calls
    [ -e {folder}/crash-early ] || printf 0123456789abcdef > "$cid"
    echo 0123456789abcdef >> "$containers"
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
MARK = "test/container/task/-1/1"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the engine notes; the engine is on the PATH as docker."""
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "containers").touch()
    write_program(folder / "docker", ENGINE.replace("{folder}", str(folder)))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    yield folder


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run_tool(tmp_path: Path, engine: str, tool: str = TOOL, image: str | None = "debian:stable-slim") -> StepResult:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/tool.cwl").write_text(tool)
    compiling.compile_document(tmp_path / "source", "tool.cwl", tmp_path / "compiled")
    step = read_plan(tmp_path / "compiled").steps[0]
    assert step.container == image
    settings = run_settings.RunSettings(engine=engine, tag=MARK, images=tmp_path / "images")
    return execution.run_step(tmp_path / "compiled", tmp_path / "source", step, {}, tmp_path / "run", settings)


def printed(result: StepResult) -> str:
    ((output, _status),) = result.values.values()
    return Path(output["location"].removeprefix("file://")).read_text()


def test_a_tool_runs_in_its_container_without_network(docker: Path, tmp_path: Path) -> None:
    result = run_tool(tmp_path, "docker")
    assert (docker / "calls").read_text().count("\n") == 1
    assert "--net=none" in (docker / "calls").read_text()
    assert "debian:stable-slim" in (docker / "calls").read_text()
    assert printed(result) == "from the container\n"


def test_network_access_of_the_document_reaches_the_container(docker: Path, tmp_path: Path) -> None:
    run_tool(tmp_path, "docker", TOOL.replace("{DockerReq", "{NetworkAccess: {networkAccess: true}, DockerReq"))
    assert "--net" not in (docker / "calls").read_text()


def test_a_gpu_that_is_asked_for_is_given_to_the_container(
    docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cwltool.cuda.cuda_version_and_device_count", lambda: ("12.0", 2))
    monkeypatch.setattr("cwltool.job.cuda_check", lambda _requirement, count: count)
    cuda = """{"cwltool:CUDARequirement": {cudaVersionMin: "11.0", cudaComputeCapability: "3.0"}, DockerReq"""
    namespaces = "$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}\n"
    run_tool(tmp_path, "docker", TOOL.replace("{DockerReq", cuda) + namespaces)
    assert "--gpus=1" in (docker / "calls").read_text()


def test_without_an_engine_it_says_so_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="this worker has no container engine") as caught:
        run_tool(tmp_path, "none")
    assert caught.value.kind == "unsupported"


def test_a_container_that_is_a_hint_is_not_needed(tmp_path: Path) -> None:
    tool = TOOL.replace("requirements:", "hints:").replace("[cat, /etc/debian_version]", "[echo, outside]")
    assert printed(run_tool(tmp_path, "none", tool)) == "outside\n"


@pytest.mark.parametrize("crash", ["crash", "crash-early"])
def test_a_container_that_outlives_its_client_is_ended(docker: Path, tmp_path: Path, crash: str) -> None:
    """Even one whose client was killed before it wrote down which container it started."""
    (docker / "crash").touch()
    (docker / crash).touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    assert (docker / "containers").read_text()
    assert end_containers(tmp_path / "run", MARK) == []
    assert (docker / "containers").read_text() == ""
    assert list((tmp_path / "run").glob("*.cid")) == []


def test_a_container_that_can_not_be_ended_is_named(docker: Path, tmp_path: Path) -> None:
    (docker / "crash").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    script = (docker / "docker").read_text()
    (docker / "docker").write_text(script.replace('rm) : > "$containers"', "rm) exit 1"))
    assert end_containers(tmp_path / "run", MARK) == ["container 0123456789ab (docker)"]


def test_an_engine_that_went_away_hides_nothing(docker: Path, tmp_path: Path) -> None:
    (docker / "crash").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    (docker / "docker").unlink()
    assert end_containers(tmp_path / "run", MARK) == ["container 0123456789ab (docker)"]


def test_an_engine_that_does_not_answer_may_have_what_was_killed_early(docker: Path, tmp_path: Path) -> None:
    """Its id was never written: the label alone would tell, and nobody tells of labels now."""
    (docker / "crash").touch()
    (docker / "crash-early").touch()
    with pytest.raises(StepError):
        run_tool(tmp_path, "docker")
    script = (docker / "docker").read_text()
    (docker / "docker").write_text(script.replace('ps) cat "$containers"', "ps) exit 125"))
    assert end_containers(tmp_path / "run", MARK) == ["containers that docker keeps, which does not answer"]
    (docker / "docker").write_text(script)
    assert end_containers(tmp_path / "run", MARK) == []


def test_nobody_is_asked_about_a_task_without_containers(docker: Path, tmp_path: Path) -> None:
    write_program(docker / "docker", f"#!/bin/sh\ntouch {docker}/asked\n")
    (tmp_path / "run").mkdir()
    assert end_containers(tmp_path / "run", MARK) == []
    assert not (docker / "asked").exists()


def test_an_image_that_can_not_be_pulled_is_named_and_tried_again(docker: Path, tmp_path: Path) -> None:
    write_program(docker / "docker", "#!/bin/sh\necho 'registry: connection refused' >&2\nexit 1\n")
    with pytest.raises(StepError, match=r"no image debian:stable-slim.*registry: connection refused") as caught:
        run_tool(tmp_path, "docker")
    assert caught.value.kind == "temporaryFail"


def test_a_requirement_that_names_no_image_is_explained(docker: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="dockerImageId beside dockerLoad") as caught:
        run_tool(
            tmp_path,
            "docker",
            TOOL.replace('dockerPull: "debian', 'dockerLoad: "http://x/debian'),
            image="image made by the document",
        )
    assert caught.value.kind == "unsupported"


# The command lines of cwltool for singularity and udocker, to programs that only write them down.
SINGULARITY = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$*" in
--version) echo "apptainer version 1.3.4";;
exec\\ --userns*) echo "/bin/sh doesn't exist in container" >&2; exit 1;;
pull*) for word in "$@"; do case "$word" in /*) touch "$word";; esac; done;;
*run*) env | grep SINGULARITYENV_ >> {folder}/variables; echo from the image;;
esac
"""
UDOCKER = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$*" in *run*) echo from the image;; esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder at the begin of the PATH; cwltool has forgotten what it knows of singularity."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("cwltool.singularity._SINGULARITY_VERSION", None)
    monkeypatch.setattr("cwltool.singularity_utils._USERNS", None)
    monkeypatch.setattr("cwltool.singularity._IMAGES", {})
    monkeypatch.setenv("CWL_SINGULARITY_CACHE", "")
    monkeypatch.delenv("CWL_SINGULARITY_CACHE")
    monkeypatch.chdir(tmp_path)
    yield folder


@pytest.mark.parametrize("name", ["singularity", "apptainer"])
def test_singularity_pulls_once_and_runs_with_what_a_stop_needs(programs: Path, tmp_path: Path, name: str) -> None:
    write_program(programs / name, SINGULARITY.replace("{folder}", str(tmp_path)))
    assert detect_engine("singularity") == "singularity"
    assert printed(run_tool(tmp_path, "singularity")) == "from the image\n"
    calls = (tmp_path / "calls").read_text().splitlines()
    image = next((tmp_path / "images").iterdir())
    pulls = [call.replace(" --force", "") for call in calls if call.startswith("pull")]  # cwltool before 3.3 forces it
    assert pulls == [f"pull --name {image} docker://debian:stable-slim"]
    (run,) = [call for call in calls if " run " in call]
    assert "--cleanenv" in run
    assert "--net --network none" in run
    assert f"{image} cat /etc/debian_version" in run
    assert f"SINGULARITYENV_CWL_UI_PLUGIN_TASK={MARK}" in (tmp_path / "variables").read_text()


def test_udocker_runs_with_what_a_stop_needs(programs: Path, tmp_path: Path) -> None:
    write_program(programs / "udocker", UDOCKER.replace("{folder}", str(tmp_path)))
    assert detect_engine("udocker") == "udocker"
    assert printed(run_tool(tmp_path, "udocker")) == "from the image\n"
    (run,) = [call for call in (tmp_path / "calls").read_text().splitlines() if " run " in call]
    assert f"--env=CWL_UI_PLUGIN_TASK={MARK}" in run
    assert run.endswith("debian:stable-slim cat /etc/debian_version")
