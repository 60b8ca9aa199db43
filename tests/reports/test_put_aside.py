"""Runs that failed to be dealt with have a rest, and not for ever."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.reports import put_aside
from cwl_ui_plugin.reports.put_aside import PutAside


def test_each_is_left_alone_for_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(put_aside.time, "monotonic", lambda: now[0])
    aside = PutAside(seconds=60)
    aside.put(1)
    now[0] += 30
    aside.put(2)
    now[0] += 29
    assert aside.keys() == [1, 2]
    now[0] += 1
    assert aside.keys() == [2]
    aside.put(2)
    now[0] += 59
    assert aside.keys() == [2]
    aside.clear()
    assert aside.keys() == []


def test_of_too_many_those_that_were_put_here_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_aside, "MAX_RUNS", 3)
    aside = PutAside(seconds=60)
    for key in (1, 2, 3, 1, 4):
        aside.put(key)
    assert aside.keys() == [3, 1, 4]
