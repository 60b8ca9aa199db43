"""What API servers can tell of a loop that another one does: since when, how late, and who."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.processes.machine import this_host
from cwl_ui_plugin.reports import pulse
from cwl_ui_plugin.reports.pulse import Pulse, read_state


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + 1_000_000


@pytest.fixture
def clock(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(pulse, "time", made)
    yield made


def do_round(beat: Pulse, clock: Clock, seconds: float = 0.0) -> float:
    lag = beat.begin()
    clock.now += seconds
    beat.end(lag)
    return lag


def test_nobody_has_told_of_a_loop_that_never_went(folders: Path) -> None:
    assert read_state("none") is None


def test_a_round_is_told_with_its_holder(clock: Clock) -> None:
    do_round(Pulse("tested", 2), clock, seconds=0.5)
    found = read_state("tested")
    assert found is not None
    state, age = found
    assert (state.host, state.pid) == (this_host(), os.getpid())
    assert (state.since, state.round_at, state.round_seconds, state.lag) == (1_001_000, 1_001_000, 0.5, 0)
    assert age < 600
    assert read_state("another") is None


def test_rounds_are_told_every_few_seconds_and_always_since_the_first(clock: Clock) -> None:
    beat = Pulse("tested", 2)
    told = []
    for _round in range(4):
        do_round(beat, clock)
        found = read_state("tested")
        assert found is not None
        told.append((found[0].round_at - 1_001_000, found[0].since - 1_001_000))
        clock.now += 2.5
    assert told == [(0, 0), (0, 0), (5, 0), (5, 0)]


def test_a_round_that_is_late_says_by_how_much_and_one_that_was_left_out_is_not_missed(clock: Clock) -> None:
    beat = Pulse("tested", 2)
    beat.rest()
    assert do_round(beat, clock) == 0
    clock.now += 3
    assert do_round(beat, clock) == 1
    clock.now += 1
    assert do_round(beat, clock) == 0
    clock.now += 100
    beat.rest()
    clock.now += 2
    assert do_round(beat, clock) == 0


def test_a_loop_that_comes_back_begins_anew_and_is_told_at_once(clock: Clock) -> None:
    beat = Pulse("tested", 2)
    do_round(beat, clock)
    clock.now += 1
    beat.lose()
    beat.end(0)
    clock.now += 1
    assert do_round(beat, clock) == 0
    found = read_state("tested")
    assert found is not None
    assert found[0].since == found[0].round_at == 1_001_002


def test_where_it_can_not_be_kept_the_loop_goes_on(
    clock: Clock, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(pulse.control_files, "write", fail)
        do_round(Pulse("tested", 2), clock)
        patch.setattr(pulse.control_files, "read", fail)
        assert read_state("tested") is None
    assert read_state("tested") is None
