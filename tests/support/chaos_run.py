"""Airflow, a receiver, and what kills them while runs go on; afterwards nothing may be missing, nothing wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import chaos_facts, moody_receiver, tagged
from support.airflow_server import START_SECONDS, Server, wait_for
from support.chaos_facts import Truth, Verdict
from support.scale_out import free_port, postgresql

from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.home import Home
from cwl_ui_plugin.signing.keys import generate_key_pair

DATABASES = ("SQLite", "PostgreSQL")
CHAIN, SCATTERED = "chaos-chain", "chaos-scattered"
AIRFLOW = str(Path(sys.executable).with_name("airflow"))
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
    "AIRFLOW__CWL__RETRIES": "8",
    "AIRFLOW__CWL__RETRY_DELAY": "1",
    "AIRFLOW__CWL__CONTAINER_ENGINE": "none",
}
_STEP = """
  {name}:
    run:
      class: CommandLineTool
      requirements: {{ShellCommandRequirement: {{}}}}
      arguments: [{{shellQuote: false, valueFrom: "{command}"}}]
      inputs: {{text: string}}
      outputs: {{out: {{type: string, outputBinding: {{outputEval: "$(inputs.text)"}}}}}}
    in: {{text: {source}}}
    out: [out]
"""
_HEADER = "cwlVersion: v1.2\nclass: Workflow\nrequirements: {{StepInputExpressionRequirement: {{}}, {more}}}\n"
CHAIN_DOCUMENT = (
    _HEADER.format(more="MultipleInputFeatureRequirement: {}")
    + "inputs: {text: string, all: boolean, code: int}\noutputs: {out: {type: string, outputSource: fifth/out}}\nsteps:"
    + _STEP.format(name="first", command="sleep 1", source="text")
    + _STEP.format(name="second", command="true", source="first/out").replace(
        "in: {text: first/out}", "when: $(inputs.all)\n    in: {text: first/out, all: all}"
    )
    + _STEP.format(name="third", command="exit $(inputs.code)", source="first/out")
    .replace("in: {text: first/out}", "in: {text: first/out, code: code}")
    .replace("inputs: {text: string}", "inputs: {text: string, code: int}")
    + _STEP.format(name="fourth", command="sleep 1", source="third/out")
    + _STEP.format(name="fifth", command="true", source="fourth/out")
)
SCATTERED_DOCUMENT = (
    _HEADER.format(more="ScatterFeatureRequirement: {}")
    + 'inputs: {texts: "string[]"}\noutputs: {out: {type: "string[]", outputSource: many/out}}\nsteps:'
    + _STEP.format(name="many", command="sleep 1", source="texts").replace("    in:", "    scatter: text\n    in:")
)
DOCUMENTS = {CHAIN: CHAIN_DOCUMENT, SCATTERED: SCATTERED_DOCUMENT}


@dataclass
class Site:
    """All that runs: Airflow's components, the receiver, and what was done to them."""

    components: Components
    server: Server
    database: str
    folder: Path
    commands: dict[str, list[str]]
    killed: Counter[str] = field(default_factory=Counter)
    moods: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    documents: dict[str, str] = field(default_factory=lambda: dict(DOCUMENTS))
    """The workflows that run, by dag_id."""

    def truth(self) -> dict[str, Truth]:
        """What Airflow's database says of their runs."""
        return chaos_facts.read_truth(self.database, tuple(self.documents))

    @property
    def record(self) -> Path:
        """What the receiver took."""
        return self.folder / "received.jsonl"

    def set_mood(self, mood: str) -> None:
        beside = self.folder / "mood.new"
        beside.write_text(mood)
        beside.replace(self.folder / "mood")
        self.moods[mood] += mood != moody_receiver.OK

    def start(self, *names: str) -> None:
        for name in names:
            self.components.start(name, self.commands[name])

    def kill(self, name: str) -> None:
        """Kill a component and all that it started, as a machine that loses its power does."""
        process = self.components._running[name].process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.killed[name] += 1

    def kill_task(self) -> None:
        """Kill the process of a task while its command runs."""
        for process in tagged.find(CHAIN):
            with contextlib.suppress(ProcessLookupError, ValueError, OSError):
                lease = self._lease(process.tag)
                os.kill(lease, signal.SIGKILL)
                self.killed["task"] += 1
                return

    def _lease(self, mark: str) -> int:
        _installation, dag_id, run_id, task_id, map_index, number = mark.split("/")
        path = self.server.home / "cwl/tmp/.control/runs" / dag_id / run_id / f"{task_id}.{map_index}.{number}.lease"
        return int(json.loads(path.read_text())["pid"])

    def wait_for_api(self) -> None:
        wait_for(self._answers, START_SECONDS, f"the API server (see {self.components.logs})")

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            return bool(httpx.get(f"{self.server.url}/cwl/api/v1/health", trust_env=False).json().get("ready"))
        time.sleep(0.2)
        return False

    def call(
        self, method: str, path: str, good: tuple[int, ...] = (200, 201, 204, 409), **kwargs: Any
    ) -> httpx.Response:
        """Call the API, again while the server is away or its database is busy; return the answer."""

        def answered() -> httpx.Response | None:
            with contextlib.suppress(httpx.HTTPError):
                answer = self.client.request(method, path, **kwargs)
                if answer.status_code in good:
                    return answer
                if answer.status_code in (400, 401, 403, 422):
                    pytest.fail(f"{method} {path}: {answer.status_code} {answer.text}")
            return None

        return wait_for(answered, 120, f"{method} {path}")

    @cached_property
    def client(self) -> httpx.Client:
        return self.server.client()


