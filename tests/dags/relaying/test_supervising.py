"""Supervisors tell the agent of their tasks, whichever executor starts them, and start one where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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


@pytest.fixture
def launched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from cwl_ui_plugin.dags.stopping import janitor

    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    found: list[int] = []
    monkeypatch.setattr(janitor, "launch", lambda: found.append(1))
    return found


def test_a_task_is_told_with_its_token_as_long_as_it_lives(process: Any, launched: list[int], eventually: Any) -> None:
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
    process: Any, launched: list[int], eventually: Any
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
