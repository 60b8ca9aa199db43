"""Which store of workflows the site has: a folder that all machines see, or a bucket of which each has copies.

``[cwl] workflows_storage`` chooses. Where it is empty, nothing of the other is imported, and nothing is asked.
"""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.library.store import WorkflowStore


def site_store() -> WorkflowStore:
    """Return the store below ``[cwl] workflows_folder``; raise :class:`ConfigError` where its bucket is none."""
    root = config.workflows_folder()
    return _shared(root) if config.workflows_storage() else WorkflowStore(root)


def store_at(root: Path) -> WorkflowStore:
    """Return the store below a folder: that of the site, or another."""
    is_shared = config.workflows_storage() and root == config.workflows_folder()
    return _shared(root) if is_shared else WorkflowStore(root)


def _shared(root: Path) -> WorkflowStore:
    from cwl_ui_plugin.library.shared.store import SharedStore

    return SharedStore.of(root)
