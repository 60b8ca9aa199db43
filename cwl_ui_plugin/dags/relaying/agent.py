"""The agent of a machine without common folders: its janitor, and the relay between its tasks and the API server.

``python -m cwl_ui_plugin.dags.relaying.agent SETTINGS`` (JSON), with a pipe as standard input as the janitor has it.
There is one on a machine: a second one ends at once. It lives as long as its worker, or until nothing is left to tell.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import httpx

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.relaying import local_socket, tidying
from cwl_ui_plugin.dags.relaying.errors import RelayError
from cwl_ui_plugin.dags.relaying.fetched import Fetched, patiently
from cwl_ui_plugin.dags.relaying.relay import Relay
from cwl_ui_plugin.dags.relaying.server_calls import TIMEOUT, Certificates, ServerCalls, workers_address
from cwl_ui_plugin.dags.relaying.told_tasks import ToldTask, ToldTasks
from cwl_ui_plugin.dags.stopping import janitor, stop_orders

log = logging.getLogger(__name__)
ROUND_SECONDS = 0.1
TIDY_SECONDS, LOOK_TO_TIDY_SECONDS = 3600.0, 2.0
TOLD_SECONDS = 30.0
"""How long a task's process may be before its supervisor has told of it."""
MAX_CONNECTIONS = 2000
SECRETS = "Secrets of a run"
_LOCK = "agent.lock"


class Agent:
    """Answers supervisors and tasks of this machine, each connection in a thread."""

    def __init__(self, hosts: tuple[str, ...], certificates: Certificates) -> None:
        self.janitor = janitor.Janitor(hosts)
        self.tasks = ToldTasks()
        self.relay = Relay(self.tasks, self.janitor.look_now)
        self.fetched = Fetched()
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=8)
        self._client = httpx.Client(verify=certificates.context(), timeout=TIMEOUT, limits=limits)
        self._tidied = float("-inf")
        self._room = threading.Semaphore(MAX_CONNECTIONS)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until this process ends."""
        while True:
            connection, _address = listener.accept()
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with self._room, closing(connection):
            pid, user = local_socket.peer(connection)
            if user not in (0, os.geteuid()):
                return
            lines = local_socket.Lines(connection)
            try:
                message = lines.receive()
                if message and message.get("say") == "task":
                    self._know(message, lines)
                elif message and "ask" in message:
                    local_socket.send(connection, self._answer(message, pid))
            except OSError:
                log.debug("A connection has ended", exc_info=True)
            except Exception:
                log.exception("A task could not be served")

    def _know(self, message: local_socket.Message, lines: local_socket.Lines) -> None:
        """Know a task as long as its supervisor holds the connection, and longer if it has to be."""
        told = self.tasks.add(
            ToldTask(
                task=TaskTry(**message["task"]),
                instance=str(message["instance"]),
                pid=int(message["pid"]),
                since=time.time(),
                is_unsure=bool(message.get("again")),
                calls=ServerCalls(self._client, workers_address(str(message["server"])), str(message["token"])),
            )
        )
        try:
            lines.receive()
        finally:
            told.is_told = False

    def _answer(self, message: local_socket.Message, pid: int) -> local_socket.Message:
        told = self.tasks.of_process(pid, TOLD_SECONDS)
        if told is None:
            return {"error": "The supervisor of this task has not told of it; see the log of the worker."}
        told.has_asked = True
        try:
            return self._answered(message, told)
        except RelayError as error:
            return {"error": str(error)}
        except (OSError, config.ConfigError) as error:
            return {"error": f"The agent of this machine can't do its work: {error}"}

    def _answered(self, message: local_socket.Message, told: ToldTask) -> local_socket.Message:
        if message["ask"] == "document":
            version = str(message["version"])
            root, revision = self.fetched.document(told.calls, str(message["dag_id"]), version, lambda: told.is_alive)
            return {"root": str(root), "revision": revision}
        if message["ask"] == "grant-key":
            self.fetched.grant_key(told.calls, str(message["name"]), lambda: told.is_alive)
            return {}
        if TaskTry(**message["task"]) != told.task:
            return {"error": "This is another task than its supervisor has told of."}
        if message["ask"] in ("secrets", "keep-secrets"):
            return _secrets(message, told)
        if message["ask"] == "hold":
            self.relay.hold(told)
        elif message["ask"] == "settle":
            self.relay.settle(told)
        return {"is_held": told.is_held}

    def tidy(self) -> None:
        """Remove what nobody uses any more, if it is time; of tasks only where nobody else cleans up after them."""
        self.fetched.prune()
        if self.relay.is_apart and time.monotonic() - self._tidied > TIDY_SECONDS:
            self._tidied = time.monotonic()
            tidying.tidy(self.tasks.has)

    @property
    def has_work(self) -> bool:
        """Whether something is to be done yet."""
        return self.janitor.has_work() or self.relay.has_work


def _secrets(message: local_socket.Message, told: ToldTask) -> local_socket.Message:
    """Have the API server keep the secrets of a task's run, or return what it has: nothing of that stays here."""
    path, options = "/secrets", {"params": {"part": str(message["part"])}}
    if message["ask"] == "keep-secrets":
        body = {"secrets": message["secrets"]}
        patiently(lambda: told.calls.call("PUT", path, json=body, **options), SECRETS, lambda: told.is_alive)
        return {}
    answer = patiently(lambda: told.calls.call("GET", path, **options), SECRETS, lambda: told.is_alive)
    return {"secrets": answer["secrets"]}


def main() -> int:
    """Be the agent, unless there is one."""
    given = json.loads(sys.argv[1])
    config.give(given["options"])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s cwl-agent %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    lock = os.open(config.control_folder() / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    agent = Agent(tuple(given["hosts"]), Certificates(**given["certificates"]))
    listener = local_socket.listen()
    threading.Thread(target=agent.serve, args=(listener,), daemon=True).start()
    _live(agent)
    with suppress(OSError):
        stop_orders.dismiss_janitor()
    return 0


def _live(agent: Agent) -> None:
    """Do rounds while there is a worker, or work: the relay's here, others beside it; none waits for another."""
    is_over = threading.Event()
    others = [_repeated(agent.janitor.round, janitor.LOOK_SECONDS, is_over)]
    others.append(_repeated(agent.tidy, LOOK_TO_TIDY_SECONDS, is_over))
    _relay(agent)
    is_over.set()
    others[0].join(timeout=janitor.ANNOUNCE_SECONDS)  # it says that it is there, which main takes back


def _repeated(work: Callable[[], None], pause: float, is_over: threading.Event) -> threading.Thread:
    def repeat() -> None:
        while not is_over.wait(pause if janitor.safely(work) else janitor.ANNOUNCE_SECONDS):
            pass

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    return thread


def _relay(agent: Agent) -> None:
    has_worker = True
    while has_worker or agent.has_work:
        pause = ROUND_SECONDS if janitor.safely(agent.relay.round) else janitor.ANNOUNCE_SECONDS
        ready, _, _ = select.select([sys.stdin] if has_worker else [], [], [], pause)
        if ready:  # the end of the pipe
            has_worker = False
            agent.janitor.look_now()


if __name__ == "__main__":
    sys.exit(main())
