"""Schedules and choices of steps whose files are no such thing: told in words, and nothing runs without being asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwl_ui_plugin.library.approvals import ApprovalFolder, digest_of_text, text_of
from cwl_ui_plugin.library.errors import UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.schedules import ScheduleFolder


@pytest.mark.parametrize("text", ["5", "[]", "{}", '"sort"', '{"sort": 1}', "[5]", "null", "[" * 100_000])
def test_what_is_no_choice_of_steps_is_told(text: str, tmp_path: Path) -> None:
    folder = ApprovalFolder(tmp_path)
    folder.keep(text)
    with pytest.raises(UnknownWorkflow, match="choose them anew"):
        folder.kept(digest_of_text(text))


def test_a_choice_is_read_as_it_was_kept(tmp_path: Path) -> None:
    folder, text = ApprovalFolder(tmp_path), text_of(["sort", "count"])
    assert text
    folder.keep(text)
    assert folder.kept(digest_of_text(text)) == ("count", "sort")


@pytest.mark.parametrize("text", ["5", "[]", "null", '{"format": 1}', "[" * 100_000])
def test_what_is_no_schedule_is_told(text: str, tmp_path: Path) -> None:
    from cwl_ui_plugin.library.schedules import digest_of_text as named

    folder = ScheduleFolder(tmp_path)
    folder.keep(text)
    with pytest.raises(UnknownSchedule, match="save it anew"):
        folder.kept(named(text))
