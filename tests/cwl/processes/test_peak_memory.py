"""The peak of memory is the command's own, whatever this process holds itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.processes import peak_memory
from cwl_ui_plugin.cwl.processes.peak_memory import PeakMemory

MEGABYTE = 1024 * 1024
HOLD = """
import sys, time
kept = b"x" * (int(sys.argv[1]) * 1024 * 1024)
time.sleep(float(sys.argv[2]))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024)
"""
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [PYTHON, -c, 'HOLD']
inputs:
  megabytes: {type: int, inputBinding: {position: 1}}
  seconds: {type: float, inputBinding: {position: 2}}
outputs:
  held: {type: int, outputBinding: {glob: held, loadContents: true, outputEval: "$(parseInt(self[0].contents))"}}
requirements: {InlineJavascriptRequirement: {}}
stdout: held
"""


@pytest.fixture(autouse=True)
def _large_process() -> None:
    """This process holds more than the commands, as that of a task does."""
    assert len(b"x" * 150 * MEGABYTE)


def run(tmp_path: Path, megabytes: int, seconds: float) -> tuple[int, int]:
    """Return what a step says of its command's peak, and what the command says itself."""
    from cwl_ui_plugin.cwl.compiler import compiling
    from cwl_ui_plugin.cwl.engine import execution, run_settings

    (tmp_path / "upload").mkdir()
    code = "; ".join(HOLD.strip().splitlines()).replace("\n", "; ").replace('"', '\\"')
    text = TOOL.replace("PYTHON", sys.executable).replace("'HOLD'", f'"{code}"')
    (tmp_path / "upload/hold.cwl").write_text(text)
    plan = compiling.compile_document(tmp_path / "upload", "hold.cwl", tmp_path / "compiled")
    settings = run_settings.RunSettings(engine="none", tag="test/memory/task/-1/1")
    job = {"megabytes": megabytes, "seconds": seconds}
    values = execution.start(tmp_path / "compiled", tmp_path / "upload", job, tmp_path / "start", settings)
    step = plan.steps[0]
    result = execution.run_step(tmp_path / "compiled", tmp_path / "upload", step, values, tmp_path / "step", settings)
    return result.peak_memory_bytes, int(result.values["held"][0])


@pytest.mark.parametrize(("megabytes", "seconds"), [(1, 0.2), (40, 0.3), (600, 0.5)])
def test_a_step_says_what_its_command_has_held(tmp_path: Path, megabytes: int, seconds: float) -> None:
    said, held = run(tmp_path, megabytes, seconds)
    assert said == pytest.approx(held, rel=0.1)


def test_what_ends_between_two_looks_and_is_large_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory, "FIRST_PAUSE", 60.0)
    said, held = run(tmp_path, 1500, 0)
    assert said == pytest.approx(held, rel=0.1)


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_children_of_a_command_count_and_its_exit_code_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pidfd: bool
) -> None:
    if not has_pidfd:
        monkeypatch.setattr(peak_memory.os, "pidfd_open", _refused)
    code = HOLD.replace("sys.argv[1]", "50").replace("sys.argv[2]", "0.3")
    command = subprocess.Popen(
        ["sh", "-c", '"$0" -c "$1"; exit 7', sys.executable, code], stdout=subprocess.PIPE, text=True
    )
    peak = PeakMemory(tmp_path)
    peak.watch(command)
    held = int(command.communicate()[0])
    assert command.returncode == 7
    assert peak.bytes == pytest.approx(held, rel=0.1)


def _refused(_pid: int) -> int:
    raise PermissionError


def test_a_short_command_does_not_count_what_this_process_holds(tmp_path: Path) -> None:
    peak = PeakMemory(tmp_path)
    command = subprocess.Popen(["true"], text=True)
    peak.watch(command)
    command.wait()
    assert 0 <= peak.bytes < 20 * MEGABYTE