@contextmanager
def site(folder: Path, database: str) -> Iterator[Site]:
    """Start Airflow on a database, and a receiver that it reports to, signed."""
    home = Home(folder / "home", "simple")
    port = free_port()
    with _database(folder, database) as url:
        environment = {**home.prepare("127.0.0.1", port, []), **SETTINGS}
        if url:
            environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = url
        url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        components = Components(home.logs, environment)
        server = Server(f"http://127.0.0.1:{port}", home.user, home.password, os.getpid(), home.folder, "simple")
        commands = {
            "api-server": [AIRFLOW, "api-server", "--host", "127.0.0.1", "--port", str(port)],
            "scheduler": [AIRFLOW, "scheduler"],
            "dag-processor": [AIRFLOW, "dag-processor"],
        }
        made = Site(components, server, url, folder, commands)
        try:
            components.finish("migrate", [sys.executable, "-m", "cwl_ui_plugin.cli.migrate", "simple"], lambda: False)
            made.start(*commands)
            made.wait_for_api()
            take_reports(made)
            yield made
        finally:
            components.stop()


@contextmanager
def _database(folder: Path, name: str) -> Iterator[str | None]:
    if name == "SQLite":
        yield None
        return
    with postgresql(folder / "postgresql") as address:
        yield f"postgresql+psycopg2://{address}"


def take_reports(made: Site) -> None:
    """Start a receiver, have Airflow report to it, signed, and upload the workflows."""
    port, pair, public_key = free_port(), generate_key_pair("RS256"), made.folder / "key.pub"
    public_key.write_text(pair.public)
    made.set_mood(moody_receiver.OK)
    made.record.touch()
    command = [sys.executable, moody_receiver.__file__, "--port", str(port), "--record", str(made.record)]
    made.commands["receiver"] = [*command, "--mood", str(made.folder / "mood"), "--public-key", str(public_key)]
    made.start("receiver")
    _configure(made, port, pair.private)


def _configure(made: Site, port: int, private_key: str) -> None:
    connection = {
        "connection_id": "process_report",
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": port,
        "schema": "http",
        "extra": '{"endpoint": "satellite/v1/", "timeout": 3}',
    }
    made.call("POST", "/api/v2/connections", json=connection)
    made.call("POST", "/api/v2/variables", json={"key": "process_report_private_key", "value": private_key})
    for name, document in made.documents.items():
        made.call("POST", "/cwl/api/v1/workflows", files={"files": (f"{name}.cwl", document.encode())})


def start_runs(made: Site, runs: int, first: int = 0) -> list[tuple[str, str]]:
    """Start runs: most are chains of five steps; some skip one, some fail, some are scattered."""
    started = []
    for number in range(first, first + runs):
        run_id = f"run{number:03d}"
        is_scattered = number % 8 == 7
        job: dict[str, Any] = {"text": "x", "all": number % 3 > 0, "code": int(is_to_fail(number))}
        job = {"texts": ["a", "b", "c"]} if is_scattered else job
        dag_id = SCATTERED if is_scattered else CHAIN
        made.call("POST", f"/cwl/api/v1/workflows/{dag_id}/runs", json={"run_id": run_id, "job": job})
        started.append((dag_id, run_id))
    return started


