"""Whatever is killed while runs go on, the receiver is told all, in order, and nothing that is not so.

This is the lean version; ``make chaos`` does the same to 50 runs, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support import chaos_run, moody_receiver
from support.airflow_server import wait_for

pytestmark = pytest.mark.e2e
RUNS = 8


def test_nothing_is_lost_and_nothing_is_wrong(tmp_path: Path) -> None:
    with chaos_run.site(tmp_path, "SQLite") as site:
        runs = chaos_run.start_runs(site, RUNS)
        site.kill("receiver")
        wait_for(lambda: site.kill_task() or site.killed["task"], what="a task to kill")
        chaos_run.by_hand(site, runs)
        site.kill("scheduler")
        site.start("scheduler", "receiver")
        site.set_mood(moody_receiver.LOST)
        wait_for(lambda: site.record.stat().st_size > 0, what="the first report")
        site.kill("api-server")
        site.set_mood("500")
        site.start("api-server")
        site.wait_for_api()
        site.set_mood(moody_receiver.OK)
        chaos_run.wait_for_ends(site)
        chaos_run.clear_some(site, runs, 1)
        chaos_run.wait_for_ends(site)
        verdict = chaos_run.judged(site)
    assert verdict.faults == []
    assert verdict.runs == RUNS
    assert verdict.duplicates > 0, "answers were lost, so some reports must have come twice"
    assert {"status skipped", "status upstream_failed", "status up_for_retry", "results"} <= set(verdict.states)
