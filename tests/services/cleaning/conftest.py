"""Runs whose files are removed while they run."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.unread_run import Run

from cwl_ui_plugin.services.cleaning import unread_files


@pytest.fixture
def begin(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Begin a run whose tasks stand as the test says, not as a database does: ``begin(document, job)``."""

    def begin_run(document: str, job: dict[str, Any] | None = None, *, removes: bool = True) -> Run:
        folder = tmp_path / uuid.uuid4().hex[:8]
        folder.mkdir()
        run = Run(folder, document, job, removes=removes)
        monkeypatch.setattr(unread_files, "standing_of", lambda _run: run.standing())
        monkeypatch.setattr(unread_files, "_flow", lambda _dag_id, _version: unread_files._flow_of(run.compiled))
        monkeypatch.setattr(
            unread_files,
            "_handed_on",
            lambda _run, tasks, _most=0: [(key, value) for key, value in run.handed_on.items() if key[0] in tasks],
        )
        return run

    return begin_run
