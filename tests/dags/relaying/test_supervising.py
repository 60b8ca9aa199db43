"""Supervisors tell the agent of their tasks, whichever executor starts them, and start one where there is none."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.dags.relaying import local_socket, supervising

ASK = """
import json, sys
import airflow
from airflow import settings
from airflow.sdk.execution_time.supervisor import ActivitySubprocess as kind
start = kind.__dict__["start"].__func__
print(json.dumps([hasattr(kind.wait, "__wrapped__"), getattr(start, "cwl_tells_the_agent", False)]))
"""


@pytest.mark.parametrize(("storage", "tells"), [("s3://intermediate", True), ("", False)])
def test_supervisors_of_any_process_tell_where_folders_are_not_shared(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, storage: str, tells: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", storage)
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [tells, tells]


class Listening:
    """An agent that only listens: it has what it was told, and can die."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._listener = local_socket.listen()
        self._connections: list[Any] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            lines = local_socket.Lines(connection)
            if message := lines.receive():
                self.told.append(message)
            if lines.receive() is None:
                self.ended.set()

    def die(self) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.shutdown(2)


@pytest.fixture
def process() -> Any:
    task = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=None, try_number=2)
    client = SimpleNamespace(base_url="http://server/execution/", auth=SimpleNamespace(token="first"))
    return SimpleNamespace(pid=4711, id="an-id", ti=task, client=client)


@pytest.fixture(autouse=True)
def launching(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = supervising._Launching()
    monkeypatch.setattr(supervising, "_launching", made)
    return made


class Agent:
    """A process of an agent, as far as it is looked at."""

    def __init__(self) -> None:
        self.stdin = io.BytesIO()
        self.has_ended = False

    def poll(self) -> int | None:
        return 1 if self.has_ended else None


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Agent]:
    from cwl_ui_plugin.dags.stopping import janitor

    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    found: list[Agent] = []

    def launch() -> Agent:
        found.append(Agent())
        return found[-1]

    monkeypatch.setattr(janitor, "launch", launch)
    return found


def test_a_task_is_told_with_its_token_as_long_as_it_lives(
    process: Any, launched: list[Agent], eventually: Any
) -> None:
    agent = Listening()
    registration = supervising.Registration(process)
    registration.start()
    eventually(lambda: agent.told)
    (told,) = agent.told
    assert (told["pid"], told["token"], told["server"]) == (4711, "first", "http://server/execution/")
    assert told["task"] == {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 2}
    assert not agent.ended.is_set()
    registration.close()
    assert agent.ended.wait(60)
    assert launched == []


def test_another_agent_is_started_and_told_the_token_as_it_is_then(
    process: Any, launched: list[Agent], eventually: Any
) -> None:
    first = Listening()
    registration = supervising.Registration(process)
    registration.start()
    eventually(lambda: first.told)
    process.client.auth.token = "second"
    first.die()
    eventually(lambda: launched)
    second = Listening()
    eventually(lambda: second.told)
    assert second.told[0]["token"] == "second"
    registration.close()


def test_a_path_that_is_too_long_for_a_socket_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / ("x" * 100) / ("y" * 100)))
    agent = Listening()
    with local_socket.connect() as connection:
        local_socket.send(connection, {"say": "hello"})
    while not agent.told:
        threading.Event().wait(0.01)
    assert agent.told == [{"say": "hello"}]


def test_agents_that_end_at_once_are_started_less_and_less_often_and_nothing_of_them_stays(
    launching: Any, launched: list[Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(supervising.time, "monotonic", lambda: clock[0])
    starts = []
    for _second in range(300):
        before = len(launched)
        launching.need()
        if len(launched) > before:
            starts.append(clock[0] - 1000)
            launched[-1].has_ended = True
        clock[0] += 1
    assert starts == [0, 5, 15, 35, 75, 135, 195, 255]
    launching.need()
    assert all(agent.stdin.closed for agent in launched)
    assert launching._agents == []
    launching.has_found()
    launching.need()
    assert len(launched) == len(starts) + 1
    launching.need()
    assert not launched[-1].stdin.closed  # it still lives as long as that


def test_what_is_wrong_is_said_once_and_again_after_it_was_right(
    launching: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    for text in ("one", "one", "two", "two"):
        launching.complain("It does not work", ValueError(text))
    launching.has_found()
    launching.complain("It does not work", ValueError("two"))
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["one", "two", "two"]


def test_a_task_of_a_worker_with_wrong_settings_says_so_once(
    process: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, eventually: Any
) -> None:
    tries = []

    def connect() -> None:
        tries.append(1)
        raise ConfigError("tmp_folder is a relative path")

    monkeypatch.setattr(local_socket, "connect", connect)
    monkeypatch.setattr(supervising, "PAUSE_SECONDS", 0.01)
    registration = supervising.Registration(process)
    registration.start()
    eventually(lambda: len(tries) > 5)
    registration.close()
    assert [record.getMessage() for record in caplog.records].count(
        "The agent of this machine can't be told of a task"
    ) == 1
