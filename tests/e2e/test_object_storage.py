"""Runs whose inputs are in a bucket, and whose outputs go there: with the Connection of the site, by their address."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from support.airflow_server import Server
from support.buckets import Buckets, buckets
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

        def started(run_id: str, location: str, folder: str = "", **more: Any) -> Any:
            job = {
                "text": {"class": "File", "location": location, **more},
                "more": {"class": "Directory", "location": "s3://sequencing/more"},
                **({"output_folder": folder} if folder else {}),
            }
            return client.post(runs, json={"run_id": run_id, "conf": {"job": job}})

        answer = started("first", text, checksum=f"sha1${hashlib.sha1(TEXT).hexdigest()}", size=len(TEXT))
        assert answer.status_code == 201, answer.text
        run = server.wait_for_run(client, dag_id, "first")
        assert run["state"] == "success", run["error"]
        assert run["job"]["text"]["location"] == text
        assert client.get(f"{runs}/first/files/words.txt").text.split() == ["9"]
        check_delivered(server, client, dag_id, store, started)
        started("gone", "s3://sequencing/gone.txt")
        run = server.wait_for_run(client, dag_id, "gone")
        assert run["state"] == "failed"
        assert "There is no s3://sequencing/gone.txt" in run["error"]
        for location in ("s3://other/text.txt", f"s3://{STORE_CONNECTION}@sequencing/run 1/text.txt"):
            refused = started("elsewhere", location)
            assert refused.status_code == 422
            assert "[cwl] storage_roots" in refused.text
        assert client.delete(f"/api/v2/connections/{STORE_CONNECTION}").status_code == 204


def check_delivered(server: Server, client: Any, dag_id: str, store: Buckets, started: Callable[..., Any]) -> None:
    """See that a run delivers to the bucket, that users get it from there, and that the next run takes it as input."""
    place = f"s3://sequencing/results/{dag_id}/a b"
    assert started("delivers", "s3://sequencing/run 1/text.txt", place).status_code == 201
    run = server.wait_for_run(client, dag_id, "delivers")
    assert run["state"] == "success", run["error"]
    assert run["outputs"]["words"]["location"] == f"{place}/words.txt"
    assert run["output_folder"].rstrip("/") == place
    key = f"results/{dag_id}/a b/words.txt"
    found = store.client.get_object(Bucket="sequencing", Key=key)
    assert found["Body"].read().split() == [b"9"]
    assert run["outputs"]["words"]["checksum"] == f"sha1${found['Metadata']['cwl-sha1']}"
    file = f"/cwl/api/v1/workflows/{dag_id}/runs/delivers/files/words.txt"
    assert client.get(file).text.split() == ["9"]
    part = client.get(file, headers={"Range": "bytes=0-0"})
    assert (part.status_code, part.text) == (206, "9")
    page = client.get(
        "/pluginsv2/cwl/run/preview", params={"dag_id": dag_id, "run_id": "delivers", "path": "words.txt"}
    )
    assert page.status_code == 200, page.text
    again = started("same-place", "s3://sequencing/run 1/text.txt", place)
    assert again.status_code in (409, 422), again.text
    assert started("chained", f"{place}/words.txt").status_code == 201
    run = server.wait_for_run(client, dag_id, "chained")
    assert run["state"] == "success", run["error"]
    assert client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/chained/files/words.txt").text.split() == ["7"]
    store.put("sequencing", "results/of-nobody.txt", TEXT)
    refused = started("not-its-own", "s3://sequencing/results/of-nobody.txt")
    assert (refused.status_code, "place of outputs" in refused.text) == (422, True)
