"""Inputs from the network: one goes when it was not used for some days, and no run may still read it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.file_locks import held
from cwl_ui_plugin.services.retention.items import DAY, Item, limit_of
from cwl_ui_plugin.services.retention.references import needed_since
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.retention.reuse import CLOCKS_DIFFER, HALF_MADE_DAYS
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.services.retention.trees import remove as remove_tree

OPTION = "keep_fetched_days"
_ENTRY = re.compile(r"[0-9a-f]{64}")
_OLD_LOCK = re.compile(r"[0-9a-f]{64}\.lock")
_HALF_MADE = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{32}")


def measure(measurer: Measurer) -> Size:
    """Return what was fetched."""
    return measurer.measure([config.fetched_folder()])


def find() -> Iterator[Item]:
    """Yield the files that may go: for each run that goes on, or can go on, its inputs were used when it began."""
    limit = limit_of(OPTION)
    old = [(place, used) for place, used in _entries(_ENTRY) if limit is not None and used <= limit]
    if old:
        needed = needed_since() - CLOCKS_DIFFER
        yield from (Item(place.name, (place,), OPTION, used) for place, used in old if used < needed)


def remove(item: Item) -> bool:
    """Remove a file, unless it was used since it was found."""
    folder = config.fetched_folder()
    if not last_use.take_away(folder / item.name, unused_since=item.last_use):
        return False
    sweep_removed(folder)
    return True


def sweep() -> None:
    """Go on with what was broken off; remove what was never complete."""
    sweep_removed(config.fetched_folder())
    for place, made in list(_entries(_HALF_MADE)):
        if made <= time.time() - HALF_MADE_DAYS * DAY:
            remove_tree(place)
    for lock in control_files.listed(config.fetched_folder()):
        if _OLD_LOCK.fullmatch(lock.name):
            with suppress(OSError), held(lock):  # an earlier version of the plugin has left these
                pass


def _entries(name: re.Pattern[str]) -> Iterator[tuple[Path, float]]:
    with suppress(FileNotFoundError), os.scandir(config.fetched_folder()) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_mtime
