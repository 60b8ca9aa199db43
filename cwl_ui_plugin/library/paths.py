"""Paths as they are given on a command line or in a Dag file."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: Path) -> Path:
    """Return a path without ``..`` in it, as cwltool takes it; through a link to a folder where that differs."""
    plain = Path(os.path.abspath(path))  # noqa: PTH100 - links stay: a document is where its name says
    return plain if plain.exists() or not path.exists() else path.resolve()
