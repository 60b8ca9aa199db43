"""What a standalone server and its API server know of each other.

The API server proves that it is that server's, and shows which components have died and were started again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cwl_ui_plugin.cwl.processes.task_processes import SERVER_VARIABLE

FILE_VARIABLE = "CWL_UI_PLUGIN_RESTARTS"
SHOWN_HOURS = 1.0


@dataclass(frozen=True)
class Restart:
    """A component that has died; ``at`` is ISO 8601 in UTC."""

    component: str
    at: str
    exit_code: str

    @property
    def is_recent(self) -> bool:
        """Whether it is of the last hour."""
        return datetime.now(timezone.utc) - datetime.fromisoformat(self.at) < timedelta(hours=SHOWN_HOURS)


def server_id(tag: str | None = None) -> str | None:
    """Return what a server is known by, made from its tag, which nobody else knows; None where it has none."""
    tag = tag or os.environ.get(SERVER_VARIABLE)
    return hashlib.sha256(tag.encode()).hexdigest()[:32] if tag else None


def recent_restarts() -> tuple[Restart, ...]:
    """Return which components of this server have died in the last hour; none where it is not a standalone one."""
    name = os.environ.get(FILE_VARIABLE)
    if not name:
        return ()
    try:
        found = [Restart(**entry) for entry in json.loads(Path(name).read_text(encoding="utf-8"))]
        return tuple(restart for restart in found if restart.is_recent)
    except (OSError, ValueError, TypeError):
        return ()
