"""What tasks leave on a machine without common folders, which the API server's cleaning does not see.

Values are in the store once a task has ended, and its logs have been sent: nobody reads its files here again.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.relaying.told_tasks import Run
from cwl_ui_plugin.dags.stopping import tombstones

OLD_SECONDS = 86_400.0
"""How old files of a run are that go: a task may be of a clock that was wrong for a while."""
FETCHED_SECONDS = 30 * 86_400.0
"""Inputs from the network that no task has used for so long go; no task takes longer."""
_DEPTH = 3
"""Below the folder of a run: task, map index, try."""
_ENTRY = re.compile(r"\.?[0-9a-f]{64}(\.[0-9a-f]{32})?")


def tidy(is_known: Callable[[Run], bool]) -> None:
    """Remove what is old of runs that have no lease here, and of which no task ``is_known``; and unused inputs."""
    for run in set(_runs()):
        if not (is_known(run) or run_folder.leases(*run)):
            _tidy_run(run)
    _tidy_fetched()


def _runs() -> Iterator[Run]:
    yield from control_files.runs()
    for dag in _folders(config.tmp_folder()):
        if not dag.name.startswith("."):
            for run in control_files.listed(dag):
                yield control_files.named_by(dag.name), control_files.named_by(run.name)


def _tidy_run(run: Run) -> None:
    """Remove tries of a run, each of which has a folder of its own: a new one may begin meanwhile."""
    since = time.time() - OLD_SECONDS
    stone = tombstones.find(*run)
    if stone is not None and stone.at < since:
        tombstones.forget(*run)
    place = run_folder.real_run_tmp(*run)
    if place is not None and place.is_dir():
        _remove_old(place, _DEPTH, since)
    if place is None or not place.is_dir():
        run_folder.remove_run_tmp(*run)
        with suppress(OSError):
            run_folder.run_tmp(*run).parent.rmdir()


def _remove_old(folder: Path, depth: int, since: float) -> None:
    """Remove the folders of tries ``depth`` levels below one, and those between that are empty then."""
    is_old = _changed(folder) < since
    for inner in _folders(folder):
        if depth > 1:
            _remove_old(inner, depth - 1, since)
        elif _changed(inner) < since:
            shutil.rmtree(inner, ignore_errors=True)
    if is_old:
        with suppress(OSError):
            folder.rmdir()


def _changed(folder: Path) -> float:
    """Return when a folder, or what lies in it, was changed last."""
    found = [0.0]
    for path in (folder, *control_files.listed(folder)):
        with suppress(OSError):
            found.append(path.lstat().st_mtime)
    return max(found)


def _folders(folder: Path) -> list[Path]:
    return [path for path in control_files.listed(folder) if path.is_dir() and not path.is_symlink()]


def _tidy_fetched() -> None:
    folder, since = config.fetched_folder(), time.time() - FETCHED_SECONDS
    for entry in control_files.listed(folder):
        if _ENTRY.fullmatch(entry.name):
            with suppress(OSError):
                last_use.take_away(entry, unused_since=since)
        elif entry.name.startswith(last_use.REMOVED):
            shutil.rmtree(entry, ignore_errors=True)
