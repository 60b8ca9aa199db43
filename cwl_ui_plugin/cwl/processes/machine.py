"""Which machine this is, as far as processes go, and whether a process of it still lives.

Two processes are on the same machine if they can see each other: the same boot of the same kernel and the same
namespace of pids. Two containers of one host are two machines.
"""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path

from cwl_ui_plugin.cwl.processes.proc import stat_of

_CLOCK_SLACK_SECONDS = 2.0
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def this_host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


@cache
def this_machine() -> str:
    """Return what tells this machine, since its last boot, from all others: ``<boot>-<namespace of pids>``."""
    return f"{_boot_id()}-{_pid_namespace()}"


def this_pod() -> str:
    """Return the pod of the KubernetesExecutor that this process is in, ``<namespace>/<name>``; "" where it is in none.

    The executor says so by a variable. A pod without the account that would tell its namespace is in the one that the
    executor is configured for.
    """
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD") != "True":
        return ""
    try:
        namespace = _NAMESPACE_FILE.read_text(encoding="ascii").strip()
    except OSError:
        namespace = os.environ.get("AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE", "")
    return f"{namespace}/{this_host()}"


JOB_VARIABLE = "CWL_UI_PLUGIN_SLURM_JOB"
"""What the processes of a job of the SlurmExecutor have in their environment: its number."""


def this_slurm_job() -> str:
    """Return the job of the SlurmExecutor that this process is in; "" where it is in none."""
    return os.environ.get(JOB_VARIABLE, "")


def boot_of(machine: str) -> str:
    """Return the part of a machine's name that changes when it is booted."""
    return machine.rpartition("-")[0]


def is_alive(pid: int, known_since: float) -> bool:
    """Whether ``pid`` is still the process that was there at ``known_since``: a later one has only its number."""
    try:
        stat = stat_of(pid)
    except OSError:
        return False
    started = time.time() - _uptime() + stat.started_seconds
    return stat.is_living and started <= known_since + _CLOCK_SLACK_SECONDS


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")
    except OSError:
        return socket.gethostname()


def _pid_namespace() -> int:
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _uptime() -> float:
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
