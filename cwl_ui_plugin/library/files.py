"""Writing files that other processes read, and reading what they name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from cwl_ui_plugin import atomic


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text)


def read_digest(path: Path, form: re.Pattern[str]) -> str | None:
    """Return the digest in a file that names what is current; None where there is no file, or no such digest in it."""
    try:
        digest = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    return digest if form.fullmatch(digest) else None


def write_json(path: Path, data: Mapping[str, object]) -> None:
    """Write JSON as :func:`write_text` does."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False))
