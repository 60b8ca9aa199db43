"""CWL runs on a real Slurm of two nodes; Airflow has a LocalExecutor for what helps, and Slurm for steps."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from conformance import own_runner, run_suite
from support import tagged
from support.airflow_server import wait_for
from support.families import DOCUMENT, Family
from support.slurm import NODES, PARALLELISM, Site, slurm_site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SUITE = Path(__file__).resolve().parents[1] / "conformance" / "conformance_tests.yaml"
CONFORMANCE = "stdinout_redirect,resreq_step_overrides_wf"
ELEMENTS = int(os.environ.get("SLURM_ELEMENTS", "20"))
"""Of the scatter; more where there is time."""
RULES = json.dumps(
    [
        {"when": {"dag_id": "refused"}, "set": {"slurm_partition": "nowhere", "executor": "SlurmExecutor"}},
        {"when": {"dag_id": "alone"}, "set": {"executor": "SlurmExecutor"}},
        {"when": {"step": "*"}, "set": {"executor": "SlurmExecutor"}},
    ]
)
ECHO = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, hello]
requirements: {ResourceRequirement: {coresMin: 2, ramMin: 300}}
inputs: {}
outputs: {said: stdout}
stdout: said.txt
"""
GATE = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'echo begun >> "$0"; until test -e "$0.open"; do sleep 0.2; done']
inputs: {place: {type: string, inputBinding: {}}}
outputs: {}
"""
HUNGRY = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: "true"
requirements: {ResourceRequirement: {ramMin: 900000}}
inputs: {}
outputs: {}
"""
SCATTER = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {texts: "string[]"}
outputs: {all: {type: "File[]", outputSource: say/out}}
steps:
  say:
    run:
      class: CommandLineTool
      baseCommand: [echo]
      inputs: {t: {type: string, inputBinding: {}}}
      outputs: {out: stdout}
    scatter: t
    in: {t: texts}
    out: [out]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = {
        "AIRFLOW__CWL__RETRIES": "1",
        "AIRFLOW__CWL__RETRY_DELAY": "1",
        "AIRFLOW__CWL__STOP_GRACE": "2",
        "AIRFLOW__CWL__SLURM_EXTRA_RAM": "100",
        "AIRFLOW__CWL__SCATTER_MAX_TASKS": str(ELEMENTS // 2),
    }
    with slurm_site(tmp_path_factory.mktemp("site"), RULES, **settings) as made:
        yield made


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.server.client() as opened:
        yield opened


def start(site: Site, client: httpx.Client, folder: Path, dag_id: str, text: str, job: dict[str, Any]) -> None:
    document = folder / f"{dag_id}.cwl"
    document.write_text(text)
    site.server.command("upload", document)
    body = {"run_id": "r", "job": job}
    client.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json=body).raise_for_status()


def ends(client: httpx.Client, dag_id: str) -> list[str]:
    """Return what the executor has said of jobs that did not succeed."""
    found = client.get("/api/v2/eventLogs", params={"dag_id": dag_id, "event": "state mismatch"})
    return [entry["extra"].partition("Extra info: ")[2] for entry in found.json()["event_logs"]]


def begun(site: Site, client: httpx.Client, folder: Path, dag_id: str) -> tuple[str, str, Path]:
    """Start a command that waits; return its job, its node and its file, once it waits."""
    place = folder / "gate"
    start(site, client, folder, dag_id, GATE, {"place": str(place)})
    wait_for(place.exists, 300, "the command")
    job, _state, node = site.jobs(dag_id, "running")[-1]
    return job, node, place


