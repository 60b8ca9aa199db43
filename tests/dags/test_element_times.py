"""Elements that were short share task instances; long ones have their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.dags import element_times
from cwl_ui_plugin.dags.element_times import ElementTimes


@pytest.fixture
def compiled(tmp_path: Path, airflow_home: object, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiled folder with two step documents."""
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    (tmp_path / "step_documents").mkdir()
    for name in ("say", "other"):
        (tmp_path / f"step_documents/{name}.json").write_text(f'{{"id": "{name}"}}')
    return tmp_path


def took(seconds: float, **more: Any) -> dict[str, Any]:
    return {"seconds": seconds, "reused": False, **more}


def said(compiled: Path) -> tuple[float, float] | None:
    times = element_times.known(compiled, "say")
    return (times.mean, times.longest) if times else None


@pytest.mark.parametrize(
    ("times", "count", "batches"),
    [
        (ElementTimes(0.05, 0.2), 20, 1),
        (ElementTimes(0.5, 0.9), 20, 4),
        (ElementTimes(0.5, 0.9), 1, 1),
        (ElementTimes(0.0, 0.0), 20, 1),
        (ElementTimes(0.5, 1.0), 20, None),
        (ElementTimes(0.1, 60.0), 20, None),
        (ElementTimes(0.1, float("nan")), 20, None),
    ],
)
def test_a_batch_of_short_elements_lasts_some_seconds(times: ElementTimes, count: int, batches: int | None) -> None:
    assert times.batches(count) == batches


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__SCATTER_BATCH_SECONDS", "0")
    assert ElementTimes(0.05, 0.2).batches(20) is None


def test_what_is_known_of_a_step_is_what_its_last_run_took(compiled: Path) -> None:
    assert element_times.known(compiled, "say") is None
    element_times.keep(compiled, "say", [(1, took(0.2)), (1, took(0.4)), (8, took(2.4))])
    assert said(compiled) == pytest.approx((0.3, 0.4))
    assert element_times.known(compiled, "other") is None
    element_times.keep(compiled, "say", [(1, took(0.2)), (1, took(7.0))])
    assert said(compiled) == pytest.approx((3.6, 7.0))


def test_what_was_not_run_tells_nothing(compiled: Path) -> None:
    element_times.keep(compiled, "say", [(0, took(0.1)), (3, took(0.0, reused=True)), (1, {})])
    assert element_times.known(compiled, "say") is None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf"), -1.0, 10**400, "much", None, True, [1]])
def test_what_is_no_time_tells_nothing(compiled: Path, seconds: Any) -> None:
    element_times.keep(compiled, "say", [(1, took(seconds))])
    assert element_times.known(compiled, "say") is None
    element_times.keep(compiled, "say", [(1, took(seconds)), (1, took(0.5))])
    assert said(compiled) == (0.5, 0.5)


def test_what_no_run_has_written_for_months_is_removed(compiled: Path, tmp_path: Path) -> None:
    element_times.keep(compiled, "say", [(1, took(0.1))])
    folder = tmp_path / "tmp/.control/elements"
    (kept,) = folder.iterdir()
    old, other = folder / "old.json", tmp_path / "other.json"
    other.write_text("{}")
    (folder / "link.json").symlink_to(other)
    (folder / "folder").mkdir()
    old.write_text("{}")
    for path in (old, other, kept):
        os.utime(path, (0, 0))
    element_times.keep(compiled, "say", [(1, took(0.1))])
    assert old.exists(), "it is looked for when a step gets its first"
    element_times.keep(compiled, "other", [(1, took(0.1))])
    assert not old.exists()
    assert other.exists()
    assert kept.exists()
    assert len(list(folder.iterdir())) == 4


def test_a_hint_that_is_not_there_or_no_hint_is_no_error(compiled: Path, tmp_path: Path) -> None:
    element_times.keep(compiled, "gone", [(1, took(0.1))])
    assert element_times.known(compiled, "gone") is None
    element_times.keep(compiled, "say", [(1, took(0.1))])
    (file,) = (tmp_path / "tmp/.control/elements").iterdir()
    file.write_text('{"mean": "much"}')
    assert element_times.known(compiled, "say") is None


def test_a_step_is_divided_by_what_its_run_before_has_shown(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.cwl.plan import Step
    from cwl_ui_plugin.dags.operators import CwlScatterOperator, Document

    monkeypatch.setenv("AIRFLOW__CWL__SCATTER_MAX_TASKS", "20")
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "4")
    step = Step(id="s", full_id="#s", task_id="s", document="say", tool="CommandLineTool", tool_name="say.cwl")
    document = Document(compiled, compiled)
    scatter = CwlScatterOperator(task_id="s", document=document, step=step)

    def keep(*batches: tuple[int, dict[str, Any]]) -> None:
        element_times.keep(document.compiled, step.document, batches)

    assert scatter._most_batches(12) == 20
    keep((1, took(0.2)), (0, took(9.0)))
    assert scatter._most_batches(12) == 1
    assert scatter._most_batches(4) == 20, "these run at the same time, each with its name and its log"
    keep((1, took(0.001)))
    assert scatter._most_batches(2_001) == 9, "none has more than 250 elements"
    keep((2, took(9.0)))
    assert scatter._most_batches(12) == 20
