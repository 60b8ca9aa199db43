"""What the site's configuration says about places in object stores that outputs go to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.storing.folder import StoredFolder


def stored_folder(path: Path, on_wait: Callable[[], None] = lambda: None) -> StoredFolder | None:
    """Return a folder of outputs that is in an object store; None for one on a disk.

    Raises:
        ConfigError: a place for outputs is none.

    """
    address = site.destination_of(path)
    return StoredFolder(address, site.storage_seconds(), on_wait) if address else None