def test_a_run_whose_tasks_are_all_jobs(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    start(site, client, tmp_path, "alone", ECHO, {})
    run = site.server.wait_for_run(client, "alone", "r")
    assert run["state"] == "success", run
    assert Path(run["outputs"]["said"]["path"]).read_text() == "hello\n"
    options = ["--noheader", "--states=all", "--format=%j|%C|%m|%k"]
    jobs = {row.split("|")[0]: row.split("|")[1:] for row in site.slurm.run("squeue", *options).splitlines()}
    assert set(jobs) == {"alone.CWLJobDispatcher", "alone.alone", "alone.CWLJobGatherer"}
    assert jobs["alone.alone"][:2] == ["2", "400M"]
    assert "alone r alone try 1" in jobs["alone.alone"][2]
    # What Slurm keeps of jobs has no token, and none of the site's secrets.
    secrets = json.loads((site.server.home / "secrets.json").read_text())
    kept = b"".join(path.read_bytes() for path in (site.slurm.folder / "state").rglob("*") if path.is_file())
    assert b"cwl_ui_plugin.executors.node" in kept
    assert not [name for name in ("fernet_key", "jwt_secret", "secret_key") if secrets[name].encode() in kept]
    assert b"eyJ" not in kept
    # The files of jobs that have ended are gone.
    spool = site.server.home / "cwl" / "tmp" / ".control" / "slurm"
    wait_for(lambda: not list((spool / "jobs").iterdir()), 300, "the removal of what jobs needed")
    assert {path.stat().st_mode & 0o777 for path in (spool / "environments").iterdir()} == {0o600}


def test_conformance_tests_pass(site: Site, tmp_path: Path) -> None:
    results = run_suite(SUITE, own_runner(tmp_path), tmp_path, jobs=2, only=CONFORMANCE, server=site.server)
    assert results == dict.fromkeys(CONFORMANCE.split(","), "passed")


def test_the_elements_of_a_scatter_are_arrays(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    start(site, client, tmp_path, "many", SCATTER, {"texts": [f"t{number}" for number in range(ELEMENTS)]})
    run = site.server.wait_for_run(client, "many", "r", 120 + 20 * ELEMENTS)
    assert run["state"] == "success", run
    assert [Path(one["path"]).read_text() for one in run["outputs"]["all"]] == [f"t{n}\n" for n in range(ELEMENTS)]
    numbers = {number for number, _state, _node in site.jobs("many")}
    # Batches of elements, for all places twice at most: none is lost, none twice.
    assert len(numbers) == min(ELEMENTS // 2, 2 * PARALLELISM)
    assert len({number.split("_")[0] for number in numbers}) <= 1 + ELEMENTS // 8


def test_a_stop_ends_a_stubborn_family(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "family.cwl").write_text(DOCUMENT)
    site.server.command("upload", tmp_path / "family.cwl")
    family = Family("family").start(client)
    answer = family.stop(client)
    assert answer.status_code == 200, answer.text
    assert (family.marked(), family.living()) == ([], [])
    wait_for(lambda: not site.jobs("family", "pending,running,completing"), 300, "the end of its jobs")


def test_what_waits_says_why_and_is_cancelled_by_a_stop(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    for node in NODES:
        site.slurm.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=tests")
    try:
        start(site, client, tmp_path, "drained", ECHO, {})

        def told() -> str:
            waits: dict[str, str] = client.get("/cwl/api/v1/workflows/drained/runs/r").json()["waiting_tasks"]
            return waits.get("drained", "")

        wait_for(lambda: "down, drained or reserved" in told(), 300, "the reason")
        assert told().startswith("Slurm job ")
        answer = client.post("/cwl/api/v1/workflows/drained/runs/r/stop", json={})
        assert answer.status_code == 200, answer.text
        wait_for(lambda: {state for _, state, _ in site.jobs("drained")} == {"CANCELLED"}, 300, "its end")
    finally:
        for node in NODES:
            site.slurm.run("scontrol", "update", f"nodename={node}", "state=resume")
    wait_for(site.slurm.is_ready, 300, "the nodes")


@pytest.mark.parametrize(
    ("dag_id", "text", "told"),
    [
        (
            "hungry",
            HUNGRY,
            "It asks for 900100 MiB of memory, and no node of the partition all has more than 8000 MiB.",
        ),
        ("refused", ECHO, "invalid partition specified: nowhere"),
    ],
)
def test_what_can_never_begin_fails_at_once(
    site: Site, client: httpx.Client, tmp_path: Path, dag_id: str, text: str, told: str
) -> None:
    start(site, client, tmp_path, dag_id, text, {})
    run = site.server.wait_for_run(client, dag_id, "r", 300)
    assert run["state"] == "failed", run
    assert told in next(step["error"] for step in run["steps"] if step["error"])
    assert len(ends(client, dag_id)) == 2  # it was tried again, as Airflow's rules say


def test_scheduler_and_daemons_are_killed_and_the_job_goes_on(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    job, node, place = begun(site, client, tmp_path, "killed")
    site.slurm.save(job)
    site.slurm.kill("slurmctld")
    site.slurm.kill(node)
    site.restart_scheduler()
    log = site.components.logs / "scheduler.log"
    wait_for(lambda: "taken over unseen" in log.read_text(), 300, "the adoption while Slurm does not answer")
    site.slurm.start(node)
    site.slurm.start("slurmctld")
    wait_for(site.slurm.is_ready, 300, "Slurm")
    site.restart_scheduler()
    wait_for(lambda: log.read_text().count("Adopting or resetting orphaned tasks") >= 3, 300, "another scheduler")
    Path(f"{place}.open").touch()
    run = site.server.wait_for_run(client, "killed", "r")
    assert run["state"] == "success", run
    assert place.read_text() == "begun\n"
    assert [number for number, _state, _node in site.jobs("killed")] == [job]
    assert ends(client, "killed") == []


def test_a_node_that_dies_is_told_of_and_the_step_runs_on_another(
    site: Site, client: httpx.Client, tmp_path: Path
) -> None:
    job, node, place = begun(site, client, tmp_path, "died")
    site.slurm.kill(node)
    for process in _processes_of_job(job):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    try:
        again = wait_for(
            lambda: [row for row in site.jobs("died", "running") if row[0] != job], 300, "the job of the next try"
        )
        assert [row[2] for row in again] != [node]
        Path(f"{place}.open").touch()
        run = site.server.wait_for_run(client, "died", "r", 300)
        assert run["state"] == "success", run
        assert f"Slurm has ended job {job} on {node} as NODE_FAIL" in ends(client, "died")[0]
    finally:
        site.slurm.start(node)
    wait_for(site.slurm.is_ready, 300, "the node")
    assert tagged.find("died/r") == []


def _processes_of_job(job: str) -> list[psutil.Process]:
    """Return all processes of a job, that which watches it for Slurm first."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if words.startswith(f"slurmstepd: [{job}.") or process.environ().get("SLURM_JOB_ID") == job:
                found += [process, *process.children(recursive=True)]
    return found
