"""What a slow machine leaves out: what is marked so, and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import pace

VARIANT = pytest.mark.again("with the other", variant="simple").mark
WHOLE = pytest.mark.again("as well").mark


class Item:
    """A test of which nothing matters but where it stands."""

    fixturenames = ()

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


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


def test_no_test_begins_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pace.UNTIL, raising=False)
    pace.pytest_runtest_setup(item("test_a"))
    monkeypatch.setenv(pace.UNTIL, str(time.time() + 600))
    pace.pytest_runtest_setup(item("test_a"))
    monkeypatch.setenv(pace.UNTIL, str(time.time() - 1))
    with pytest.raises(pytest.skip.Exception, match="time"):
        pace.pytest_runtest_setup(item("test_a"))


def test_the_summary_names_what_was_not_reached() -> None:
    def report(nodeid: str, why: str) -> Any:
        return SimpleNamespace(nodeid=nodeid, longrepr=("pace.py", 1, f"Skipped: {why}"))

    lines: list[str] = []
    late = [report(name, pace.TIME_IS_UP) for name in ("a.py::x", "a.py::y")]
    reporter: Any = SimpleNamespace(
        stats={"skipped": [*late, report("b.py::z", "there is no podman")]},
        section=lambda title, **_markup: lines.append(title),
        line=lines.append,
    )
    pace.pytest_terminal_summary(reporter)
    assert lines == [f"2 tests were {pace.TIME_IS_UP}", "    2 a.py"]
    reporter.stats["skipped"] = reporter.stats["skipped"][2:]
    lines.clear()
    pace.pytest_terminal_summary(reporter)
    assert lines == []


def test_what_has_servers_of_its_own_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    from support import shared_servers

    names = [
        "tests/e2e/test_slurm.py::test_a",
        "tests/api/test_runs.py::test_a",
        "tests/e2e/test_stop.py::test_a",
        "tests/e2e/test_telemetry.py::test_a",
        "tests/e2e/test_roles.py::test_a[fab]",
        "tests/e2e/test_scale_out.py::test_a",
    ]
    items: list[Any] = [Item(name) for name in names]
    shared_servers.pytest_collection_modifyitems(items)
    modules = [one.nodeid.partition("::")[0].rpartition("_")[2] for one in items]
    assert modules == ["stop.py", "roles.py", "runs.py", "out.py", "slurm.py", "telemetry.py"]
