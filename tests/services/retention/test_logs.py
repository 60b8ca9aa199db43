"""What commands printed is kept for some days, and no longer than the run is in the list; its page says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.retention import logs

Keep = Callable[..., None]


@pytest.fixture
def kept(workflow: str, run_id: str, runs: Any) -> Path:
    runs.end(run_id)
    place = run_folder.kept_logs(workflow, run_id)
    (place / "step/-1/1").mkdir(parents=True)
    (place / "step/-1/1/stdout.log").write_text("printed")
    return place


def removed() -> list[str]:
    return [str(item.run_id) for item in logs.find() if logs.remove(item)]


@pytest.mark.parametrize(("days", "goes"), [(29.9, False), (30.1, True)])
def test_they_are_kept_for_30_days(kept: Path, workflow: str, run_id: str, age: Keep, days: float, goes: bool) -> None:
    age(days, kept)
    assert bool(removed()) == goes
    assert kept.exists() != goes
    told = [(told.what, told.option) for told in queries.get_run(workflow, run_id).removed]
    assert told == ([("logs", "keep_logs_days")] if goes else [])


def test_they_go_with_their_run(kept: Path, run_id: str, runs: Any, age: Keep) -> None:
    age(0.1, kept)
    assert removed() == []
    runs.delete(run_id)
    assert removed() == [run_id]


def test_those_of_a_run_that_was_deleted_a_moment_ago_stay(kept: Path, run_id: str, runs: Any) -> None:
    runs.delete(run_id)
    assert removed() == []


def test_a_link_in_their_place_leads_nowhere(kept: Path, age: Keep, tmp_path: Path) -> None:
    age(31, kept)
    found = list(logs.find())
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert [logs.remove(item) for item in found] == [False]
    assert (tmp_path / "elsewhere/step/-1/1/stdout.log").exists()
    kept.unlink()
    assert [logs.remove(item) for item in found] == [False]
