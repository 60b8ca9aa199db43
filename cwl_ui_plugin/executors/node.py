"""What runs on a compute node, as the batch script of a job: it starts Airflow's task, and sees that nothing is left.

``python -m cwl_ui_plugin.executors.node FOLDER``, where FOLDER is that of a submission (see ``spool``). It does without
Airflow, which takes seconds to import. As the parent of every process that the task leaves behind, it ends them all
before Slurm takes the job for ended, also where Slurm follows processes by their parents only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.machine import JOB_VARIABLE
from cwl_ui_plugin.interpreters import module_command

MARGIN_SECONDS = 5.0
"""What a task gets besides its commands' grace; both together must be less than Slurm's KillWait (30 seconds)."""
POLL_SECONDS = 0.1
STOPPED = 143
_PASSED = ("SLURM", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "TMPDIR")
_is_told = False


def _tell(_number: int, _frame: FrameType | None) -> None:
    global _is_told
    _is_told = True


def main() -> int:
    """Run the element of a submission that this job is; return its code."""
    folder, index = Path(sys.argv[1]), os.environ.get("SLURM_ARRAY_TASK_ID") or "0"
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _tell)
    try:
        submission = json.loads((folder / "submission.json").read_bytes())
        settings = json.loads(Path(submission["environment"]).read_bytes())
        code = _run(folder / f"{index}.json", settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _say(f"This job can't begin on {os.uname().nodename}: {error!r}. See docs/slurm.md.")
        code = 1
    with suppress(OSError):
        beside = folder / f".{index}.end"
        beside.write_text(str(code), encoding="ascii")
        beside.replace(folder / f"{index}.end")
    return code


def _run(workload: Path, settings: dict[str, Any]) -> int:
    """Run Airflow's own command for a workload; nothing that it has started is left when this returns."""
    of_slurm = {name: value for name, value in os.environ.items() if name.startswith(_PASSED)}
    job = os.environ.get("SLURM_JOB_ID", "")
    task_processes.adopt_orphans()
    os.umask(settings["umask"])
    child = subprocess.Popen(
        module_command("airflow.sdk.execution_time.execute_workload", "--json-path", str(workload)),
        env={**settings["variables"], **of_slurm, JOB_VARIABLE: job},
        stdin=subprocess.DEVNULL,
    )
    ends_at: float | None = None
    while (code := child.poll()) is None or task_processes.has_children():
        if ends_at is None and (_is_told or code is not None):
            # Slurm has told all processes of the job: the task ends its commands, and gives its lease back.
            ends_at = time.monotonic() + settings["grace"] + MARGIN_SECONDS
        if ends_at is not None and time.monotonic() > ends_at:
            break
        time.sleep(POLL_SECONDS)
    left = _kill_children()
    if left:
        _say(f"Processes outlived SIGKILL: {', '.join(left)}")
        return 1
    code = child.wait()
    return STOPPED if _is_told else code if code >= 0 else 128 - code


def _say(text: str) -> None:
    """Write into the file of the job's output, whose end is shown where it fails."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _kill_children() -> list[str]:
    """Kill all processes below this one; return those that outlive it."""
    tag = f"{os.getpid()}-{time.monotonic_ns()}"  # no process has it: only those below this one are found
    return [process.program for process in task_processes.end(tag, 0.0, below=[os.getpid()])]


if __name__ == "__main__":
    sys.exit(main())
