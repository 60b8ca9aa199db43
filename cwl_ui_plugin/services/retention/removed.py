"""Removing what was moved away; it may have been broken off by anything, and goes on here."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin.last_use import REMOVED
from cwl_ui_plugin.services.retention.trees import remove


def sweep_removed(folder: Path) -> int:
    """Remove what was moved away in a folder; return how much of it could not be removed."""
    left = 0
    with suppress(FileNotFoundError, NotADirectoryError):
        for place in list(folder.iterdir()):
            if place.name.startswith(REMOVED):
                left += not remove(place)
    return left
