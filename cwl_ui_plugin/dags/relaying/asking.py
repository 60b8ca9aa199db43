"""What a task's process asks of its machine's agent, which knows it by its pid."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.access import grants
from cwl_ui_plugin.dags.relaying import local_socket
from cwl_ui_plugin.dags.relaying.errors import Away, RelayError

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry

log = logging.getLogger(__name__)
AGENT_SECONDS = 60.0
"""How long a machine may have no agent: its supervisor starts one."""
SETTLE_SECONDS = 20.0
"""How long a task that has ended waits for its last lines to arrive."""
_PAUSE = 0.1


class Relayed:
    """Files of this machine, which its agent carries to the API server and back."""

    def hold(self, task: TaskTry) -> None:
        """See ``control.Control``. While the API server is away this waits: nothing may start before it knows."""
        _ask({"ask": "hold", "task": asdict(task)}, None)

    def settle(self, task: TaskTry) -> None:
        """See ``control.Control``: waits a while; the agent goes on with it after that."""
        try:
            _ask({"ask": "settle", "task": asdict(task)}, SETTLE_SECONDS)
        except RelayError as error:
            log.warning("The API server does not know yet that %s has ended: %s", task.task_id, error)

    def document(self, dag_id: str, version: str) -> tuple[Path, str] | None:
        """See ``control.Control``."""
        found = _ask({"ask": "document", "dag_id": dag_id, "version": version}, None)
        return Path(str(found["root"])), str(found["revision"])

    def grant_key(self, conf: object) -> None:
        """See ``control.Control``. A key is named by its content, so what is there once is right."""
        name = grants.key_named_in(conf)
        if name is not None and not grants.key_file(name).exists():
            _ask({"ask": "grant-key", "name": name}, None)

    def secrets(self, task: TaskTry, part: str) -> RelayedSecrets:
        """See ``control.Control``."""
        return RelayedSecrets(task, part)


@dataclass(frozen=True)
class RelayedSecrets:
    """Secrets that the API server keeps; on this machine they are in memory only."""

    task: TaskTry
    part: str

    def read(self) -> dict[str, str]:
        """Return what the API server has; nothing where it has nothing."""
        found: dict[str, str] = self._ask({"ask": "secrets"})["secrets"]
        return found

    def write(self, secrets: Mapping[str, str]) -> None:
        """Let the API server keep secrets instead of what it has."""
        self._ask({"ask": "keep-secrets", "secrets": dict(secrets)})

    def _ask(self, message: local_socket.Message) -> local_socket.Message:
        return _ask({**message, "task": asdict(self.task), "part": self.part}, None)


def _ask(message: local_socket.Message, timeout: float | None) -> local_socket.Message:
    """Return what the agent answers; ask again where it dies, as another one comes.

    Raises:
        RelayError: it says no, or there is none.

    """
    deadline = time.monotonic() + AGENT_SECONDS
    while True:
        connected: float | None = None
        try:
            with closing(local_socket.connect(timeout)) as connection:
                connected = time.monotonic()
                local_socket.send(connection, message)
                answer = local_socket.Lines(connection).receive()
        except TimeoutError as error:
            raise Away("the agent of this machine takes too long") from error
        except OSError:
            answer = None
        if answer is not None:
            break
        now = time.monotonic()
        if connected is not None:
            deadline += now - connected  # there was one: it may have waited for the API server, and was killed then
        if now > deadline:
            raise Away("this machine has no agent of cwl-ui-plugin: the log of its worker says why")
        time.sleep(_PAUSE)
    if "error" in answer:
        raise RelayError(str(answer["error"]))
    return answer
