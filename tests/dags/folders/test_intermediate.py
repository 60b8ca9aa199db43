"""What of a try nobody can read any more, of steps that have made very many files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.folders.intermediate import Live, Parts
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.opened import Place

FILES = 400


class Looked(set[Parts]):
    """Places that count how often one of them is looked at."""

    count = 0

    def __iter__(self) -> Iterator[Parts]:
        for item in super().__iter__():
            Looked.count += 1
            yield item


def test_files_that_are_live_are_not_looked_through_for_each_that_may_be_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TaskTry("dag", "run", "make", -1, 1)
    folder = tmp_path / "make/-1/1"
    paths = [folder / "out" / f"{number}.txt" for number in range(FILES)]
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        path.touch()
    monkeypatch.setattr(run_folder, "run_tmp", lambda _dag_id, _run_id: tmp_path)
    live = Live(tmp_path, paths[: FILES // 2])
    monkeypatch.setattr(live, "below", lambda task, name: Looked(Live.below(live, task, name)))
    values = [{"class": "File", "location": path.as_uri()} for path in paths]
    dead = intermediate.dead_parts(Place(tmp_path, ("make", "-1", "1")), task, live, lambda: values)
    assert sorted(dead) == sorted(f"out/{number}.txt" for number in range(FILES // 2, FILES))
    assert Looked.count <= 4 * FILES


@pytest.mark.parametrize(
    ("live", "place", "touched"),
    [
        ({("a", "b")}, ("a",), True),
        ({("a", "b")}, ("a", "b"), True),
        ({("a", "b")}, ("a", "b", "c"), True),
        ({("a", "b")}, ("a", "c"), False),
        ({("a", "b")}, ("b",), False),
        ({()}, ("a",), True),
        (set(), ("a",), False),
    ],
)
def test_what_is_live_or_in_it_or_above_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: set[Parts], place: Parts, touched: bool
) -> None:
    monkeypatch.setattr(run_folder, "run_tmp", lambda _dag_id, _run_id: tmp_path)
    out = tmp_path / "make/-1/1/out"
    out.mkdir(parents=True)
    found = Live(tmp_path, [out.joinpath(*parts) for parts in live] or [tmp_path / "other/-1/1/out/x"])
    monkeypatch.setattr(found, "below", lambda _task, _name: live or {("x",)})  # a folder without any goes as a whole
    values = {"class": "File", "location": out.joinpath(*place).as_uri()}
    task = TaskTry("dag", "run", "make", -1, 1)
    dead = intermediate.dead_parts(Place(tmp_path, ("make", "-1", "1")), task, found, lambda: values)
    assert (dead == []) == touched
