"""Airflow's own command, as a standalone server starts it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cwl_ui_plugin.cli import airflow_process
from cwl_ui_plugin.interpreters import module_command

SPY = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_threshold()[0], sys.path[0]))
"""


def test_it_is_airflow_and_takes_no_module_of_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "spies").mkdir()
    (tmp_path / "spies/sitecustomize.py").write_text(SPY)
    (tmp_path / "airflow.py").write_text("raise SystemExit('a module of the working folder')")
    command = module_command(airflow_process.__name__, "version")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "spies")}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    version, told = ended.stdout.splitlines()[-2:]
    assert version.count(".") == 2
    assert told == f"{airflow_process.THRESHOLD} {tmp_path / 'spies'}"
