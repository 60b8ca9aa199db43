"""Whether a standalone server that starts is ready, and whether it is still getting there."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.servers import server_id

STALLED_SECONDS = 180.0
LEAST_CPU_SECONDS = 0.5
"""What a component uses that gets on, in :data:`STALLED_SECONDS`; one that hangs uses less."""
LOOK_SECONDS = 5.0
API_SERVER = "api-server"
PARTS = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}
"""Airflow's names of the components in its answer about its health, and ours."""


class Readiness:
    """Looks at a server that starts. Only the API server of ``components`` counts, whoever else has the port."""

    def __init__(self, url: str, components: Components) -> None:
        self.url = url
        self.components = components
        self._server = server_id(components.tag)
        self._waiting: frozenset[str] = frozenset()
        self._seen = (0.0, 0)
        self._progress_at = self._looked_at = time.monotonic()

    def look(self) -> bool:
        """Return whether runs can be started.

        Raises:
            CliError: what is not ready has not got on for :data:`STALLED_SECONDS`.

        """
        waiting = self.waiting()
        if waiting:
            self._check_progress(waiting, time.monotonic())
        return not waiting

    def waiting(self) -> frozenset[str]:
        """Return the components that are not ready."""
        ours = _get(f"{self.url}{addresses.HEALTH}")
        airflow = _get(f"{self.url}/api/v2/monitor/health") if ours else None
        if not ours or not airflow or ours.get("server") != self._server or not ours.get("ready"):
            return frozenset({API_SERVER})
        if not _get(f"{self.url}/execution/health"):  # what tasks call
            return frozenset({API_SERVER})
        healthy = {name for part, name in PARTS.items() if _status_of(airflow.get(part)) == "healthy"}
        # Airflow calls healthy what has a heartbeat of the last half minute: also what a server that is gone has left.
        return frozenset(name for name in PARTS.values() if name not in healthy or not self.components.is_running(name))

    def _check_progress(self, waiting: frozenset[str], now: float) -> None:
        if waiting != self._waiting:
            self._waiting, self._seen, self._progress_at = waiting, self.components.progress(waiting), now
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        seconds, size = self.components.progress(waiting)
        if seconds < self._seen[0] or seconds - self._seen[0] >= LEAST_CPU_SECONDS or size > self._seen[1]:
            self._seen, self._progress_at = (seconds, size), now
        if now - self._progress_at > STALLED_SECONDS:
            raise CliError(
                f"Airflow is not ready: {', '.join(sorted(waiting))} has not got on for {STALLED_SECONDS:.0f} seconds; "
                f"see the logs in {self.components.logs}."
            )


def _status_of(component: object) -> object:
    return component.get("status") if isinstance(component, dict) else None


def _get(url: str) -> dict[str, object] | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            data = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return data if isinstance(data, dict) else None
