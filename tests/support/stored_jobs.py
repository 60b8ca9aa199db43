"""Jobs with inputs in object stores: checked as when a run starts, and brought as its first task brings them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import Problem, StepError
from cwl_ui_plugin.cwl.jobs.types import Checker
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.remote_inputs import brought


def go_on() -> None:
    """Nobody has stopped it."""


def file(location: str, **more: Any) -> dict[str, Any]:
    """Return a File with an address."""
    return {"class": "File", "location": location, **more}


def folder(location: str) -> dict[str, Any]:
    """Return a Directory with an address."""
    return {"class": "Directory", "location": location}


def path_of(item: dict[str, Any]) -> Path:
    """Return where a File or Directory is now."""
    return Path(unquote(item["location"].removeprefix("file://")))


def one(item: dict[str, Any]) -> dict[str, Any]:
    """Check a value as it is checked when a run starts; return it as a step gets it."""
    problems: list[Problem] = []
    checked = Checker(file_rules()).check(item["class"], item, problems)
    assert problems == []
    found = brought({"x": checked}, go_on)["x"]
    assert isinstance(found, dict)
    return found


def refused(item: dict[str, Any]) -> str:
    """Return what is said of a value when a run starts."""
    problems: list[Problem] = []
    Checker(file_rules()).check(item["class"], item, problems)
    return " ".join(map(str, problems))


def kept() -> list[Path]:
    """Return what was fetched and is kept."""
    return [path for path in config.fetched_folder().glob("*") if path.is_dir()]


def failure(item: dict[str, Any]) -> StepError:
    """Return why a value can't be brought."""
    with pytest.raises(StepError) as caught:
        one(item)
    assert kept() == [], "nothing of it is kept"
    return caught.value
