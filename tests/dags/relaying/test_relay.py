"""The agent of a machine without common folders, with a real API server's app behind real HTTP, and real processes.

The test is the API server, and the supervisor of a task; agent and task are processes with folders of their own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.execution_tokens import execution_token, instance_of
from support.forks import Forks, forks
from support.processes import is_living
from support.relay_machine import BEGIN, SECRET, ApiServer, Machine, said, say
from support.stored import add_version, packed_of, plan_of, set_task

from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.library.store import WorkflowStore


@pytest.fixture
def api(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", "s3://intermediate")
    found = ApiServer()
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    with forks(BEGIN) as found:
        yield found


@pytest.fixture
def idle_machine(api: ApiServer, forked: Forks, tmp_path: Path) -> Iterator[Machine]:
    """A machine without an agent."""
    found = Machine(tmp_path / "machine", api, forked)
    yield found
    found.end()


@pytest.fixture
def machine(idle_machine: Machine, eventually: Callable[..., Any]) -> Machine:
    idle_machine.start_agent()
    eventually(idle_machine.has_socket)
    return idle_machine


@pytest.fixture
def workflow(store: WorkflowStore) -> str:
    from cwl_ui_plugin.dags.registration import register

    dag_id, plan = f"count-{uuid.uuid4().hex[:8]}", plan_of("sort", "count")
    add_version(store, dag_id, plan, "one", packed_of(plan))
    register(dag_id)
    return dag_id


@pytest.fixture
def task(workflow: str, run_id: str) -> TaskTry:
    set_task(workflow, run_id, "sort", state="running", try_number=1, hostname=socket.gethostname())
    return TaskTry(workflow, run_id, "sort", -1, 1)


@pytest.fixture
def instance(task: TaskTry) -> str:
    return instance_of(task.dag_id, task.run_id, task.task_id)


def leases(task: TaskTry) -> list[run_folder.TaskLease]:
    return run_folder.leases(task.dag_id, task.run_id)


def log_of(task: TaskTry) -> str:
    path = task.folder / "stderr.log"
    return path.read_text() if path.exists() else ""


def test_lease_logs_and_end_of_a_task_are_told(machine, task, instance, eventually):
    left = machine.folder / "tmp" / "d" / "a-run-of-yesterday" / "step" / "-1" / "1"
    left.mkdir(parents=True)
    for folder in (left, *left.parents[:3]):
        os.utime(folder, (1, 1))
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    (held,) = leases(task)
    assert (held.pid, held.instance, held.is_here) == (process.pid, instance, False)
    assert stop_orders.has_janitor(machine=held.machine) or eventually(
        lambda: stop_orders.has_janitor(machine=held.machine)
    )
    say(process, "one")
    eventually(lambda: log_of(task) == "one\n")
    eventually(lambda: not left.exists())
    say(process, "end")
    said(process)
    assert said(process) == "settled"
    assert log_of(task) == "one\nend\n"
    assert leases(task) == []


def test_a_task_hears_of_a_stop_before_it_does_anything(machine, task, instance):
    tombstones.write(Tombstone(task.dag_id, task.run_id, "eve", 1.0))
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "stopped by eve"


def test_an_agent_with_the_servers_own_files_leaves_those_of_a_stop_alone(
    api, forked, folders, task, instance, eventually
):
    machine = Machine(folders, api, forked)
    machine.start_agent()
    eventually(machine.has_socket)
    stone = Tombstone(task.dag_id, task.run_id, "eve", 1.0)
    tombstones.write(stone)
    process = machine.start_task(task, waits=True)
    try:
        machine.tell(process, task, instance, again=True)  # by a supervisor that has known another agent
        looks = "POST /cwl/worker/v1/look"
        eventually(lambda: looks in api.asked)
        say(process, "begin")
        assert said(process) == "stopped by eve"
        say(process, "end")
        said(process)
        assert said(process) == "settled"
        machine.agent.stdin.close()
        machine.connections.pop().close()
        assert machine.agent.wait(60) == 0
        assert tombstones.find(task.dag_id, task.run_id) == stone
    finally:
        machine.end()


def test_an_order_is_followed_and_answered(machine, task, instance, eventually):
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    child = int(said(process))
    order = StopRequest(task.dag_id, task.run_id, "eve", 1.0, 0.3, True, "n1", "the-servers", 0)
    stop_orders.write_request(order)

    def is_over() -> bool:
        stop_orders.touch_request(order)
        process.poll()
        return not is_living(child) and not leases(task) and any(not r.left for r in stop_orders.replies(order))

    eventually(is_over)
    stop_orders.withdraw(order)
    eventually(lambda: not list((machine.folder / "tmp" / ".control" / "orders").glob("*.json")))


@pytest.mark.parametrize("ended", [True, False], ids=["its supervisor too", "its supervisor lives"])
def test_what_a_killed_task_leaves_is_ended_and_told(machine, task, instance, eventually, ended):
    process = machine.start_task(task)
    connection = machine.tell(process, task, instance)
    assert said(process) == "held"
    child = int(said(process))
    say(process, "last words")
    if ended:
        connection.close()
    process.kill()
    process.wait()
    eventually(lambda: not leases(task))
    assert not is_living(child)
    assert log_of(task) in ("", "last words\n")


def test_an_agent_that_was_killed_is_followed_by_another(machine, task, instance, eventually):
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    say(process, "one")
    eventually(lambda: log_of(task) == "one\n")
    machine.agent.kill()
    machine.agent.wait()
    say(process, "two")
    machine.start_agent()
    eventually(lambda: _can_connect(machine))
    machine.tell(process, task, instance, again=True)
    eventually(lambda: log_of(task) == "one\ntwo\n")
    say(process, "end")
    eventually(lambda: not leases(task))
    assert log_of(task) == "one\ntwo\nend\n"


def test_an_agent_tells_the_end_of_a_task_that_has_ended_without_one(machine, task, instance, eventually):
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    machine.agent.kill()
    machine.agent.wait()
    say(process, "end")
    eventually(lambda: not list((machine.folder / "tmp" / ".control" / "runs").rglob("*.lease")))
    assert len(leases(task)) == 1
    machine.start_agent()
    eventually(lambda: _can_connect(machine))
    machine.tell(process, task, instance, again=True)
    eventually(lambda: not leases(task))
    assert log_of(task) == "end\n"


def _can_connect(machine: Machine) -> bool:
    try:
        machine.connect().close()
    except OSError:
        return False
    return True


def test_a_second_agent_ends_at_once(machine):
    first = machine.agent
    assert machine.start_agent().wait(60) == 0
    assert first.poll() is None


def test_a_task_waits_for_an_api_server_that_is_away_and_goes_on_without_it(machine, api, task, instance, eventually):
    api.stop()
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    eventually(lambda: list((machine.folder / "tmp" / ".control" / "runs").rglob("*.lease")))
    assert leases(task) == []
    api.start()
    assert said(process) == "held"
    api.stop()
    say(process, "meanwhile")
    say(process, "end")
    eventually(lambda: not list((machine.folder / "tmp" / ".control" / "runs").rglob("*.lease")))
    assert len(leases(task)) == 1
    api.start()
    eventually(lambda: not leases(task))
    assert log_of(task) == "meanwhile\nend\n"


def test_a_task_that_airflow_has_given_up_does_not_begin(machine, task, instance):
    set_task(task.dag_id, task.run_id, task.task_id, state="failed")
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process).startswith("refused: The API server refuses it (403)")
    assert leases(task) == []


def test_a_process_that_nobody_has_told_of_gets_nothing(idle_machine, task, instance, eventually):
    machine = idle_machine
    machine.start_agent(told_seconds=5)
    eventually(machine.has_socket)
    told = machine.start_task(task)
    machine.tell(told, task, instance)
    assert said(told) == "held"
    with machine.connect() as connection:  # this process is another one
        connection.settimeout(60)
        connection.sendall(json.dumps({"ask": "settle", "task": asdict(task)}).encode() + b"\n")
        assert b"has not told" in connection.recv(4096)
    assert len(leases(task)) == 1


def test_a_document_is_fetched_once_for_all_tasks(machine, api, task, instance, store):
    revision = store.current_revision(task.dag_id)
    version = store.keep_manifest({task.dag_id: revision})
    processes = [machine.start_task(task, document=version) for _number in range(3)]
    for process in processes:
        machine.tell(process, task, instance)
    found = [json.loads(said(process)) for process in processes]
    assert {tuple(item) for item in found} == {(found[0][0], revision)}
    fetched = WorkflowStore(Path(found[0][0]))
    assert fetched.pinned(task.dag_id, revision).plan == store.current(task.dag_id).plan
    assert api.asked.count("GET /cwl/worker/v1/document/archive") == 1


def test_no_token_is_in_a_file_or_in_the_environment_of_the_agent(idle_machine, task, instance, eventually):
    machine = idle_machine
    command = [sys.executable, "-m", "cwl_ui_plugin.dags.relaying.agent", machine.given]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as agent:
        eventually(machine.has_socket)
        try:
            _see_no_token(machine, agent.pid, task, instance)
        finally:
            agent.kill()


def _see_no_token(machine: Machine, agent: int, task: TaskTry, instance: str) -> None:
    process = machine.start_task(task)
    token = execution_token(instance)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    head = token.rpartition(".")[0][:40].encode()
    for name in ("environ", "cmdline"):
        assert head not in Path(f"/proc/{agent}/{name}").read_bytes()
    for path in machine.folder.rglob("*"):
        assert not path.is_file() or head not in path.read_bytes()
    os.kill(process.pid, signal.SIGKILL)


def test_secrets_come_from_the_api_server_and_stay_in_memory(machine, api, task, instance):
    process = machine.start_task(task)
    machine.tell(process, task, instance)
    assert said(process) == "held"
    said(process)
    say(process, "tell the secrets")
    assert json.loads(said(process)) == {}
    api.stop()
    say(process, "keep a secret")
    api.start()
    assert said(process) == "kept"
    say(process, "tell the secrets")
    assert json.loads(said(process)) == {"(secret-1)": SECRET}
    kept = run_folder.secrets_file(task.dag_id, task.run_id)
    assert json.loads(kept.read_text()) == {"(secret-1)": SECRET}
    files = [path for path in machine.folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    say(process, "end")
    assert said(process) == "settled"
