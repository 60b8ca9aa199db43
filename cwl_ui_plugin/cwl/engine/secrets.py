"""The secrets of a run (cwltool:Secrets): a file that only its tasks can read, and placeholders everywhere else.

cwltool puts a placeholder into the job in the place of each secret, and the secret back where a command needs it. Its
store lives in one process; a run's tasks are many, so the store is kept in the run's folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cwltool.process import Process, shortname
from cwltool.secrets import SecretStore

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cwl.engine.cwltool_internals import SECRETS
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import CwlObject


def secret_inputs(process: Process) -> list[str]:
    """Return the short names of the inputs that cwltool:Secrets names."""
    requirement: Any = process.get_requirement(SECRETS)[0] or {}
    return [shortname(name) for name in requirement.get("secrets", [])]


def refuse(process: Process) -> None:
    """Raise :class:`JobError` if a process names secrets: the file with them is on the machine of one task only."""
    if names := secret_inputs(process):
        raise JobError(
            f"The workflow has secrets (cwltool:Secrets: {', '.join(names)}), which its tasks share by a file. Here "
            "they share no folders ([cwl] intermediate_storage), so it can't be run."
        )


def hide(process: Process, job_order: CwlObject, path: Path | None) -> None:
    """Put placeholders into a job for the secrets that a process names, and keep the secrets in ``path``."""
    names = [name for name in secret_inputs(process) if isinstance(job_order.get(name), str)]
    if not names or path is None:
        return
    store = load(path)
    store.store(names, job_order)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps(store.secrets), mode=atomic.OWNER_ONLY)


def load(path: Path | None) -> SecretStore:
    """Return the secrets of a run: none where it keeps no file of them."""
    store = SecretStore()
    if path is not None and path.exists():
        store.secrets = json.loads(path.read_text(encoding="utf-8"))
    return store
