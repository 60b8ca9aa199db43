"""A supervisor notices the end of its task's process, though that has closed all that it speaks through before."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from cwl_ui_plugin.dags import task_ends

NEVER = 100_000.0
DEADLINE = 60.0


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> Any:
    """Airflow's supervisor; it looks after its task's process by itself only when it is far too late."""
    from airflow.sdk.execution_time import supervisor

    start = supervisor.ActivitySubprocess.__dict__["start"]
    monkeypatch.setattr(supervisor.ActivitySubprocess, "start", start)  # is put back at the end
    monkeypatch.setattr(supervisor, "MIN_HEARTBEAT_INTERVAL", NEVER)
    monkeypatch.setattr(supervisor, "HEARTBEAT_TIMEOUT", NEVER)
    return supervisor


def closes_everything_and_goes_on() -> None:
    """Be a process that takes a moment to end, as one with much memory does."""
    os.closerange(0, 1000)
    time.sleep(0.3)
    os._exit(7)


def started(supervisor: Any) -> Any:
    from airflow.executors.workloads import BundleInfo
    from airflow.sdk.api.datamodels._generated import TaskInstance

    def start(*_arguments: object) -> object:
        run = {"dag_id": "d", "run_id": "r", "logical_date": None, "run_type": "manual", "run_after": None}
        return SimpleNamespace(should_retry=False, start_date=datetime.now(timezone.utc), dag_run=run)

    client = SimpleNamespace(task_instances=SimpleNamespace(start=start))
    what = TaskInstance.model_construct(id=uuid4(), task_id="t", dag_id="d", run_id="r", try_number=1, map_index=-1)
    return supervisor.ActivitySubprocess.start(
        what=what,
        dag_rel_path=os.devnull,
        bundle_info=BundleInfo(name="any", version=None),
        client=client,
        target=closes_everything_and_goes_on,
    )


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system can't wait for the end of a process")
def test_the_end_of_a_process_is_noticed(supervisor: Any) -> None:
    task_ends.install()
    task_ends.install()  # once more does nothing
    process = started(supervisor)
    waiting = threading.Thread(target=process._monitor_subprocess, daemon=True)
    waiting.start()
    waiting.join(DEADLINE)
    assert not waiting.is_alive()
    assert process._exit_code == 7
    assert not process.selector.get_map()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system can't wait for the end of a process")
def test_where_the_end_of_a_process_can_not_be_waited_for_nothing_else_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(_pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(os, "pidfd_open", fails)
    with pytest.raises(OSError, match="Too many"):
        task_ends._End(os.getpid())
    gc.collect()
    assert unraisable == []


def test_an_airflow_that_is_another_is_left_as_it_is(
    supervisor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "ActivitySubprocess", object)
    task_ends.install()
    assert "late" in caplog.text
