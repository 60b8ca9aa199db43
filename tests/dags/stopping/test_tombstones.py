"""A task of a run that was stopped does not start; one of a later run, or of one that was cleared since, does."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import StoppedError
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Begun, StopCheck, Tombstone

WHEN = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=timezone.utc)
STONE = Tombstone("d", "r", "ada", 1000.5, clear_number=1, run_after=tombstones.moment(WHEN), row=3)
BEGUN = Begun(WHEN, 1, "5")


@pytest.fixture(autouse=True)
def _folders(folders: Path) -> None:
    """Control files of a test's own."""


def mark() -> Path:
    return config.control_folder() / "watched" / control_files.key_of("d", "r")


@pytest.mark.parametrize(
    ("stone", "begun", "is_covered"),
    [
        (STONE, BEGUN, True),
        (STONE, replace(BEGUN, clear_number=0), True),
        (STONE, replace(BEGUN, clear_number=2), False),
        (STONE, replace(BEGUN, run_after=WHEN + timedelta(microseconds=1)), False),
        (STONE, replace(BEGUN, run_after=WHEN.astimezone(timezone(timedelta(hours=5)))), True),
        (STONE, replace(BEGUN, run_after=WHEN.replace(tzinfo=None)), True),
        (replace(STONE, run_after=None), replace(BEGUN, run_after=WHEN + timedelta(days=1)), True),
        (replace(STONE, last="5"), BEGUN, True),
        (replace(STONE, last="4"), BEGUN, False),
        (replace(STONE, last="6"), BEGUN, True),
    ],
)
def test_a_stop_holds_for_the_run_as_it_was_stopped(stone: Tombstone, begun: Begun, is_covered: bool) -> None:
    assert stone.covers(begun) is is_covered
    tombstones.write(stone)
    found = StopCheck("d", "r", begun).found()
    assert (str(found) if found else None) == ("Stopped by ada." if is_covered else None)


def test_a_check_of_a_run_that_is_stopped_raises_and_of_another_does_not() -> None:
    StopCheck("d", "r", BEGUN)()
    tombstones.write(STONE)
    StopCheck("d", "other", BEGUN)()
    with pytest.raises(StoppedError, match=r"^Stopped by ada\.$"):
        StopCheck("d", "r", BEGUN)()


def test_a_tombstone_that_is_of_no_use_stops_and_says_which_file_it_is() -> None:
    STONE.path.parent.mkdir(parents=True)
    STONE.path.write_text("no JSON")
    with pytest.raises(StoppedError, match=f"can't be told: {STONE.path} is of no use; remove it"):
        StopCheck("d", "r", BEGUN)()
    STONE.path.unlink()
    STONE.path.symlink_to("/nowhere")
    with pytest.raises(StoppedError, match="of no use"):
        StopCheck("d", "r", BEGUN)()


def test_a_tombstone_in_the_place_of_another_run_is_not_believed() -> None:
    tombstones.write(replace(STONE, run_id="other"))
    STONE.path.parent.mkdir(parents=True)
    replace(STONE, run_id="other").path.rename(STONE.path)
    assert tombstones.find("d", "r") is None


def test_one_is_watched_until_nothing_can_come_late_and_is_found_until_it_is_forgotten() -> None:
    assert tombstones.find("d", "r") is None
    tombstones.write(STONE)
    assert tombstones.find("d", "r") == STONE
    assert list(tombstones.watched()) == list(tombstones.all_of_them()) == [STONE]
    tombstones.close(STONE, "9")
    assert tombstones.find("d", "r") == replace(STONE, last="9")
    assert list(tombstones.watched()) == []
    assert list(tombstones.all_of_them()) == [replace(STONE, last="9")]
    assert not mark().exists()
    tombstones.write(STONE)
    tombstones.forget("d", "r")
    assert tombstones.find("d", "r") is None
    assert not mark().exists()


def test_a_mark_without_a_tombstone_is_waited_for_and_then_forgotten() -> None:
    tombstones.write(STONE)
    STONE.path.unlink()
    assert list(tombstones.watched()) == []
    assert mark().exists()
    moment = time.time() - 61
    os.utime(mark(), (moment, moment))
    assert list(tombstones.watched()) == []
    assert not mark().exists()


def test_a_mark_in_the_place_of_another_run_watches_nothing() -> None:
    tombstones.write(STONE)
    mark().rename(mark().with_name("x"))
    assert list(tombstones.watched()) == []


def test_ids_are_compared_with_the_moment_at_which_they_were_made() -> None:
    def made_at(seconds: float, rest: str) -> str:
        return str(uuid.UUID(f"{int(seconds * 1000):012x}7{rest * 19}"))

    limit = tombstones.last_before(1_790_000_000.25)
    assert made_at(1_790_000_000.25, "f") <= limit
    assert made_at(1_790_000_000.251, "0") > limit
    assert len(limit) == len(str(uuid.uuid4()))
    assert [index for index, letter in enumerate(limit) if letter == "-"] == [8, 13, 18, 23]


def test_moments_are_compared_to_the_microsecond_in_utc() -> None:
    assert tombstones.moment(WHEN) == "2026-03-04T05:06:07.000008+00:00"
    assert tombstones.moment(WHEN.replace(microsecond=0)) == "2026-03-04T05:06:07.000000+00:00"
