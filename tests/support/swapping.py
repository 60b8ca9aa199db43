"""Swapping a file or folder for a link at the very moment when it is about to be opened: after every check."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECRET = "root:secret:0:0"


def elsewhere(folder: Path, *names: str) -> Path:
    """Make a folder with files of these names, which nobody may be shown."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    return folder


def swap_when_opened(monkeypatch: pytest.MonkeyPatch, victim: Path, target: Path) -> list[str]:
    """Put a link to ``target`` in the place of ``victim`` when it is opened; return a list that is not empty then."""
    real: Callable[..., int] = os.open
    swapped: list[str] = []

    def swapping(path: Any, *arguments: Any, **more: Any) -> int:
        if not swapped and not isinstance(path, int) and Path(os.fsdecode(path)).name == victim.name:
            swapped.append(victim.name)
            if victim.is_dir():
                shutil.rmtree(victim)
            else:
                victim.unlink()
            victim.symlink_to(target)
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", swapping)
    return swapped
