"""What a user of the Python client does that openapi-python-client generates: ``use_client.py URL TOKEN DAG_ID``."""

from __future__ import annotations

import io
import json
import sys
import time

import httpx
from cwl_client import AuthenticatedClient
from cwl_client.api.inputs import send_part, start_partial_input
from cwl_client.api.runs import get_file, get_outputs, get_run, list_files, stop_run, trigger_run
from cwl_client.api.workflows import upload_workflow
from cwl_client.models import (
    BodyUploadWorkflow,
    Failure,
    PartialInput,
    Run,
    RunSummary,
    Stop,
    StopReport,
    TriggerRunBody,
    Workflow,
)
from cwl_client.models.run_state import RunState
from cwl_client.types import File

WORDS = b"three words here\n"


def main(url: str, token: str, dag_id: str) -> None:
    client = AuthenticatedClient(base_url=f"{url}/cwl", token=token, timeout=httpx.Timeout(300))
    document = File(payload=io.BytesIO(sys.stdin.buffer.read()), file_name="words.cwl")
    uploaded = upload_workflow.sync(client=client, body=BodyUploadWorkflow(files=[document], dag_id=dag_id))
    assert isinstance(uploaded, Workflow), uploaded
    location = sent(client)
    job = {"text": {"class": "File", "location": location}, "seconds": 0}
    run = ended(client, dag_id, started(client, dag_id, job))
    outputs = get_outputs.sync(dag_id, run.run_id, client=client)
    assert outputs is not None and not isinstance(outputs, Failure)
    files = list_files.sync(dag_id, run.run_id, client=client)
    assert isinstance(files, list)
    content = get_file.sync(dag_id, run.run_id, files[0].path, client=client)
    assert isinstance(content, File), content
    long = started(client, dag_id, {**job, "seconds": 3600})
    stopped = stop_run.sync(dag_id, long, client=client, body=Stop())
    assert isinstance(stopped, StopReport), stopped
    last = get_run.sync(dag_id, long, client=client)
    assert isinstance(last, Run)
    told = {"state": run.state, "words": content.payload.read().decode().strip(), "stopped": last.shown_state}
    print(json.dumps({**told, "outputs": sorted(outputs.to_dict())}))


def sent(client: AuthenticatedClient) -> str:
    begun = start_partial_input.sync(client=client, name="text.txt", size=len(WORDS))
    assert isinstance(begun, PartialInput), begun
    offset = 0
    while offset < len(WORDS):
        part = File(payload=io.BytesIO(WORDS[offset : offset + 10]))
        begun = send_part.sync(begun.id, client=client, body=part, offset=offset)
        assert isinstance(begun, PartialInput), begun
        offset = begun.received
    assert begun.file, begun
    return begun.file.location


def started(client: AuthenticatedClient, dag_id: str, job: dict[str, object]) -> str:
    run = trigger_run.sync(dag_id, client=client, body=TriggerRunBody.from_dict({"job": job}))
    assert isinstance(run, RunSummary), run
    return run.run_id


def ended(client: AuthenticatedClient, dag_id: str, run_id: str) -> Run:
    while True:
        run = get_run.sync(dag_id, run_id, client=client)
        assert isinstance(run, Run), run
        if run.state in (RunState.SUCCESS, RunState.FAILED):
            return run
        time.sleep(0.2)


if __name__ == "__main__":
    main(*sys.argv[1:])
