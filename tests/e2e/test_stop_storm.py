"""Runs that are stopped at random moments: nothing of them is left at the answer, and nothing starts after it.

``bench/stops_chaos.py`` does the same a thousand times on a machine that is kept busy.
"""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server, wait_for
from support.stop_storm import Storm

pytestmark = pytest.mark.e2e
STOPS = 12
QUIET_SECONDS = 3


def test_nothing_starts_after_the_answer_to_a_stop(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    storm = Storm(server, client, tmp_path, longest=6)
    storm.upload()
    storm.blow(STOPS, at_once=4)
    last = max(run.at for run in storm.stopped)
    wait_for(lambda: time.time() > last + QUIET_SECONDS, 30, "some time after the last answer")
    storm.look_back()
    assert storm.faults == []
    assert storm.found["stopped while it ran"] > 0
    assert storm.found["commands started"] > 0
