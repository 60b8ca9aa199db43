"""Reports: what a receiver that is down costs a run, how soon reports arrive, how fast a backlog is delivered."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import common
import psutil
import servers
import workflows
from common import ROOT, median, percentile, say, seconds

sys.path.insert(0, str(ROOT / "tests"))

from sqlalchemy import create_engine, text
from support.airflow_server import wait_for
from support.scale_out import free_port

from cwl_ui_plugin.signing.keys import generate_key_pair

PAGE = ROOT / "docs" / "reliability.md"
STEPS = 5
OF_RUN = 50


class Portal:
    """A receiver that keeps when each report arrived, and nothing else."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, str]] = []
        portal = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                portal.arrived.append((time.time(), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def latencies(self) -> list[float]:
        """Return the seconds from each state change of a task to the arrival of its report."""
        payloads = [(moment, json.loads(body)["payload"]) for moment, body in self.arrived]
        return [moment - servers.moment(payload["timestamp"]) for moment, payload in payloads if "task_id" in payload]


def main() -> None:
    options = common.options(
        __doc__, reports=(10_000, "reports of the backlog"), database=(2, "0 SQLite, 1 PostgreSQL, 2 both")
    )
    page = PAGE if options.page == common.PAGE else options.page
    for number, database in enumerate(servers.DATABASES):
        if options.database not in (number, 2):
            continue
        with servers.airflow(database) as airflow, tempfile.TemporaryDirectory() as folder:
            document, job = workflows.chain(Path(folder), STEPS)
            dag_id = airflow.upload(document)
            inputs = json.loads(job.read_text())
            inputs["file"]["path"] = str(job.with_name("text.txt"))
            cost = _cost(airflow, dag_id, inputs, options.repeat)
            soon = _latency(airflow, dag_id, inputs, options.repeat)
            drained = _drain(airflow, options.reports)
        _write(page, database, (options.repeat, options.reports), cost, soon, drained)


def _write(page: Path, database: str, counts: tuple[int, int], *rows: list[str]) -> None:
    """Write the section of a database."""
    cost, soon, drained = rows
    repeat, reports = counts
    content = (
        f"A run of {STEPS} steps that follow each other, by Airflow's own times, alternately without a Connection and "
        "with one to a port where nobody listens.\n\n"
        + common.table(["no Connection", "receiver down", "ratio"], [cost])
        + "\n\nFrom the moment that Airflow's database has for a state of a task to the arrival of its report:\n\n"
        + common.table(["reports", "p50", "p95"], [soon])
        + f"\n\nA backlog of {reports} reports of {reports // OF_RUN} runs, each signed with RS256, once, to a "
        "receiver on the same machine; the memory is that of the API server.\n\n"
        + common.table(["delivered in", "reports per second", "memory before", "highest"], [drained])
    )
    common.write_section(page, f"reports-{database.lower()}", content, repeat)


def _cost(airflow: servers.Airflow, dag_id: str, job: dict[str, object], repeat: int) -> list[str]:
    airflow.run(dag_id, job)  # writes bytecode
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(repeat):
        say(f"runs without a receiver, {number + 1}")
        times[False].append(airflow.run(dag_id, job).seconds)
        with _connection(airflow, free_port()):
            times[True].append(airflow.run(dag_id, job).seconds)
    none, down = median(times[False]), median(times[True])
    return [seconds(none), seconds(down), f"{down / none:.2f}"]


def _latency(airflow: servers.Airflow, dag_id: str, job: dict[str, object], repeat: int) -> list[str]:
    portal = Portal()
    with _connection(airflow, portal.port):
        _wait_until_delivered(airflow)
        portal.arrived.clear()  # of the runs before
        for number in range(repeat):
            say(f"runs with a receiver, {number + 1}")
            airflow.run(dag_id, job)
        _wait_until_delivered(airflow)
    taken = portal.latencies()
    return [str(len(taken)), seconds(percentile(taken, 50)), seconds(percentile(taken, 95))]


def _drain(airflow: servers.Airflow, reports: int) -> list[str]:
    say(f"a backlog of {reports} reports")
    portal, pair = Portal(), generate_key_pair("RS256")
    variable = {"key": "process_report_private_key", "value": pair.private}
    airflow.client.post("/api/v2/variables", json=variable).raise_for_status()
    _fill(airflow.database, reports)
    server = airflow.process("api-server")
    before, highest = server.memory_info().rss, 0
    with _connection(airflow, portal.port):
        began = time.monotonic()
        while len(portal.arrived) < reports and time.monotonic() - began < 600:
            highest = max(highest, _memory(server))
            time.sleep(0.2)
        taken = time.monotonic() - began
    return [seconds(taken), f"{len(portal.arrived) / taken:.0f}", common.megabytes(before), common.megabytes(highest)]


def _memory(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _fill(url: str, reports: int) -> None:
    """Write a backlog as an outage leaves it."""
    now = datetime.now(timezone.utc).isoformat(sep=" ")
    engine = create_engine(url)
    states, rows = [], []
    for number in range(reports // OF_RUN):
        key = {"dag_id": "backlog", "run_id": f"run{number}"}
        states.append({**key, "sequence": OF_RUN, "now": now})
        for sequence in range(1, OF_RUN + 1):
            payload = {"state": "success", **key, "task_id": f"step{sequence}", "map_index": -1, "try_number": 1}
            payload |= {"timestamp": now, "report_id": str(uuid.uuid4()), "sequence": sequence}
            rows.append({**key, "sequence": sequence, "payload": json.dumps(payload), "now": now})
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO cwl_report_state (dag_id, run_id, run_key, recorded, sequence, delivered, failures, "
                "settled_end, updated_at) VALUES (:dag_id, :run_id, 0, '{}', :sequence, 0, 0, :now, :now)"
            ),
            states,
        )
        connection.execute(
            text(
                "INSERT INTO cwl_report (dag_id, run_id, sequence, route, payload, recorded_at, attempts) "
                "VALUES (:dag_id, :run_id, :sequence, 'status', :payload, :now, 0)"
            ),
            rows,
        )
    engine.dispose()


@contextmanager
def _connection(airflow: servers.Airflow, port: int) -> Iterator[None]:
    body = {"connection_id": "process_report", "conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http"}
    airflow.client.post("/api/v2/connections", json=body).raise_for_status()
    try:
        yield
    finally:
        airflow.server.remove(airflow.client, "/api/v2/connections/process_report")


def _wait_until_delivered(airflow: servers.Airflow) -> None:
    wait_for(
        lambda: airflow.client.get("/cwl/api/v1/reports").json()["waiting"] == 0, 120, "the delivery of all reports"
    )


if __name__ == "__main__":
    main()
