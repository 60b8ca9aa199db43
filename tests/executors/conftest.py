"""The queue before a Slurm of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_slurm import Bench


@pytest.fixture
def bench(folders: Path) -> Bench:
    return Bench()
