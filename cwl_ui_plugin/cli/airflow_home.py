"""An existing Airflow home: its airflow.cfg, and the note of what ``init`` has changed there."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from cwl_ui_plugin.cli.cfg_file import CfgFile
from cwl_ui_plugin.cli.errors import CliError, UsageError
from cwl_ui_plugin.interpreters import module_command

NOTE = "init.json"


class AirflowHome:
    """Where an Airflow has its configuration; ``cfg`` is None where it has no airflow.cfg."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or Path(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser().resolve()
        named = None if folder else os.environ.get("AIRFLOW_CONFIG")
        self.cfg_path = Path(named).expanduser() if named else self.folder / "airflow.cfg"
        self.cfg = CfgFile(self.cfg_path) if self.cfg_path.is_file() else None

    def required_cfg(self) -> CfgFile:
        """Return airflow.cfg; raise :class:`UsageError` where there is none."""
        if self.cfg is None:
            raise UsageError(
                f"There is no {self.cfg_path}: run `airflow db migrate` there first, or name another with --home. "
                "For an Airflow that its environment sets up, see `cwl-ui-plugin init --env`."
            )
        return self.cfg

    def noted(self) -> dict[str, str | None]:
        """Return what options were before ``init`` changed them, by ``section.name``; None: not set."""
        try:
            found = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, changed: dict[str, str | None]) -> None:
        """Keep what options were; what is noted already was there first."""
        if changed:
            self._note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._note.write_text(json.dumps({**changed, **self.noted()}, indent=2), encoding="utf-8")

    def forget(self) -> None:
        """Remove the note."""
        self._note.unlink(missing_ok=True)

    def run(self, *command: str) -> None:
        """Run a Python module of this environment on this home; raise :class:`CliError` if it fails."""
        result = self._ran(*command)
        if result.returncode:
            raise CliError(f"`{' '.join(command)}` failed:\n{result.stderr.strip()[-2000:]}")

    def told(self, *command: str) -> str:
        """Run one, and return what it prints, also where it ends with 1; raise :class:`CliError` if it fails."""
        result = self._ran(*command)
        if result.returncode not in (0, 1) or not result.stdout:
            raise CliError(f"`{' '.join(command)}` failed:\n{result.stderr.strip()[-2000:]}")
        return result.stdout

    def _ran(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            module_command(*command),
            env={**os.environ, "AIRFLOW_HOME": str(self.folder), "AIRFLOW_CONFIG": str(self.cfg_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _note(self) -> Path:
        return self.folder / "cwl" / NOTE


def add_home_argument(parser: argparse.ArgumentParser) -> None:
    """Declare how the home is found."""
    parser.add_argument("--home", type=Path, help="the Airflow home (AIRFLOW_HOME; its file: AIRFLOW_CONFIG)")
