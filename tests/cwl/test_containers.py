"""The engine that is found is one that answers; asking for one that doesn't is an error with its command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.containers import detect_engine
from cwl_ui_plugin.cwl.errors import StepError


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Put an engine on an otherwise empty PATH: ``engine(name, exit code)``."""
    monkeypatch.setenv("PATH", str(tmp_path))
    detect_engine.cache_clear()

    def put(name: str, exit_code: int) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {exit_code}\n")
        (tmp_path / name).chmod(0o755)

    yield put
    detect_engine.cache_clear()


def test_auto_takes_the_first_that_answers(engine: Callable[[str, int], None]) -> None:
    engine("docker", 1)
    engine("podman", 0)
    engine("udocker", 0)
    assert detect_engine("auto") == "podman"


def test_auto_takes_none_where_there_is_none(engine: Callable[[str, int], None]) -> None:
    assert detect_engine("auto") == "none"


def test_apptainer_is_singularity(engine: Callable[[str, int], None]) -> None:
    engine("apptainer", 0)
    assert detect_engine("singularity") == "singularity"


def test_an_engine_that_does_not_answer_is_named_with_what_was_asked(engine: Callable[[str, int], None]) -> None:
    engine("docker", 1)
    with pytest.raises(StepError, match="docker info"):
        detect_engine("docker")


def test_none_asks_nobody(engine: Callable[[str, int], None]) -> None:
    engine("docker", 0)
    assert detect_engine("none") == "none"
