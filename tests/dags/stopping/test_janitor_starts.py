"""Which processes have a janitor beside them, and what it is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.processes.machine import boot_of, this_host, this_machine
from cwl_ui_plugin.dags.folders.run_folder import TaskLease
from cwl_ui_plugin.dags.stopping import janitor, run_termination, stop_orders
from cwl_ui_plugin.dags.stopping.run_termination import is_stale
from cwl_ui_plugin.interpreters import module_command


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started, instead of processes."""
    found: list[str] = []

    def launch() -> Any:
        found.append("janitor")
        return object()

    monkeypatch.setattr(janitor, "launch", launch)
    monkeypatch.setattr(janitor, "_started", None)
    return found


@pytest.mark.parametrize(
    ("command", "executor", "is_started"),
    [
        ("airflow scheduler", "LocalExecutor", True),
        ("airflow scheduler", "CeleryExecutor,LocalExecutor", True),
        ("airflow scheduler", "CeleryExecutor", False),
        ("airflow api-server", "LocalExecutor", False),
    ],
)
def test_a_scheduler_that_runs_tasks_itself_has_one(
    airflow_home: Path,
    started: list[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    executor: str,
    is_started: bool,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setattr(sys, "argv", command.split())
    janitor.start_in_scheduler()
    assert started == (["janitor"] if is_started else [])


@pytest.mark.parametrize(
    ("command", "is_started"),
    [("airflow celery worker", True), ("airflow celery flower", False), ("airflow scheduler worker", False)],
)
def test_a_celery_worker_has_one_before_it_forks(
    started: list[str], monkeypatch: pytest.MonkeyPatch, command: str, is_started: bool
) -> None:
    signals = pytest.importorskip("celery.signals")
    monkeypatch.setattr(sys, "argv", command.split())
    try:
        janitor.start_in_celery_worker()
        signals.worker_init.send(sender=None)
    finally:
        signals.worker_init.disconnect(janitor._on_worker_init)
    assert started == (["janitor"] if is_started else [])


def test_a_worker_has_one_however_often_it_is_asked_for(started: list[str]) -> None:
    janitor.start_janitor()
    janitor.start_janitor()
    assert started == ["janitor"]


@pytest.mark.parametrize("error", [OSError("no memory"), ConfigError("no folder")])
def test_a_janitor_that_can_not_be_started_keeps_no_worker_from_its_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(janitor, "launch", fail)
    monkeypatch.setattr(janitor, "_started", None)
    janitor.start_janitor()
    assert "could not be started" in caplog.text
    assert janitor._started is None


@pytest.mark.parametrize(("storage", "module"), [("", "stopping.janitor"), ("s3://b/x", "relaying.agent")])
def test_what_is_started_is_a_process_of_its_own_that_ends_with_its_pipe(
    folders: Path, monkeypatch: pytest.MonkeyPatch, storage: str, module: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", storage)
    seen: list[Any] = []
    monkeypatch.setattr(janitor.subprocess, "Popen", lambda *given, **options: seen.append((given, options)))
    janitor.launch()
    ((given, options),) = seen
    *command, told = given[0]
    assert command == module_command(f"cwl_ui_plugin.dags.{module}")
    assert json.loads(told) == json.loads(janitor.settings())
    assert options == {"stdin": janitor.subprocess.PIPE, "start_new_session": True}


def test_it_is_told_its_folders_its_names_and_how_it_proves_who_it_is(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "7.5")
    monkeypatch.setenv("AIRFLOW__API__SSL_CERT", "/cert.pem")
    monkeypatch.setenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", "socket.gethostname")
    told = json.loads(janitor.settings())
    assert told["options"] == {
        "tmp_folder": str(folders / "tmp"),
        "workflows_folder": str(folders / "workflows"),
        "stop_grace": "7.5",
    }
    assert told["hosts"] == [this_host(), this_host()]
    assert set(told["certificates"]) == {"ssl_cert", "ssl_ca_file", "client_ssl_cert", "client_ssl_key"}
    assert told["certificates"]["ssl_cert"] == "/cert.pem"
    assert told["certificates"]["client_ssl_key"] == ""


def lease(**changes: Any) -> TaskLease:
    values = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1, "path": Path("/none")}
    return TaskLease(**{**values, "host": this_host(), "pid": 1, "machine": "an earlier boot-1", **changes})


BOOT = boot_of(this_machine())


@pytest.mark.parametrize(
    ("changes", "is_of_the_past", "is_for_worker"),
    [
        ({}, True, True),
        ({"host": "worker-7"}, False, False),
        ({"machine": ""}, False, False),
        ({"machine": this_machine()}, False, False),
        ({"machine": f"{BOOT}-another container"}, False, True),
        ({"instance": "of a worker without common folders"}, False, False),
    ],
    ids=["boot", "host", "unknown", "here", "container", "relayed"],
)
def test_a_lease_is_stale_where_nothing_of_it_can_be_left(
    folders: Path, changes: dict[str, Any], is_of_the_past: bool, is_for_worker: bool
) -> None:
    assert is_stale(lease(**changes)) is is_of_the_past
    assert is_stale(lease(**changes), for_worker=True) is is_for_worker


def test_a_container_whose_janitor_is_there_is_not_of_the_past(folders: Path) -> None:
    other = f"{BOOT}-another container"
    stop_orders.announce_janitor(("h",), machine=other)
    assert not is_stale(lease(machine=other), for_worker=True)


def test_a_task_process_may_write_its_last_words_before_it_is_killed(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, killed = [100.0], []
    monkeypatch.setattr(run_termination.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(run_termination, "_send", lambda pids, number: killed.extend(pids))
    ending = run_termination.RunEnding("d", "r", grace=1, has_folder=True)
    ending._kill_idle([7])
    now[0] += run_termination.IDLE_SECONDS - 0.1
    ending._kill_idle([7, 8])
    assert killed == []
    now[0] += 0.1
    ending._kill_idle([7, 8])
    assert killed == [7]
    ending._frozen[9] = 0.0
    ending._kill_idle([9])
    assert killed == [7, 9], "one that was frozen writes nothing"
