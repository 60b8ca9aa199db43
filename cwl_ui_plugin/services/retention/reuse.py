"""Outputs that are kept for reuse: an entry goes when it was not used for some days, and no run may still read it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.services.retention.items import DAY, Item, limit_of
from cwl_ui_plugin.services.retention.references import needed_since
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.services.retention.trees import remove as remove_tree

OPTION = "keep_reuse_days"
CLOCKS_DIFFER = 300.0
"""Seconds by which the clocks of machines may differ."""
HALF_MADE_DAYS = 7
"""An entry that is being made is complete by then, or its task was killed."""
_ENTRY = re.compile(r"[0-9a-f]{64}")
_HALF_MADE = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{32}")


def measure(measurer: Measurer) -> Size:
    """Return what is kept for reuse."""
    return measurer.measure([config.kept_for_reuse()])


def find() -> Iterator[Item]:
    """Yield the entries that may go.

    A run that has used an entry may read it as long as the run goes on, or can go on: for all of these it was used
    after they were created.
    """
    limit = limit_of(OPTION)
    if limit is None:
        return
    old = [(place, used) for place, used in _entries(_ENTRY) if used <= limit]
    if not old:
        return
    needed = needed_since() - CLOCKS_DIFFER
    yield from (Item(place.name, (place,), OPTION, used) for place, used in old if used < needed)


def remove(item: Item) -> bool:
    """Remove an entry, unless it was used since it was found."""
    folder = config.kept_for_reuse()
    if not last_use.take_away(folder / item.name, unused_since=item.last_use):
        return False
    sweep_removed(folder)
    return True


def sweep() -> None:
    """Go on with what was broken off; remove what was never complete."""
    sweep_removed(config.kept_for_reuse())
    for place, made in list(_entries(_HALF_MADE)):
        if made <= time.time() - HALF_MADE_DAYS * DAY:
            remove_tree(place)


def _entries(name: re.Pattern[str]) -> Iterator[tuple[Path, float]]:
    with suppress(FileNotFoundError), os.scandir(config.kept_for_reuse()) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_mtime
