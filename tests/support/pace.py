"""How fast this machine is, and what a slow one leaves out: what another test of the same run proves, too.

The machines of CI differ by a factor of three, and what they do ends after 90 minutes, whatever it has shown until
then. A test that is marked ``again`` proves once more, in other surroundings, what others prove; ``CWL_TESTS=all`` runs
it wherever, ``CWL_TESTS=once`` nowhere. Where even that is too much, no test begins after ``CWL_TESTS_UNTIL`` (seconds
since 1970), and the summary names the modules that were not reached: what has been shown is told, not lost.
"""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

CHOICE = "CWL_TESTS"
UNTIL = "CWL_TESTS_UNTIL"
TIME_IS_UP = "not reached: the time that this machine has for tests is up"
ALL, ONCE = "all", "once"
ROUNDS = 3_000_000
SLOW_SECONDS = 0.1
"""For so many rounds of a loop in Python. A machine on which ``make test`` takes 40 minutes needs some 0.08 seconds."""
SHARE = 3
"""Of many things that are proven again one by one, a slow machine does one of so many."""


def is_slow() -> bool:
    """Whether this machine proves everything but once."""
    return os.environ.get(CHOICE) == ONCE


def pytest_configure(config: pytest.Config) -> None:
    """Look how fast the machine is, once for all processes of a run: they must have the same tests."""
    config.addinivalue_line("markers", "again(why, variant=None): a slow machine leaves it out, or its variant")
    if hasattr(config, "workerinput"):
        return
    if os.environ.get(CHOICE) not in (ALL, ONCE):
        seconds = min(_measured() for _ in range(3))
        os.environ[CHOICE] = ONCE if seconds > SLOW_SECONDS else ALL
        config.stash[_SECONDS] = seconds


_SECONDS: pytest.StashKey[float] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no test when the time is up, nor what it asks for."""
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip(TIME_IS_UP)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which modules were not reached."""
    skipped = terminalreporter.stats.get("skipped", [])
    missed = Counter(report.nodeid.partition("::")[0] for report in skipped if TIME_IS_UP in str(report.longrepr))
    if missed:
        terminalreporter.section(f"{missed.total()} tests were {TIME_IS_UP}", red=True)
        for module, count in sorted(missed.items()):
            terminalreporter.line(f"{count:5} {module}")


def _measured() -> float:
    begin, count = time.perf_counter(), 0
    for number in range(ROUNDS):
        count += number
    return time.perf_counter() - begin


def pytest_report_header(config: pytest.Config) -> str:
    """Say which tests run, and why."""
    why = f"; the loop took {config.stash[_SECONDS]:.2f} s" if _SECONDS in config.stash else ""
    what = "what is proven twice is proven once, see docs/testing.md" if is_slow() else "all tests"
    return f"{CHOICE}={os.environ[CHOICE]}: {what}{why}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on a slow machine, what is marked so."""
    if not is_slow():
        return
    left_out = [item for item in items if _is_again(item)]
    if left_out:
        items[:] = [item for item in items if not _is_again(item)]
        config.hook.pytest_deselected(items=left_out)


def _is_again(item: pytest.Item) -> bool:
    for marker in item.iter_markers("again"):
        variant = marker.kwargs.get("variant")
        words = item.name.partition("[")[2].removesuffix("]").split("-")
        if variant is None or variant in words:
            return True
    return False
