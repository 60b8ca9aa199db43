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
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from support.execution_tokens import execution_token, instance_of
from support.forks import Fork, Forks, forks
from support.processes import is_living
from support.scale_out import free_port
from support.stored import add_version, packed_of, plan_of, set_task

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.library.store import WorkflowStore

SECRET = "open sesame"
BEGIN = """
import subprocess
from cwl_ui_plugin.dags.relaying import agent, asking
"""
AGENT = """
import sys
from cwl_ui_plugin.dags.relaying import agent

agent.TOLD_SECONDS = float(sys.argv.pop())
sys.exit(agent.main())
"""
TASK = """
import json, os, subprocess, sys
from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.relaying.asking import Relayed
from cwl_ui_plugin.dags.relaying.errors import RelayError
from cwl_ui_plugin.dags.stopping import tombstones

given = json.loads(sys.argv[1])
config.give(given["options"])
task, relayed = run_folder.TaskTry(**given["task"]), Relayed()
print("ready", flush=True)
if given["waits"]:
    sys.stdin.readline()
if given["document"]:
    root, revision = relayed.document(task.dag_id, given["document"])
    print(json.dumps([str(root), revision]), flush=True)
    sys.exit()
try:
    with run_folder.lease(task, 0.5):
        relayed.hold(task)
        stone = tombstones.find(task.dag_id, task.run_id)
        print("held" if stone is None else f"stopped by {stone.user}", flush=True)
        task.folder.mkdir(parents=True, exist_ok=True)
        command = ["sh", "-c", "trap '' TERM; exec sleep 600"]
        child = subprocess.Popen(command, env={**os.environ, given["variable"]: task.tag}, start_new_session=True)
        print(child.pid, flush=True)
        for line in sys.stdin:
            if line == "keep a secret\\n":
                relayed.secrets(task, "").write({"(secret-1)": given["secret"]})
                print("kept", flush=True)
                continue
            if line == "tell the secrets\\n":
                print(json.dumps(relayed.secrets(task, "").read()), flush=True)
                continue
            with (task.folder / "stderr.log").open("a") as file:
                file.write(line)
            if line == "end\\n":
                break
        child.kill()
        child.wait()
except RelayError as error:
    print(f"refused: {error}", flush=True)
relayed.settle(task)
print("settled", flush=True)
"""


@cache
def _app() -> FastAPI:
    """The app that all servers of this module have: to make its routes takes half a second."""
    from cwl_ui_plugin.api import workers

    root = FastAPI()
    root.mount("/cwl/worker/v1", workers.app())
    return root


@dataclass
class ApiServer:
    """The app behind HTTP: it can go away, and come back at the same address."""

    port: int = field(default_factory=free_port)
    asked: list[str] = field(default_factory=list)
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = None

    @property
    def execution_api(self) -> str:
        return f"http://127.0.0.1:{self.port}/execution/"

    def start(self) -> None:
        root = _app()

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.asked.append(f"{scope['method']} {scope['path']}")
            await root(scope, receive, send)

        options = uvicorn.Config(counting, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off")
        self.server = uvicorn.Server(options)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        if self.server and self.thread:
            self.server.should_exit = self.server.force_exit = True
            self.thread.join(30)


@pytest.fixture
def api(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", "s3://intermediate")
    found = ApiServer()
    found.start()
    yield found
    found.stop()


@dataclass
class Machine:
    """A machine with folders of its own: its agent, and the supervisors of its tasks."""

    folder: Path
    api: ApiServer
    forks: Forks
    agent: Fork | None = None
    processes: list[Fork] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def options(self) -> dict[str, str]:
        return {
            "tmp_folder": str(self.folder / "tmp"),
            "workflows_folder": str(self.folder / "workflows"),
            "stop_grace": "0.3",
            "intermediate_storage": "s3://intermediate",
        }

    @property
    def given(self) -> str:
        """What the agent is started with."""
        return json.dumps({"options": self.options, "hosts": [socket.gethostname()], "certificates": {}})

    def start_agent(self, told_seconds: float = 30.0) -> Fork:
        """Start the agent, which waits so long to be told of a process that asks it."""
        self.agent = self.forks.start(AGENT, [self.given, str(told_seconds)], start_new_session=True)
        self.processes.append(self.agent)
        return self.agent

    def start_task(self, task: TaskTry, document: str = "", *, waits: bool = False) -> Fork:
        """Start the process of a task, which asks the agent at once, or when something is said to it."""
        given = {
            "waits": waits,
            "options": self.options,
            "task": asdict(task),
            "variable": task_processes.TAG_VARIABLE,
            "document": document,
            "secret": SECRET,
        }
        process = self.forks.start(TASK, [json.dumps(given)])
        self.processes.append(process)
        assert said(process) == "ready"
        return process

    def tell(self, process: Fork, task: TaskTry, instance: str, *, again: bool = False) -> socket.socket:
        """Tell the agent of a task, as its supervisor does, and keep the connection."""
        message = {
            "say": "task",
            "pid": process.pid,
            "instance": instance,
            "server": self.api.execution_api,
            "token": execution_token(instance),
            "task": asdict(task),
            "again": again,
        }
        connection = self.connect()
        connection.sendall(json.dumps(message).encode() + b"\n")
        self.connections.append(connection)
        return connection

    def connect(self) -> socket.socket:
        folder = os.open(self.folder / "tmp" / ".control", os.O_RDONLY)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(f"/proc/self/fd/{folder}/agent.sock")
        finally:
            os.close(folder)
        return connection

    def has_socket(self) -> bool:
        return (self.folder / "tmp" / ".control" / "agent.sock").exists()

    def end(self) -> None:
        for connection in self.connections:
            connection.close()
        for process in self.processes:
            process.close()


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


def said(process: Fork) -> str:
    return process.stdout.readline().strip()


def say(process: Fork, line: str) -> None:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


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
