"""The secrets of a run (cwltool:Secrets): kept where only its tasks can read them, and placeholders everywhere else.

cwltool puts a placeholder into the job in the place of each secret, and the secret back where a command needs it. Its
store lives in one process; a run's tasks are many, so what is in it is kept: in a file of the run's folder where its
tasks share that, and else by the API server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cwltool.process import Process, shortname
from cwltool.secrets import SecretStore

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cwl.engine.cwltool_internals import SECRETS
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import CwlObject


class SecretsKeeper(Protocol):
    """Keeps the secrets of a run, by their placeholders."""

    def read(self) -> dict[str, str]:
        """Return what was kept last; nothing where there is nothing."""

    def write(self, secrets: Mapping[str, str]) -> None:
        """Keep secrets instead of what was kept before."""


@dataclass(frozen=True)
class SecretsFile:
    """Secrets in a file that only its owner can read."""

    path: Path

    def read(self) -> dict[str, str]:
        """Return what is in the file."""
        if not self.path.exists():
            return {}
        found: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def write(self, secrets: Mapping[str, str]) -> None:
        """Write the file anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.path, json.dumps(secrets), mode=atomic.OWNER_ONLY)


def secret_inputs(process: Process) -> list[str]:
    """Return the short names of the inputs that cwltool:Secrets names."""
    requirement: Any = process.get_requirement(SECRETS)[0] or {}
    return [shortname(name) for name in requirement.get("secrets", [])]


def hide(process: Process, job_order: CwlObject, keeper: SecretsKeeper | None, *, must_keep: bool = False) -> None:
    """Put placeholders into a job for the secrets that a process names, and have the secrets kept.

    Raises:
        JobError: nobody keeps them, and they ``must`` be kept: they would be in what tasks hand on.

    """
    names = [name for name in secret_inputs(process) if isinstance(job_order.get(name), str)]
    if names and keeper is None and must_keep:
        raise JobError(f"There is nobody who keeps the secrets of the workflow (cwltool:Secrets: {', '.join(names)}).")
    if not names or keeper is None:
        return
    store = load(keeper)
    store.store(names, job_order)
    keeper.write(store.secrets)


def load(keeper: SecretsKeeper | None) -> SecretStore:
    """Return the secrets of a run: none where nothing is kept of it."""
    store = SecretStore()
    if keeper is not None:
        store.secrets = keeper.read()
    return store
