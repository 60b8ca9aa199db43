"""Writing files that other processes read."""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin import atomic


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text)
