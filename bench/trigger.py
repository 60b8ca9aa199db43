"""Triggering: the command line against Airflow's own, and the throughput of the predecessors' endpoint."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import common
import httpx
import servers
from common import median, percentile, say, seconds

from cwl_ui_plugin.signing.keys import generate_key_pair
from cwl_ui_plugin.signing.triggers import sign_trigger

CTL = "apache-airflow-ctl"
LEAST = 20
PAUSED = "paused"
ALGORITHM = "RS256"
CLIENTS = (1, 16)
MANY_WORKERS = 4
MANY_REQUESTS = 3
"""How many times as many triggers are sent to several workers."""
LEAST_PER_SECOND = 100
MAX_SECONDS = 1.0
PAGE = "/pluginsv2/cwl/runs"
CONF = json.dumps({"job": {}})


def main() -> None:
    options = common.options(__doc__, requests=(400, "triggers of each measurement of the endpoint"))
    commands: list[list[str]] = []
    throughput: list[list[str]] = []
    for database in servers.DATABASES:
        # The Dag is paused, so that its runs stay queued and the executor does not disturb.
        dag = {"paused.py": servers.EMPTY_DAG.format(dag_id=PAUSED, tasks=1, paused=True)}
        with servers.airflow(database, dag) as airflow:
            airflow.wait_for_dag(PAUSED)
            if not commands:
                commands = _commands(airflow, options.repeat)
            throughput += _throughput(airflow, database, options.requests)
            if database == "SQLite":
                throughput += [_with_page(airflow, database, options.requests)]
    with servers.airflow("PostgreSQL", dag, api_workers=MANY_WORKERS) as airflow:
        airflow.wait_for_dag(PAUSED)
        throughput += [_by_many_workers(airflow, options.requests * MANY_REQUESTS)]
    text = (
        "Triggering one run from the command line, on SQLite. `airflow dags trigger` talks to the database, the two "
        f"others to the API server. Target: at least {LEAST} x faster than both; for `airflowctl` that would be less "
        "than what Python itself takes to start here (some 60 ms).\n\n"
        + common.table(["command", "wall time", "`cwl-ui-plugin trigger` is faster"], commands)
        + "\n\n`POST /api/experimental/dags/{dag_id}/dag_runs` of a paused Dag (its runs stay queued, so no task "
        f"disturbs), one API server process unless the row says more, {options.requests} triggers each, once; signed "
        f"ones with {ALGORITHM} (2048 bits, signed before the clock starts), unsigned ones with a bearer token. Targets"
        f" of the signed ones of 16 clients: a p99 under {MAX_SECONDS:.0f} s on SQLite, {LEAST_PER_SECOND} runs per "
        f"second with {MANY_WORKERS} workers on PostgreSQL, and a page that comes within {MAX_SECONDS:.0f} s meanwhile."
        "\n\n" + common.table(["", "clients", "runs per second", "p50", "p95", "p99"], throughput)
    )
    common.write_section(options.page, "trigger", text, options.repeat)


def _commands(airflow: servers.Airflow, repeat: int) -> list[list[str]]:
    binaries = Path(sys.executable).parent
    token = airflow.server.token()
    with tempfile.TemporaryDirectory() as home:
        ours = {**_plain_environment(), "CWL_UI_URL": airflow.server.url, "CWL_UI_TOKEN": token}
        ctl = {**_plain_environment(), "AIRFLOW_HOME": home}
        control = common.peer("airflowctl", CTL) / "airflowctl"
        common.run(
            [control, "auth", "login", "--skip-keyring", "--api-url", airflow.server.url, "--api-token", token], env=ctl
        )

        def trigger() -> None:
            common.run([binaries / "cwl-ui-plugin", "trigger", "-d", PAUSED, "-r", _run_id(), "-c", CONF], env=ours)

        def airflow_trigger() -> None:
            command = [binaries / "airflow", "dags", "trigger", "-r", _run_id(), "-c", CONF, PAUSED]
            common.run(command, env=_environment_of(airflow))

        def control_trigger() -> None:
            # No conf: it takes none from the command line ("invalid dict value", for any JSON).
            command = [control, "dags", "trigger", PAUSED, "--dag-run-id", _run_id()]
            common.run([*command, "--api-token", token], env=ctl)

        actions = {
            "`cwl-ui-plugin trigger`": trigger,
            "`airflow dags trigger`": airflow_trigger,
            "`airflowctl dags trigger`": control_trigger,
        }
        for action in actions.values():
            action()  # writes bytecode
        times: dict[str, list[float]] = {name: [] for name in actions}
        for number in range(repeat):
            say(f"commands, {number + 1}")
            for name, action in actions.items():
                times[name].append(common.timed(action))
    fastest = median(next(iter(times.values())))
    return [[name, seconds(median(taken)), _factor(median(taken) / fastest)] for name, taken in times.items()]


def _factor(value: float) -> str:
    return "" if value == 1 else f"{value:.0f} x ({'reached' if value >= LEAST else 'missed'})"


def _throughput(airflow: servers.Airflow, database: str, requests: int) -> list[list[str]]:
    rows = []
    for signed in (False, True):
        private = _sign(airflow) if signed else None
        for clients in CLIENTS:
            name = f"{database}, {'signed' if signed else 'unsigned'}"
            say(f"{name}, {clients} clients")
            headers = {} if signed else {"Authorization": f"Bearer {airflow.server.token()}"}
            rows.append(_row(name, clients, *_load(airflow.server.url, headers, _bodies(private, requests), clients)))
    return rows


def _with_page(airflow: servers.Airflow, database: str, requests: int) -> list[str]:
    """Ask for a page again and again while signed triggers come; return the row of the page."""
    say(f"{database}, a page meanwhile")
    bodies, over, taken = _bodies(_sign(airflow), requests), threading.Event(), list[float]()

    def look() -> None:
        cookies = {"_token": airflow.server.token()}
        with httpx.Client(base_url=airflow.server.url, cookies=cookies, timeout=120, trust_env=False) as client:
            client.get(PAGE).raise_for_status()
            while not over.is_set():
                began = time.perf_counter()
                client.get(PAGE).raise_for_status()
                taken.append(time.perf_counter() - began)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        _load(airflow.server.url, {}, bodies, CLIENTS[-1])
    finally:
        over.set()
        thread.join()
    quantiles = [seconds(percentile(taken, percent)) for percent in (50, 95, 99)]
    longest = f"longest {seconds(max(taken))}: {common.verdict(max(taken), MAX_SECONDS)}"
    return [f"{database}: the page of runs, meanwhile ({longest})", "1", "", *quantiles]


def _by_many_workers(airflow: servers.Airflow, requests: int) -> list[str]:
    name = f"PostgreSQL, signed, {MANY_WORKERS} workers"
    say(name)
    private, clients = _sign(airflow), CLIENTS[-1]
    _load(airflow.server.url, {}, _bodies(private, requests // 10), clients)  # warms up each of them
    return _row(name, clients, *_load(airflow.server.url, {}, _bodies(private, requests), clients))


def _sign(airflow: servers.Airflow) -> str:
    """Let triggers have to be signed from now on; return the key to sign with."""
    keys = generate_key_pair(ALGORITHM)
    for key, value in (("jwt_backend_public_key", keys.public), ("jwt_backend_crypt_algorithm", ALGORITHM)):
        airflow.client.delete(f"/api/v2/variables/{key}")
        airflow.client.post("/api/v2/variables", json={"key": key, "value": value}).raise_for_status()
    return keys.private


def _bodies(private_key: str | None, requests: int) -> list[dict[str, Any]]:
    return [_body(private_key) for _ in range(requests)]


def _row(name: str, clients: int, wall: float, taken: list[float]) -> list[str]:
    quantiles = [seconds(percentile(taken, percent)) for percent in (50, 95, 99)]
    return [name, str(clients), f"{len(taken) / wall:.0f}", *quantiles]


def _body(private_key: str | None) -> dict[str, Any]:
    run_id = _run_id()
    body = {"run_id": run_id, "conf": CONF}
    return {**body, "check_payload": sign_trigger(run_id, CONF, private_key, ALGORITHM)} if private_key else body


def _load(url: str, headers: dict[str, str], bodies: list[dict[str, Any]], clients: int) -> tuple[float, list[float]]:
    """Send all bodies by some clients, each over a connection of its own; return wall time and each one's time."""
    taken: list[float] = []
    waiting = iter(bodies)
    lock = threading.Lock()

    def send_all() -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            while True:
                with lock:
                    body = next(waiting, None)
                if body is None:
                    return
                began = time.perf_counter()
                client.post(f"/api/experimental/dags/{PAUSED}/dag_runs", json=body).raise_for_status()
                taken.append(time.perf_counter() - began)

    threads = [threading.Thread(target=send_all) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    if len(taken) != len(bodies):
        raise RuntimeError(f"{len(bodies) - len(taken)} of {len(bodies)} triggers failed")
    return wall, taken


def _run_id() -> str:
    return f"bench-{uuid.uuid4()}"


def _plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "CWL_UI"))}


def _environment_of(airflow: servers.Airflow) -> dict[str, str]:
    """Return the environment of the server's processes: Airflow's own command needs its configuration."""
    return airflow.process("scheduler").environ()


if __name__ == "__main__":
    main()
