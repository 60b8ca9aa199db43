"""Where outputs are made, and where they are delivered."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deliveries import Maker


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "tmp")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "outputs"
