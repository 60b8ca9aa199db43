"""The tutorial, as it stands: its files are written, its commands are run, and what it says comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.airflow_server import ROOT, Server

pytestmark = pytest.mark.e2e
TEXT = (ROOT / "docs" / "tutorial.md").read_text()
FILES = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', TEXT, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^ {4}(cwl-ui-plugin .*)$", TEXT, re.MULTILINE)
STARTS_A_SERVER = "cwl-ui-plugin standalone"
"""What the shared server was started with; it has a folder and a port of its own."""


@pytest.fixture
def folder(server: Server, tmp_path: Path) -> Iterator[Path]:
    """A folder with the files of the tutorial; what it uploads is deleted afterwards."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    with server.client() as client:
        before = _workflows(client)
        yield tmp_path
        for dag_id in _workflows(client) - before:
            server.remove(client, f"/cwl/api/v1/workflows/{dag_id}")


def _workflows(client: httpx.Client) -> set[str]:
    return {item["dag_id"] for item in client.get("/cwl/api/v1/workflows?search=shout").json()["workflows"]}


def test_each_command_does_what_the_tutorial_says(server: Server, folder: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"CWL_UI_URL": server.url, "CWL_UI_USER": server.user, "CWL_UI_PASSWORD": server.password}
    assert COMMANDS[0] == STARTS_A_SERVER
    printed = {}
    for command in COMMANDS[1:]:
        result = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        printed[command.split()[1]] = result.stdout

    shouted = re.search(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert shouted is not None
    assert (folder / "results" / "shouted.txt").read_text() == shouted[1]
    assert json.loads(printed["run"])["words"] == 3
    with server.client() as client:
        assert client.get("/cwl/api/v1/workflows/shout/runs/my-first-run").json()["run_id"] == "my-first-run"
