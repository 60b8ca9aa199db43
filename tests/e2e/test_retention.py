"""Retention on a real server, under both auth managers: uploads of real runs, and outputs of runs that are gone."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.airflow_server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
API = "/cwl/api/v1"
COPY = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: cat
inputs: {text: {type: File, inputBinding: {}}}
outputs: {copy: {type: stdout}}
stdout: copy.txt
"""


def sent(client: Any, text: str) -> Path:
    answer = client.post(f"{API}/inputs", params={"name": "text.txt"}, content=text.encode())
    assert answer.status_code in (200, 201), answer.text
    return Path(answer.json()["location"].removeprefix("file://"))


def test_an_upload_stays_as_long_as_its_run_is_in_the_list(site: Server, tmp_path: Path) -> None:
    dag_id = f"copied-{uuid.uuid4().hex[:8]}"
    (tmp_path / "copy.cwl").write_text(COPY)
    site.command("upload", tmp_path / "copy.cwl", "--dag-id", dag_id)
    with site.client() as client:
        used, unused = sent(client, "used"), sent(client, "unused")
        job = {"text": {"class": "File", "location": str(used)}}
        answer = client.post(f"{API}/workflows/{dag_id}/runs", json={"run_id": "kept", "job": job})
        assert answer.status_code == 201, answer.text
        run = site.wait_for_run(client, dag_id, "kept")
        assert run["state"] == "success", run["error"]
        assert run["removed"] == []
        for path in (used, unused):
            os.utime(path.parent, (0, 0))

        would = site.command("clean", "--dry-run", "--names").stdout
        assert "of 'Uploaded inputs'" in would
        assert unused.parent.name in would
        assert used.parent.name not in would
        assert unused.exists()

        assert unused.parent.name in site.command("clean", "--names").stdout
        assert not unused.parent.exists()
        assert used.read_text() == "used"
        again = client.post(f"{API}/workflows/{dag_id}/runs", json={"run_id": "again", "job": job})
        assert again.status_code == 201
        assert site.wait_for_run(client, dag_id, "again")["state"] == "success"

        gone = {"text": {"class": "File", "location": str(unused)}}
        refused = client.post(f"{API}/workflows/{dag_id}/runs", json={"run_id": "refused", "job": gone})
        assert refused.status_code == 422, refused.text

        site.remove(client, f"/api/v2/dags/{dag_id}/dagRuns/kept", f"/api/v2/dags/{dag_id}/dagRuns/again")
        os.utime(used.parent, (0, 0))
        site.command("clean")
        assert not used.parent.exists()
        assert (site.home / "cwl/outputs" / dag_id / "kept/copy.txt").read_text() == "used"  # for ever, by default
        client.delete(f"{API}/workflows/{dag_id}")
