"""What is kept to save time, outputs for reuse and inputs from the network: folders of entries named by digests.

An entry goes when it was not used for some days, and no run may still read it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.file_locks import held
from cwl_ui_plugin.services.retention.items import DAY, Item, limit_of
from cwl_ui_plugin.services.retention.references import needed_since
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.services.retention.trees import remove as remove_tree

CLOCKS_DIFFER = 300.0
"""Seconds by which the clocks of machines may differ."""
HALF_MADE_DAYS = 7
"""An entry that is being made is complete by then, or its task was killed."""
_ENTRY = re.compile(r"[0-9a-f]{64}")
_OLD_LOCK = re.compile(r"[0-9a-f]{64}\.lock")
_HALF_MADE = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{32}")


@dataclass(frozen=True)
class Cached:
    """A folder of entries; ``option`` of ``[cwl]`` says how many days they are kept."""

    option: str
    folder: Callable[[], Path]

    def measure(self, measurer: Measurer) -> Size:
        """Return what is kept."""
        return measurer.measure([self.folder()])

    def find(self) -> Iterator[Item]:
        """Yield the entries that may go.

        A run that has used an entry may read it as long as the run goes on, or can go on: for all of these it was used
        after they were created.
        """
        limit = limit_of(self.option)
        if limit is None:
            return
        old = [(place, used) for place, used in self._entries(_ENTRY) if used <= limit]
        if not old:
            return
        needed = needed_since() - CLOCKS_DIFFER
        yield from (Item(place.name, (place,), self.option, used) for place, used in old if used < needed)

    def remove(self, item: Item) -> bool:
        """Remove an entry, unless it was used since it was found."""
        folder = self.folder()
        if not last_use.take_away(folder / item.name, unused_since=item.last_use):
            return False
        sweep_removed(folder)
        return True

    def sweep(self) -> None:
        """Go on with what was broken off; remove what was never complete."""
        sweep_removed(self.folder())
        for place, made in list(self._entries(_HALF_MADE)):
            if made <= time.time() - HALF_MADE_DAYS * DAY:
                remove_tree(place)

    def _entries(self, name: re.Pattern[str]) -> Iterator[tuple[Path, float]]:
        with suppress(FileNotFoundError), os.scandir(self.folder()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False).st_mtime


REUSE = Cached("keep_reuse_days", config.kept_for_reuse)
FETCHED = Cached("keep_fetched_days", config.fetched_folder)


def sweep_fetched() -> None:
    """Sweep what was fetched, and remove the locks that an earlier version of the plugin has left beside it."""
    FETCHED.sweep()
    for lock in control_files.listed(FETCHED.folder()):
        if _OLD_LOCK.fullmatch(lock.name):
            with suppress(OSError), held(lock):
                pass
