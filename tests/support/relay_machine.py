"""A machine without common folders and the API server that it asks, for tests: their agents and tasks are forks."""

from __future__ import annotations

import json
import os
import socket
import threading
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from support.execution_tokens import execution_token
from support.forks import Fork, Forks
from support.scale_out import free_port

from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.dags.folders.run_folder import TaskTry

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


def said(process: Fork) -> str:
    return process.stdout.readline().strip()


def say(process: Fork, line: str) -> None:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
