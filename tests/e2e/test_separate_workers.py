"""Two Celery workers that share no folder with anything: tasks run there, and what controls them goes by HTTP."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support import tagged
from support.airflow_server import wait_for
from support.families import DOCUMENT, VICTIMS, Family, Victims, stopped_side_by_side, task_process
from support.separate_workers import BUCKET, NAMES, SeparateWorkers

pytestmark = pytest.mark.e2e
RUNS = "/cwl/api/v1/workflows/{}/runs"
ECHO = """
      class: CommandLineTool
      requirements: {InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: "hostname >&2; echo to stderr >&2; echo $(inputs.text)"
      inputs: {text: string}
      stdout: said.txt
      outputs:
        said:
          type: string
          outputBinding: {glob: said.txt, loadContents: true, outputEval: "$(self[0].contents.trim())"}
"""
SAY = f"""
cwlVersion: v1.2
class: Workflow
requirements: {{InlineJavascriptRequirement: {{}}, StepInputExpressionRequirement: {{}}}}
inputs: {{text: string}}
outputs: {{said: {{type: string, outputSource: again/said}}}}
steps:
  say:
    run: {ECHO}
    in: {{text: text}}
    out: [said]
  again:
    run: {ECHO}
    in: {{text: {{source: say/said, valueFrom: "$(self) again"}}}}
    out: [said]
"""
FILES = """
cwlVersion: v1.2
class: Workflow
requirements: {InlineJavascriptRequirement: {}}
inputs: {text: string}
outputs: {joined: {type: string, outputSource: join_on_b/joined}}
steps:
  make_on_a:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: "mkdir -p out/deep; hostname > out/deep/host; echo $(inputs.text) > text; echo beside > text.idx"
      inputs: {text: string}
      outputs:
        made: {type: File, outputBinding: {glob: text}, secondaryFiles: [.idx]}
        out: {type: Directory, outputBinding: {glob: out}}
    in: {text: text}
    out: [made, out]
  join_on_b:
    run:
      class: CommandLineTool
      requirements: {InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: "cat $(inputs.text.path) $(inputs.text.path).idx $(inputs.out.path)/deep/host; hostname"
      inputs: {text: {type: File, secondaryFiles: [.idx]}, out: Directory}
      stdout: joined
      outputs:
        joined:
          type: string
          outputBinding: {glob: joined, loadContents: true, outputEval: "$(self[0].contents)"}
    in: {text: make_on_a/made, out: make_on_a/out}
    out: [joined]
"""
MENDED = FILES.replace("hostname > out/deep/host", "od -An -N8 -tx1 /dev/urandom > out/deep/host")
BROKEN = MENDED.replace('valueFrom: "cat $(inputs.text.path) ', 'valueFrom: "exit 3; cat $(inputs.text.path) ')
MEASURE = """
    run:
      class: CommandLineTool
      requirements:
        InlineJavascriptRequirement: {}
        InitialWorkDirRequirement: {listing: [{entryname: key.txt, entry: $(inputs.password)}]}
      baseCommand: [wc, -c, key.txt]
      inputs: {password: string}
      stdout: length
      outputs:
        length:
          type: string
          outputBinding: {glob: length, loadContents: true, outputEval: "$(self[0].contents.split(' ')[0])"}
    in: {password: password}
    out: [length]
"""
SECRET = f"""
cwlVersion: v1.2
$namespaces: {{cwltool: "http://commonwl.org/cwltool#"}}
class: Workflow
hints: {{"cwltool:Secrets": {{secrets: [password]}}}}
requirements: {{InlineJavascriptRequirement: {{}}, MultipleInputFeatureRequirement: {{}}}}
inputs: {{password: string}}
outputs: {{lengths: {{type: "string[]", outputSource: [measure_on_a/length, measure_on_b/length]}}}}
steps:
  measure_on_a: {MEASURE}
  measure_on_b: {MEASURE}
"""
SLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {ShellCommandRequirement: {}}
inputs: {gate: string}
outputs: []
steps:
  slow:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments:
        - shellQuote: false
          valueFrom: "echo first >&2; until test -e $(inputs.gate); do sleep 0.1; done; echo last >&2"
      inputs: {gate: string}
      outputs: []
    in: {gate: gate}
    out: []
"""


@pytest.fixture
def client(separate: SeparateWorkers) -> Iterator[httpx.Client]:
    with separate.server.client() as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def uploaded(separate: SeparateWorkers, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("separate")
    for name, text in (("say", SAY), ("files", FILES), ("slow", SLOW), ("family", DOCUMENT), ("secret", SECRET)):
        (folder / f"{name}.cwl").write_text(text)
        separate.server.command("upload", folder / f"{name}.cwl")


def start(client: httpx.Client, dag_id: str, run_id: str, **job: object) -> None:
    client.post(RUNS.format(dag_id), json={"run_id": run_id, "job": job}).raise_for_status()


@pytest.fixture(scope="module")
def ran(separate: SeparateWorkers, uploaded: None) -> dict[str, dict[str, Any]]:
    """The runs of the workflows that end by themselves, which have run side by side."""
    names = ("say", "files")
    with separate.server.client() as client:
        for name in names:
            start(client, name, "r", text="word")
        return {name: separate.server.wait_for_run(client, name, "r") for name in names}


@pytest.fixture(scope="module")
def stopped(separate: SeparateWorkers, uploaded: None) -> dict[Victims, Future[Family]]:
    """Families that were stopped after processes of their tasks were killed."""
    return stopped_side_by_side(separate.server, "family", VICTIMS)


def server_leases(separate: SeparateWorkers, dag_id: str, run_id: str) -> list[dict[str, object]]:
    """What the API server has of leases of a run."""
    folder = separate.server.home / "cwl" / "tmp" / ".control" / "runs" / dag_id / run_id
    return [json.loads(path.read_text()) for path in folder.glob("*.lease")]


def stderr_of(client: httpx.Client, dag_id: str, run_id: str, task_id: str) -> str:
    answer = client.get(f"{RUNS.format(dag_id)}/{run_id}/logs/{task_id}/-1/1/stderr")
    return answer.text if answer.status_code == 200 else ""


def agents(separate: SeparateWorkers) -> list[psutil.Process]:
    """The agents of the workers, one on each machine."""
    found = []
    for process in psutil.process_iter():
        try:
            if "cwl_ui_plugin.dags.relaying.agent" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_the_workers_see_nothing_of_the_servers_folders(separate: SeparateWorkers) -> None:
    assert (separate.folder / "home").is_dir()
    for worker in separate.workers.values():
        assert sorted(path.name for path in worker.path().parent.parent.iterdir()) == ["machines"]
        assert [path.name for path in worker.path().parent.iterdir()] == [worker.name]


def test_a_workflow_without_files_runs(
    separate: SeparateWorkers, client: httpx.Client, ran: dict[str, dict[str, Any]]
) -> None:
    run = ran["say"]
    assert run["state"] == "success", run["error"]
    assert run["outputs"] == {"said": "word again"}
    printed = stderr_of(client, "say", "r", "again")
    assert printed.splitlines()[0] in NAMES
    assert "to stderr" in printed
    assert server_leases(separate, "say", "r") == []


def test_files_go_from_the_one_worker_to_the_other(ran: dict[str, dict[str, Any]]) -> None:
    run = ran["files"]
    assert run["state"] == "success", run["error"]
    assert run["outputs"]["joined"].split() == ["word", "beside", *NAMES]


def test_tasks_of_all_machines_have_the_secrets_of_their_run_and_no_store_has(
    separate: SeparateWorkers, client: httpx.Client
) -> None:
    secret = "open sesame"
    start(client, "secret", "r", password=secret)
    run = separate.server.wait_for_run(client, "secret", "r")
    assert (run["state"], run["outputs"]) == ("success", {"lengths": [str(len(secret))] * 2}), run["error"]
    for task in ("CWLJobDispatcher", "measure_on_a", "measure_on_b"):
        address = f"/api/v2/dags/secret/dagRuns/r/taskInstances/{task}/xcomEntries/return_value"
        assert secret not in client.get(address).raise_for_status().text
    listed = separate.store.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    bodies = [separate.store.client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in listed]
    assert not [body for body in bodies if secret.encode() in body]


def test_a_mended_run_takes_over_what_the_failed_one_has_made_on_whichever_machine(
    separate: SeparateWorkers, client: httpx.Client, tmp_path: Path
) -> None:
    document = tmp_path / "goes_on.cwl"
    document.write_text(BROKEN)
    separate.server.command("upload", document)
    start(client, "goes_on", "broken", text="word")
    assert separate.server.wait_for_run(client, "goes_on", "broken")["state"] == "failed"
    document.write_text(MENDED)
    separate.server.command("upload", document, "--replace")
    address = f"{RUNS.format('goes_on')}/broken/fix"
    foreseen = client.get(address).raise_for_status().json()["steps"]
    assert {step["task_id"]: step["outcome"] for step in foreseen} == {"make_on_a": "taken", "join_on_b": "again"}
    begun = client.post(address, json={}).raise_for_status().json()
    run = separate.server.wait_for_run(client, "goes_on", begun["run_id"])
    assert run["state"] == "success", run["error"]
    assert [step["task_id"] for step in run["steps"] if step["taken_over"]] == ["make_on_a"]


def test_what_a_command_prints_is_shown_while_it_runs(separate: SeparateWorkers, client: httpx.Client) -> None:
    start(client, "slow", "live", gate="/tmp/never-there")
    wait_for(lambda: "first" in stderr_of(client, "slow", "live", "slow"), 180, "the first line of the log")
    (lease,) = server_leases(separate, "slow", "live")
    assert lease["host"] in NAMES
    assert client.post(f"{RUNS.format('slow')}/live/stop", json={}).status_code == 200
    assert tagged.find("slow/live") == []


@pytest.mark.parametrize("victims", VICTIMS, ids="-".join)
def test_nothing_of_a_stubborn_step_is_left(
    separate: SeparateWorkers, client: httpx.Client, stopped: dict[Victims, Future[Family]], victims: Victims
) -> None:
    family = stopped[victims].result()
    assert separate.server.wait_for_run(client, "family", family.run_id)["state"] == "failed"
    assert server_leases(separate, "family", family.run_id) == []


def test_a_stop_is_proven_though_the_agent_was_killed(separate: SeparateWorkers, client: httpx.Client) -> None:
    family = Family("family").start(client)
    for agent in agents(separate):
        agent.kill()
    answer = family.stop(client)
    assert answer.status_code == 200, answer.text
    assert family.marked() == []
    assert server_leases(separate, "family", family.run_id) == []


def test_a_task_goes_on_while_the_api_server_is_away(separate: SeparateWorkers, client: httpx.Client) -> None:
    gate = f"{separate.folder}/machines/gate"
    start(client, "slow", "away", gate=gate)
    wait_for(lambda: "first" in stderr_of(client, "slow", "away", "slow"), 180, "the first line of the log")
    separate.kill_api_server()
    for worker in separate.workers.values():
        (worker.path().parent / "gate").touch()
    wait_for(lambda: tagged.find("slow/away") == [], 60, "the end of the command")
    separate.start_api_server()
    with separate.server.client() as again:
        run = separate.server.wait_for_run(again, "slow", "away")
        assert run["state"] == "success", run["error"]
        assert "last" in stderr_of(again, "slow", "away", "slow")
    assert server_leases(separate, "slow", "away") == []


def test_a_worker_that_is_cut_off_is_named_by_a_stop(separate: SeparateWorkers, client: httpx.Client) -> None:
    family = Family("family").start(client)
    frozen = [*agents(separate), task_process(f"family/{family.run_id}").parent()]
    for process in frozen:
        if process:
            os.kill(process.pid, signal.SIGSTOP)
    try:
        answer = family.stop(client)
        assert answer.status_code == 504, answer.text
        assert any(name in answer.text for name in NAMES)
    finally:
        for process in frozen:
            if process:
                os.kill(process.pid, signal.SIGCONT)
    assert family.stop(client).status_code == 200
    assert family.marked() == []


def test_a_worker_that_was_killed_does_not_keep_others_from_work(
    separate: SeparateWorkers, client: httpx.Client
) -> None:
    separate.kill_worker(NAMES[0])
    start(client, "say", "one-is-gone", text="still")
    run = separate.server.wait_for_run(client, "say", "one-is-gone")
    assert (run["state"], run["outputs"]) == ("success", {"said": "still again"})
    separate.start_worker(NAMES[0])
