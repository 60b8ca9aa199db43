"""What runs on a node: whatever becomes of the task, nothing of it is left when the job ends, and the job says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.airflow_server import wait_for

ROOT = Path(__file__).resolve().parents[2]
# In the place of Airflow's command: it does what its workload says, and shows what it was given.
COMMAND = """
import json, os, subprocess, sys, time
path = sys.argv[sys.argv.index("--json-path") + 1]
asked = json.load(open(path))
names = ("CWL_UI_PLUGIN_SLURM_JOB", "SLURM_CPUS_ON_NODE", "FROM_FILE", "FROM_SLURMD")
open(asked["told"], "w").write(json.dumps({name: os.environ.get(name) for name in names}))
for words in asked["start"]:
    subprocess.Popen(words, start_new_session=True)
open(asked["told"] + ".begun", "w").close()
time.sleep(asked["seconds"])
sys.exit(asked["code"])
"""
Started = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Started:
    """Start the element of a submission whose workload says what it does."""
    fake = tmp_path / "fake" / "airflow" / "sdk" / "execution_time"
    fake.mkdir(parents=True)
    for package in (fake, fake.parent, fake.parent.parent):
        (package / "__init__.py").touch()
    (fake / "execute_workload.py").write_text(COMMAND)
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "fake"), "FROM_FILE": "yes"}
    environment = tmp_path / "environment.json"
    environment.write_text(json.dumps({"umask": 0o027, "grace": 0.5, "variables": variables}))
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "submission.json").write_text(json.dumps({"environment": str(environment), "instances": []}))

    def started(*, start: list[list[str]] = [], seconds: float = 0, code: int = 0) -> subprocess.Popen[bytes]:  # noqa: B006
        asked = {"told": str(tmp_path / "told"), "start": start, "seconds": seconds, "code": code}
        (folder / "3.json").write_text(json.dumps(asked))
        return subprocess.Popen(
            [sys.executable, "-m", "cwl_ui_plugin.executors.node", str(folder)],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SLURM_ARRAY_TASK_ID": "3",
                "SLURM_JOB_ID": "17",
                "SLURM_CPUS_ON_NODE": "2",
                "FROM_SLURMD": "no",
            },
        )

    return started


def end(tmp_path: Path) -> str:
    return (tmp_path / "submission" / "3.end").read_text()


@pytest.mark.parametrize("code", [0, 3])
def test_it_runs_its_element_in_its_environment(tmp_path: Path, start: Started, code: int) -> None:
    assert start(code=code).wait(30) == code
    assert end(tmp_path) == str(code)
    told = json.loads((tmp_path / "told").read_text())
    assert told == {
        "CWL_UI_PLUGIN_SLURM_JOB": "17",
        "SLURM_CPUS_ON_NODE": "2",
        "FROM_FILE": "yes",
        "FROM_SLURMD": None,
    }
    assert (tmp_path / "told").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("how", ["ends", "killed", "stopped"])
def test_nothing_is_left_of_what_it_started(tmp_path: Path, start: Started, how: str) -> None:
    number = str(time.monotonic_ns())
    stubborn = ["sh", "-c", f"trap '' TERM; sleep {number}1 & setsid sleep {number}2 & wait"]
    process = start(start=[stubborn, ["setsid", "sleep", f"{number}3"]], seconds=0 if how == "ends" else 600)
    wait_for((tmp_path / "told.begun").exists, 30, "the task")
    if how == "killed":
        (child,) = [
            one for one in psutil.Process(process.pid).children() if "execute_workload" in " ".join(one.cmdline())
        ]
        child.kill()
    elif how == "stopped":
        process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    assert [one for one in psutil.process_iter(["cmdline"]) if number in " ".join(one.info["cmdline"] or ())] == []
    assert code == {"ends": 0, "killed": 137, "stopped": 143}[how]
    assert end(tmp_path) == str(code)


def test_files_that_can_not_be_read_are_told(tmp_path: Path, start: Started) -> None:
    (tmp_path / "submission" / "submission.json").unlink()
    assert start().wait(30) == 1
    assert end(tmp_path) == "1"
