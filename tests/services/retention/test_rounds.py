"""The server cleans by itself: each hour, in a thread of its own, and whatever goes wrong again in the next round."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import store_paths
from cwl_ui_plugin.fetching.errors import Away, NotThere
from cwl_ui_plugin.services.retention import cleaning, sizes
from cwl_ui_plugin.services.retention.items import Item, Kind
from cwl_ui_plugin.services.retention.trees import Size


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    monkeypatch.setattr(cleaning, "time", Clock)
    return now


def test_it_cleans_each_hour_and_measures_sometimes(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(cleaning, "clean", lambda: done.append("cleaned"))
    monkeypatch.setattr(sizes, "measure_now", lambda: done.append("measured"))
    cleaning_round = cleaning.RetentionRound()

    def after(seconds: float) -> list[str]:
        done.clear()
        clock[0] += seconds
        cleaning_round()
        if cleaning_round._thread:
            cleaning_round._thread.join(60)
        return list(done)

    assert after(59) == []
    assert after(1) == ["cleaned", "measured"]
    assert after(3599) == []
    assert after(1) == ["cleaned"]
    assert [after(3600) for _ in range(5)][-1] == ["cleaned", "measured"]


def test_a_store_that_is_away_is_waited_for_once_in_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def remove(item: Item) -> bool:
        asked.append(item.name)
        if item.name.startswith("dead"):
            raise Away("It is silent.")
        if item.name.startswith("forbidden"):
            raise NotThere("It may not write there.", 403)
        return True

    names = ["dead/1", "dead/2", "forbidden/1", "forbidden/2", "well/1"]
    places = {name: store_paths.path_of(f"s3://{name}") or Path() for name in names}
    items = [Item(name, (place,), "keep", 0.0) for name, place in places.items()]
    kind = Kind("kind", "Things", (), "", lambda _measurer: Size(), find=lambda: items, remove=remove)
    monkeypatch.setattr(cleaning, "KINDS", (kind,))
    for _round in range(2):
        asked.clear()
        (told,) = cleaning.clean(lambda _dag_id: True)
        assert asked == ["dead/1", "forbidden/1", "forbidden/2", "well/1"]
        assert (told.names, told.is_all) == (("well/1",), False)


def test_a_round_that_takes_long_is_not_begun_twice(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    going, begun = threading.Event(), []

    def slowly() -> None:
        begun.append(True)
        going.wait(60)

    monkeypatch.setattr(cleaning, "clean", slowly)
    monkeypatch.setattr(sizes, "measure_now", lambda: None)
    cleaning_round = cleaning.RetentionRound(first_after=0)
    cleaning_round()
    clock[0] += 10_000
    cleaning_round()
    going.set()
    assert cleaning_round._thread is not None
    cleaning_round._thread.join(60)
    assert begun == [True]


def test_an_error_is_logged_and_the_next_round_tries_again(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(cleaning, "clean", fail)
    cleaning_round = cleaning.RetentionRound(first_after=0)
    for _ in range(2):
        clock[0] += 3600
        cleaning_round()
        assert cleaning_round._thread is not None
        cleaning_round._thread.join(60)
    assert caplog.text.count("Cleaning failed; it is tried again in the next round") == 2


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let there be one kind of three items, of which one can't be removed."""
    places = [tmp_path / str(number) for number in range(3)]
    for place in places:
        place.write_bytes(b"x" * 4096)

    def remove(item: Item) -> bool:
        if item.name == "1":
            raise OSError(5, "Input/output error")
        item.places[0].unlink()
        return True

    def find() -> Any:
        return (Item(path.name, (path,), "keep_uploads_days", time.time()) for path in places if path.exists())

    def use(most: int = 100) -> None:
        made = Kind("things", "Things", (), "", lambda _measurer: Size(), find=find, remove=remove)
        monkeypatch.setattr(cleaning, "KINDS", (made,))
        monkeypatch.setattr(cleaning, "MAX_AT_ONCE", most)

    return use


def test_what_can_not_be_removed_does_not_hold_up_the_rest(kind: Callable[..., None]) -> None:
    kind()
    (done,) = cleaning.clean()
    assert (done.items, done.files, done.is_all, done.names) == (2, 2, False, ("0", "2"))
    (left,) = cleaning.removable(lambda _dag: True)
    assert (left.items, left.names, left.is_all) == (1, ("1",), True)


def test_a_round_takes_a_part_where_there_is_much(kind: Callable[..., None]) -> None:
    kind(most=1)
    (would,) = cleaning.removable(lambda _dag: True)
    assert (would.items, would.is_all) == (1, False)
    (done,) = cleaning.clean()
    assert (done.items, done.is_all) == (1, False)
