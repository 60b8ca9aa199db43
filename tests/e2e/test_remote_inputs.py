"""Runs whose inputs are on the network: fetched once, and refused when they are not what they should be."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
from support.airflow_server import Server
from support.shared_servers import ELSEWHERE
from support.web import web

pytestmark = pytest.mark.e2e
TEXT = b"one two three\n"
TOOL = b"""cwlVersion: v1.2
class: CommandLineTool
baseCommand: [wc, -w]
inputs: {text: {type: File, inputBinding: {}}}
outputs: {words: {type: stdout}}
stdout: $(inputs.text.basename).words
"""


def test_an_input_is_fetched_once_and_verified(server: Server) -> None:
    dag_id = f"remote-{uuid.uuid4().hex[:8]}"
    with server.client() as client, web(ELSEWHERE) as site:
        files = {"files": ("remote.cwl", TOOL)}
        assert client.post("/cwl/api/v1/workflows", files=files, data={"dag_id": dag_id}).status_code == 201
        runs = f"/cwl/api/v1/workflows/{dag_id}/runs"

        def started(run_id: str, **text: Any) -> Any:
            return client.post(runs, json={"run_id": run_id, "conf": {"job": {"text": {"class": "File", **text}}}})

        url = site.put("/text.txt", TEXT)
        right = f"sha1${hashlib.sha1(TEXT).hexdigest()}"
        for run_id in ("first", "second"):
            answer = started(run_id, location=url, checksum=right)
            assert answer.status_code == 201, answer.text
            run = server.wait_for_run(client, dag_id, run_id)
            assert run["state"] == "success", run["error"]
            assert run["job"]["text"]["location"] == url
            assert client.get(f"{runs}/{run_id}/files/text.txt.words").text.split()[0] == "3"
        assert site.asked == ["/text.txt"]
        started("wrong", location=url, checksum=f"sha1${'0' * 40}")
        run = server.wait_for_run(client, dag_id, "wrong")
        assert run["state"] == "failed"
        assert "is not what was announced: its sha1" in run["error"]
        refused = started("elsewhere", location="http://169.254.169.254/latest")
        assert refused.status_code == 422
        assert "[cwl] fetch_hosts" in refused.text
