"""Runs whose inputs are in a bucket: read with the Connection of the site, and named by their address."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import pytest
from support.airflow_server import Server
from support.buckets import buckets
from support.shared_servers import STORE_CONNECTION

pytestmark = pytest.mark.e2e
TEXT = b"one two three\n"
TOOL = b"""cwlVersion: v1.2
class: CommandLineTool
requirements: {ShellCommandRequirement: {}}
arguments: [{valueFrom: "cat $(inputs.text.path) $(inputs.more.path)/*/* | wc -w", shellQuote: false}]
inputs: {text: File, more: Directory}
outputs: {words: {type: stdout}}
stdout: words.txt
"""


def test_inputs_come_from_a_bucket(server: Server) -> None:
    dag_id = f"stored-{uuid.uuid4().hex[:8]}"
    with server.client() as client, buckets() as store:
        store.client.create_bucket(Bucket="sequencing")
        text = store.put("sequencing", "run 1/text.txt", TEXT)
        store.put("sequencing", "more/a/1.txt", TEXT)
        store.put("sequencing", "more/b/2.txt", TEXT)
        connection = json.loads(store.connection())
        body = {**connection, "connection_id": STORE_CONNECTION, "extra": json.dumps(connection["extra"])}
        assert client.post("/api/v2/connections", json=body).status_code == 201
        files = {"files": ("stored.cwl", TOOL)}
        assert client.post("/cwl/api/v1/workflows", files=files, data={"dag_id": dag_id}).status_code == 201
        runs = f"/cwl/api/v1/workflows/{dag_id}/runs"

        def started(run_id: str, location: str, **more: Any) -> Any:
            job = {
                "text": {"class": "File", "location": location, **more},
                "more": {"class": "Directory", "location": "s3://sequencing/more"},
            }
            return client.post(runs, json={"run_id": run_id, "conf": {"job": job}})

        answer = started("first", text, checksum=f"sha1${hashlib.sha1(TEXT).hexdigest()}", size=len(TEXT))
        assert answer.status_code == 201, answer.text
        run = server.wait_for_run(client, dag_id, "first")
        assert run["state"] == "success", run["error"]
        assert run["job"]["text"]["location"] == text
        assert client.get(f"{runs}/first/files/words.txt").text.split() == ["9"]
        started("gone", "s3://sequencing/gone.txt")
        run = server.wait_for_run(client, dag_id, "gone")
        assert run["state"] == "failed"
        assert "There is no s3://sequencing/gone.txt" in run["error"]
        for location in ("s3://other/text.txt", f"s3://{STORE_CONNECTION}@sequencing/run 1/text.txt"):
            refused = started("elsewhere", location)
            assert refused.status_code == 422
            assert "[cwl] storage_roots" in refused.text
        assert client.delete(f"/api/v2/connections/{STORE_CONNECTION}").status_code == 204
