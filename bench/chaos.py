"""Reports while everything is killed, on SQLite and on PostgreSQL. Ends with 1 if a report is missing or wrong."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import common
from common import ROOT, say

sys.path.insert(0, str(ROOT / "tests"))

from support import chaos_run, moody_receiver
from support.chaos_facts import Verdict
from support.chaos_run import Site

PAGE = ROOT / "docs" / "reliability.md"
DOWN_SECONDS = 60
MOOD_SECONDS = 6
END_SECONDS = 2400
TASK_SECONDS = 60
"""How long to wait for a task whose command runs."""


def main() -> None:
    options = common.options(__doc__, runs=(50, "how many runs"), database=(2, "0 SQLite, 1 PostgreSQL, 2 both"))
    page = PAGE if options.page == common.PAGE else options.page
    faults: list[str] = []
    databases = [name for number, name in enumerate(chaos_run.DATABASES) if options.database in (number, 2)]
    for database in databases:
        with tempfile.TemporaryDirectory(prefix="cwl-chaos-") as folder:
            text, verdict = _chaos(Path(folder) / "site", database, options.runs)
        common.write_section(page, f"chaos-{database.lower()}", text, 1)
        faults += verdict.faults
    print("\n".join(faults[:50]))
    sys.exit(1 if faults else 0)


def _chaos(folder: Path, database: str, runs: int) -> tuple[str, Verdict]:
    folder.mkdir()
    with chaos_run.site(folder, database) as site:
        began = time.monotonic()
        started = chaos_run.start_runs(site, runs)
        say(f"{database}: {runs} runs are started")
        acts = _acts(site)
        for act in acts:
            say(act)
            if act == _BY_HAND:
                chaos_run.by_hand(site, started)
        say("waiting for the ends")
        chaos_run.wait_for_ends(site, END_SECONDS)
        say("all runs have ended; some are cleared, the API server is killed")
        chaos_run.clear_some(site, started, max(1, runs // 10))
        site.kill("api-server")
        site.start("api-server")
        site.wait_for_api()
        chaos_run.wait_for_ends(site, END_SECONDS)
        say("these have ended, too; waiting for the receiver to know all")
        verdict = chaos_run.judged(site)
        minutes = (time.monotonic() - began) / 60
    return text_of(site, verdict, minutes, {f"receiver down for {DOWN_SECONDS} s": 1}), verdict


_BY_HAND = "by hand: runs set to failed, set to success, stopped, deleted"


def _acts(site: Site) -> Iterator[str]:
    """Do one thing after the other to a site; yield what comes next."""

    def restart(name: str, seconds: float = 0) -> str:
        site.kill(name)
        time.sleep(seconds)
        site.start(name)
        return f"killed: {name}"

    def task() -> str:
        before, deadline = site.killed["task"], time.monotonic() + TASK_SECONDS
        while site.killed["task"] == before and time.monotonic() < deadline:
            site.kill_task()
            time.sleep(0.1)
        return "killed: a task" if site.killed["task"] > before else "there is no task to kill"

    yield _BY_HAND
    steps: list[Callable[[], str]] = [
        task,
        lambda: with_mood(site, "500"),
        lambda: restart("api-server", 2),
        site_ready(site),
        lambda: with_mood(site, "429"),
        lambda: restart("receiver"),
        task,
        lambda: with_mood(site, moody_receiver.LOST),
        lambda: restart("scheduler", 2),
        lambda: with_mood(site, "hang"),
        lambda: _down(site),
        task,
        lambda: with_mood(site, "reset"),
        lambda: restart("api-server"),
        site_ready(site),
        lambda: with_mood(site, moody_receiver.LOST),
        lambda: restart("receiver", 3),
        lambda: restart("scheduler"),
        task,
    ]
    for step in steps:
        yield step()


def with_mood(site: Site, name: str) -> str:
    """Have the receiver in a mood for some seconds."""
    site.set_mood(name)
    time.sleep(MOOD_SECONDS)
    site.set_mood(moody_receiver.OK)
    return f"receiver: {name}"


def site_ready(site: Site) -> Callable[[], str]:
    def wait() -> str:
        site.wait_for_api()
        return "the API server answers"

    return wait


def _down(site: Site) -> str:
    """Hold the receiver down for a minute, and kill the API server meanwhile."""
    site.kill("receiver")
    time.sleep(DOWN_SECONDS / 2)
    site.kill("api-server")
    site.start("api-server")
    time.sleep(DOWN_SECONDS / 2)
    site.start("receiver")
    return f"receiver: down for {DOWN_SECONDS} s, and the API server killed meanwhile"


def text_of(site: Site, verdict: Verdict, minutes: float, more: dict[str, object]) -> str:
    """Return what was done to a site, also ``more``, and what came of it."""
    done: dict[str, object] = {f"killed: {name}": count for name, count in sorted(site.killed.items())}
    done |= {f"receiver, for {MOOD_SECONDS} s: {name}": count for name, count in sorted(site.moods.items()) if count}
    done |= more
    states = ", ".join(f"{name} {count}" for name, count in sorted(verdict.states.items()))
    return "\n\n".join(
        (
            f"{verdict.runs} runs in {minutes:.1f} minutes. Missing, wrong or out of order: **{len(verdict.faults)}**.",
            common.table(
                ["", ""],
                [
                    ["starts and ends in Airflow's database", verdict.facts],
                    ["reports received", verdict.received],
                    ["of these a second time, with the same `report_id` and content", verdict.duplicates],
                ],
            ),
            f"Reports without these: {states}.",
            common.table(["what was done", "times"], done.items()),
        )
    )


if __name__ == "__main__":
    main()
