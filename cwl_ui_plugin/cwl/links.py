"""Outputs that are links: a tool may hand on its own files and its inputs, nothing else of the machine.

See the CWL standard on symbolic links in output directories, and its conformance test ``illegal_symlink``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cwl.files import local_paths


def escaping_link(outputs: Any, folders: tuple[Path, ...], inputs: Any) -> str | None:
    """Return the name of an output that leads out of ``folders`` to anything but an input, or None.

    ``outputs`` and ``inputs`` hold File and Directory objects at any depth.
    """
    links = [link for path in local_paths(outputs) for link in _links(path)]
    if not links:
        return None
    roots = [path.resolve() for path in (*folders, *local_paths(inputs))]
    return next((link.name for link in links if not _is_within(link.resolve(), roots)), None)


def _is_within(path: Path, roots: list[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _links(path: Path) -> Iterator[Path]:
    """Yield ``path`` if it is a link, and all links below it."""
    if path.is_symlink():
        yield path
    for parent, folders, files in os.walk(path):
        yield from (link for name in (*folders, *files) if (link := Path(parent, name)).is_symlink())
