"""What a slow machine leaves out: what is marked so, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import pace

VARIANT = pytest.mark.again("with the other", variant="simple").mark
WHOLE = pytest.mark.again("as well").mark


def item(name: str, *marks: Any) -> Any:
    return SimpleNamespace(name=name, iter_markers=lambda _name: iter(marks))


def chosen(monkeypatch: pytest.MonkeyPatch, choice: str, *items: Any) -> tuple[list[str], list[str]]:
    """Return the names of the tests that run, and of those that are told as left out."""
    told: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: told.extend(items))
    monkeypatch.setenv(pace.CHOICE, choice)
    left = list(items)
    pace.pytest_collection_modifyitems(SimpleNamespace(hook=hook), left)  # type: ignore[arg-type]
    return [one.name for one in left], [one.name for one in told]


def test_a_slow_machine_leaves_out_what_is_proven_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [
        item("test_a"),
        item("test_b[simple]", VARIANT),
        item("test_b[fab]", VARIANT),
        item("test_b[fab-simple words]", VARIANT),
        item("test_c[x-simple]", VARIANT),
        item("test_d", WHOLE),
    ]
    kept = ["test_a", "test_b[fab]", "test_b[fab-simple words]"]
    assert chosen(monkeypatch, pace.ONCE, *items) == (kept, ["test_b[simple]", "test_c[x-simple]", "test_d"])
    assert chosen(monkeypatch, pace.ALL, *items) == ([one.name for one in items], [])


@pytest.mark.parametrize(("seconds", "choice"), [(pace.SLOW_SECONDS / 2, pace.ALL), (pace.SLOW_SECONDS * 2, pace.ONCE)])
def test_it_is_the_speed_that_decides_where_nobody_does(
    monkeypatch: pytest.MonkeyPatch, seconds: float, choice: str
) -> None:
    monkeypatch.setattr(pace, "_measured", lambda: seconds)
    lines: list[str] = []
    config: Any = SimpleNamespace(addinivalue_line=lambda _kind, line: lines.append(line), stash=pytest.Stash())
    monkeypatch.setenv(pace.CHOICE, "")
    pace.pytest_configure(config)
    assert pace.is_slow() is (choice == pace.ONCE)
    for wish in (pace.ALL, pace.ONCE):
        monkeypatch.setenv(pace.CHOICE, wish)
        pace.pytest_configure(config)
        assert pace.is_slow() is (wish == pace.ONCE)


def test_all_processes_of_a_run_have_the_same_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pace.CHOICE, pace.ONCE)
    monkeypatch.setattr(pace, "_measured", lambda: pytest.fail("only the process that leads looks"))
    config: Any = SimpleNamespace(addinivalue_line=lambda *_line: None, workerinput={})
    pace.pytest_configure(config)
    assert pace.is_slow()


def test_each_mark_says_what_proves_it_too() -> None:
    paths = [path for path in Path(__file__).parent.rglob("test_*.py") if path != Path(__file__)]
    marked = [text for text in (path.read_text() for path in paths) if "mark.again" in text]
    assert len(marked) > 10
    assert [text for text in marked if not re.search(r'mark\.again\("', text)] == []
