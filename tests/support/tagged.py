"""Processes of runs, by their tags, of whichever Airflow on this machine: tests know no other's tags."""

from __future__ import annotations

import psutil

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE, Process


def find(below: str) -> list[Process]:
    """Return the processes whose tag has ``below`` (``dag_id``, ``dag_id/run_id``...) behind its installation."""
    return [process for tag in _tags(below) for process in task_processes.find(f"{tag}/{below}")]


def _tags(below: str) -> set[str]:
    found = set()
    for process in psutil.process_iter():
        try:
            installation, _, rest = process.environ().get(TAG_VARIABLE, "").partition("/")
        except (psutil.Error, OSError):
            continue
        if f"{rest}/".startswith(f"{below}/"):
            found.add(installation)
    return found
