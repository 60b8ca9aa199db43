"""Uploaded inputs: a folder goes when no run in Airflow's list has named it for some days."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.services.inputs import owners, resumable, stored_uploads
from cwl_ui_plugin.services.inputs.single import is_uuid
from cwl_ui_plugin.services.retention.items import DAY, Item, limit_of
from cwl_ui_plugin.services.retention.references import named_by_runs
from cwl_ui_plugin.services.retention.removed import sweep_removed
from cwl_ui_plugin.services.retention.trees import Measurer, Size

OPTION = "keep_uploads_days"
_noted: dict[str, float] = {}
"""When this process has noted what is named."""


def measure(measurer: Measurer) -> Size:
    """Return what uploads take."""
    return measurer.measure([config.uploads_folder()])


def find() -> Iterator[Item]:
    """Yield the uploads that may go. What a run names is used: its days begin anew."""
    limit = limit_of(OPTION)
    if limit is None:
        return
    old = _unused_since(limit)
    named = _use_named(old)
    yield from (Item(folder.name, (folder,), OPTION, used) for folder, used in old.items() if folder not in named)


def _use_named(folders: Collection[Path]) -> set[Path]:
    """Note which of these uploads are used, since runs in Airflow's list name them; return them."""
    named = named_by_runs(folders)
    for folder in named:
        with suppress(OSError):
            last_use.use(folder)
    return named


def remove(item: Item) -> bool:
    """Remove an upload, unless it was used since it was found."""
    if not owners.remove_unused(item.name, unused_since=item.last_use, has_objects=stored_uploads.is_on()):
        return False
    sweep_removed(config.uploads_folder())
    return True


def sweep() -> None:
    """Go on with what was broken off; once a day, note which uploads are named: their days begin when they are not."""
    resumable.remove_forgotten()
    stored_uploads.sweep()
    sweep_removed(config.uploads_folder())
    now = time.time()
    if limit_of(OPTION) is not None and now - _noted.get("at", 0.0) >= DAY:
        _noted["at"] = now
        _use_named(_unused_since(now - DAY))


def _unused_since(limit: float) -> dict[Path, float]:
    """Return the uploads of users that were not used since a time, and when they were.

    What the site has opened to everybody by an option is its own, and so is what has no owner.
    """
    uploads = config.uploads_folder().resolve()
    opened = {root.resolve() for root in config.input_roots()}
    found: dict[Path, float] = {}
    with suppress(FileNotFoundError), os.scandir(uploads) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                used = entry.stat(follow_symlinks=False).st_mtime
                if used <= limit and is_uuid(entry.name) and entry.is_dir(follow_symlinks=False):
                    found[Path(entry.path)] = used
    owned = owners.owned(folder.name for folder in found)
    return {
        folder: used
        for folder, used in found.items()
        if folder.name in owned and not any(root.is_relative_to(folder) for root in opened)
    }