def is_to_fail(number: int) -> bool:
    """Whether a step of that run ends with 1, each time."""
    return number % 10 == 6


def by_hand(made: Site, runs: list[tuple[str, str]]) -> None:
    """Do to some runs what users do: set failed, set success, stop, delete in flight, in both ways that there are."""
    for (dag_id, run_id), action in zip([run for run in runs if run[0] == CHAIN], _BY_HAND, strict=False):
        wait_for(partial(_is_running, made, _native(dag_id, run_id)), 240, f"the start of {run_id}")
        action(made, dag_id, run_id)


def _is_running(made: Site, path: str) -> bool:
    """Whether a run has begun: tasks of one that has not would be set to skipped."""
    tasks = made.call("GET", f"{path}/taskInstances").json()["task_instances"]
    return any(task["task_id"] == "first" and task["state"] in ("running", *chaos_facts.ENDS) for task in tasks)


def _native(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"


def _set(state: str) -> Callable[[Site, str, str], None]:
    def action(made: Site, dag_id: str, run_id: str) -> None:
        made.call("PATCH", _native(dag_id, run_id), json={"state": state})

    return action


def _delete(made: Site, dag_id: str, run_id: str) -> None:
    made.call("PATCH", _native(dag_id, run_id), json={"state": "failed"})
    made.call("DELETE", _native(dag_id, run_id), good=(204, 404))
    made.deleted.add(run_id)


def _stop(made: Site, dag_id: str, run_id: str, *, remove: bool = False) -> None:
    path = f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/stop"
    made.call("POST", path, good=(200, 404), json={"remove": remove})  # one that is not proven yet is asked for again


def _remove(made: Site, dag_id: str, run_id: str) -> None:
    _stop(made, dag_id, run_id, remove=True)
    made.deleted.add(run_id)


_BY_HAND = (_set("failed"), _delete, _stop, _remove, _set("success"))


def clear_some(made: Site, runs: list[tuple[str, str]], count: int) -> None:
    """Clear a task, and what depends on it, of some runs that have ended, so that they run again.

    Not before the receiver knows that they have ended: an end that is undone at once is nobody's to tell.
    """
    wait_for(lambda: _ends_are_told(made), 120, "the reports of the ends")
    for dag_id, run_id in [run for run in runs if run[0] == CHAIN and run[1] not in made.deleted][-count:]:
        body = {"dag_run_id": run_id, "task_ids": ["fourth"], "include_downstream": True, "dry_run": False}
        made.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json={**body, "only_failed": False})


def _ends_are_told(made: Site) -> bool:
    received = chaos_facts.read_received(made.record)
    told = {
        run_id
        for run_id, entries in received.items()
        if any(entry["route"] == "progress" and entry["payload"]["state"] in chaos_facts.RUN_ENDS for entry in entries)
    }
    return set(made.truth()) <= told


def wait_for_ends(made: Site, seconds: float = 900) -> None:
    """Wait until all runs have ended; fail saying what the others do."""
    deadline = time.monotonic() + seconds
    while going_on := _going_on(made):
        if time.monotonic() > deadline:
            pytest.fail(f"{len(going_on)} runs have not ended within {seconds} seconds: {going_on}")
        time.sleep(0.5)


def _going_on(made: Site) -> dict[str, list[str]]:
    """Return the states of the tasks of runs that have not ended."""
    return {
        run_id: [f"{row.task_id} {row.try_number}: {row.state}" for row in run.tries.values()]
        for run_id, run in made.truth().items()
        if run.state not in chaos_facts.RUN_ENDS
    }


def judged(made: Site, seconds: float = 300) -> Verdict:
    """Wait until the receiver has all, and compare."""
    made.set_mood(moody_receiver.OK)
    found: list[Verdict] = []

    def is_whole() -> bool:
        found[:] = [chaos_facts.judge(made.truth(), chaos_facts.read_received(made.record), made.deleted)]
        time.sleep(1)
        return not found[0].faults and made.call("GET", "/cwl/api/v1/reports").json()["waiting"] == 0

    deadline = time.monotonic() + seconds
    while not is_whole() and time.monotonic() < deadline:
        pass
    return found[0]
