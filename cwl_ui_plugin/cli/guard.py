"""A process that outlives a standalone server by a moment: it ends what the server leaves when it is killed.

The server holds the other end of this process's standard input; that it closes is how its death is noticed, however it
came about. Before, it writes the pid of each component that it starts, one a line, and ``-<pid>`` when that has ended.
Components are known by that: Airflow gives its processes titles, which overwrite the environment that other processes
are found by.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection

from cwl_ui_plugin.cwl.processes import task_processes

STOP_SECONDS = 15
POLL_SECONDS = 0.1


def main() -> None:
    """Wait until the server is gone, then end its components' process groups, and all processes with its tag."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    tag = sys.stdin.readline().strip()
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line)
        (groups.add if pid > 0 else groups.discard)(abs(pid))
    end_groups(groups)
    if tag:
        task_processes.end(tag, 0, task_processes.SERVER_VARIABLE)


def end_groups(groups: Collection[int]) -> None:
    """End process groups: SIGTERM, some seconds, SIGKILL to all of their sessions."""
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + STOP_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = {group for group in left if signal_group(group, 0)}
    for group in groups:  # tasks are in process groups of their own
        task_processes.kill_session(group)


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether there is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main()
