"""What the commands of runs that succeeded printed and used: kept for some days, and no longer than Airflow's list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.reports import removals
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.retention.items import DAY, Item
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.services.retention.trees import remove as remove_tree

OPTION = "keep_logs_days"
GONE_SECONDS = 3600.0
"""A run that Airflow does not have in its list, and whose logs are older, was deleted there."""


def measure(measurer: Measurer) -> Size:
    """Return what logs take."""
    return measurer.measure([run_folder.kept_logs_folder()])


def find() -> Iterator[Item]:
    """Yield the logs that may go."""
    now, days = time.time(), config.number(OPTION)
    found = dict(_kept())
    listed = {run for run, _state, _end in cleanup.known_runs(sorted({(dag, run) for dag, run, _at in found.values()}))}
    for folder, (dag_id, run_id, kept) in found.items():
        limit = now - (days * DAY if (dag_id, run_id) in listed else min(GONE_SECONDS, days * DAY))
        if kept <= limit:
            yield Item(f"{dag_id} {run_id}", (folder,), OPTION, kept, dag_id=dag_id, run_id=run_id)


def remove(item: Item) -> bool:
    """Remove the logs of a run; its page says so."""
    folder = item.places[0]
    if not folder.is_dir() or folder.resolve() != folder:
        return False
    removals.note([(str(item.dag_id), str(item.run_id))], removals.LOGS, OPTION)
    return remove_tree(folder)


def _kept() -> Iterator[tuple[Path, tuple[str, str, float]]]:
    for folder in run_folder.runs_with_kept_logs():
        with suppress(FileNotFoundError):
            dag_id, run_id = control_files.named_by(folder.parent.name), control_files.named_by(folder.name)
            yield folder, (dag_id, run_id, folder.stat().st_mtime)
