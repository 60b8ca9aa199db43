"""What a receiver was told beside what Airflow's database says: nothing missing, nothing wrong, everything in order."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

ENDS = ("success", "failed", "up_for_retry", "skipped", "upstream_failed")
RUN_ENDS = ("success", "failed")
Try = tuple[str, int, int]


@dataclass
class Truth:
    """What the database says of a run: its state, its tries, the history of them, the output object."""

    state: str
    tries: dict[Try, Any] = field(default_factory=dict)
    history: dict[Try, Any] = field(default_factory=dict)
    results: Any = None
    stale: set[Try] = field(default_factory=set)
    """Tries that never ran."""

    @property
    def facts(self) -> int:
        """How many starts and ends there are."""
        tries = {**self.history, **{key: row for key, row in self.tries.items() if row.state in ENDS}}
        return sum(1 + bool(row.start_date and key not in self.stale) for key, row in tries.items()) + (
            self.state in RUN_ENDS
        )


@dataclass
class Verdict:
    """What came of it. ``faults`` is empty if all is well."""

    runs: int = 0
    facts: int = 0
    received: int = 0
    duplicates: int = 0
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[str] = field(default_factory=list)


def read_truth(url: str, dag_ids: tuple[str, ...]) -> dict[str, Truth]:
    """Return what the database says of the runs of some Dags, by run_id."""
    engine = create_engine(url)
    wanted = {f"d{number}": dag_id for number, dag_id in enumerate(dag_ids)}
    where = f"WHERE dag_id IN ({', '.join(f':{name}' for name in wanted)})"
    columns = "run_id, task_id, map_index, try_number, state, start_date, end_date"
    with engine.connect() as connection:

        def rows(query: str) -> list[Any]:
            return list(connection.execute(text(f"{query} {where}"), wanted))

        truth = {row.run_id: Truth(row.state) for row in rows("SELECT run_id, state FROM dag_run")}
        for table, name in (("task_instance", "tries"), ("task_instance_history", "history")):
            for row in rows(f"SELECT {columns} FROM {table}"):
                getattr(truth[row.run_id], name)[row.task_id, row.map_index, row.try_number] = row
        for row in rows("SELECT run_id, task_id, key, value FROM xcom"):
            if (row.task_id, row.key) == ("CWLJobGatherer", "return_value"):
                truth[row.run_id].results = json.loads(row.value) if isinstance(row.value, str) else row.value
    engine.dispose()
    return truth


def read_holder(url: str) -> str | None:
    """Return which API server sends the reports, as its lease names it."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT holder FROM cwl_lease WHERE name = 'reports'")).scalar()
    finally:
        engine.dispose()


def read_received(record: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what the receiver wrote, by run_id, in the order in which it came."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in record.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found[entry["payload"]["run_id"]].append(entry)
    return found


def judge(truth: dict[str, Truth], received: dict[str, list[dict[str, Any]]], deleted: set[str]) -> Verdict:
    """Compare what was received with the truth."""
    verdict = Verdict(runs=len(truth) + len(deleted))
    for run in truth.values():
        _forget_stale_starts(run)
    for run_id in sorted({*truth, *received}):
        entries = received.get(run_id, [])
        reports = _once(run_id, entries, verdict)
        if run_id in deleted:
            verdict.faults += _of_deleted(run_id, reports)
        elif run_id in truth:
            verdict.facts += truth[run_id].facts
            verdict.faults += _of_run(run_id, truth[run_id], reports)
        else:
            verdict.faults.append(f"{run_id}: reported, but there is no such run")
    return verdict


def _forget_stale_starts(truth: Truth) -> None:
    """A try that was queued, but never ran, has the start (and the pid) of the one before in Airflow's database."""
    seen = set()
    for key in sorted({*truth.tries, *truth.history}, key=lambda key: key[2]):
        for table in (truth.history, truth.tries):
            row = table.get(key)
            if row is None or row.start_date is None:
                continue
            start = (*key[:2], row.start_date)
            if start in seen and key not in truth.stale:
                truth.stale.add(key)
            seen.add(start)
            break


def _once(run_id: str, entries: list[dict[str, Any]], verdict: Verdict) -> list[dict[str, Any]]:
    """Return the reports of a run without duplicates; one that came again must be the same."""
    first: dict[str, dict[str, Any]] = {}
    for entry in entries:
        report = {"route": entry["route"], **entry["payload"]}
        known = first.setdefault(report["report_id"], report)
        if known is not report:
            verdict.duplicates += 1
            if known != report:
                verdict.faults.append(f"{run_id}: a report came again, but different: {known} {report}")
    reports = list(first.values())
    verdict.received += len(entries)
    for report in reports:
        verdict.states[f"{report['route']} {report.get('state', '')}".strip()] += 1
    sequence = [report["sequence"] for report in reports]
    if sequence != list(range(1, len(reports) + 1)):
        verdict.faults.append(f"{run_id}: not in order, or not all: {sequence}")
    return reports


def _of_deleted(run_id: str, reports: list[dict[str, Any]]) -> list[str]:
    is_told = bool(reports) and reports[-1]["route"] == "progress" and reports[-1]["state"] == "failed"
    return [] if is_told else [f"{run_id}: was deleted, and the receiver does not know"]


def _of_run(run_id: str, truth: Truth, reports: list[dict[str, Any]]) -> list[str]:
    told: dict[Try, list[str]] = defaultdict(list)
    for report in reports:
        if report["route"] == "status":
            told[report["task_id"], report["map_index"], report["try_number"]].append(report["state"])
    faults = [
        fault
        for key, row in truth.tries.items()
        for fault in _of_try(row, told[key], key in truth.history, key in truth.stale)
    ]
    faults += [fault for key, row in truth.history.items() for fault in _of_earlier(row, told[key], key in truth.stale)]
    faults += [fault for key, states in told.items() for fault in _of_forgotten(key, states, truth)]
    return [f"{run_id}: {fault}" for fault in [*faults, *_of_end(truth, reports)]]


def _of_forgotten(key: Try, states: list[str], truth: Truth) -> list[str]:
    """Airflow keeps no try that was queued, but never ran: it was to be retried when the scheduler was killed."""
    if key in truth.tries or key in truth.history or not states:
        return []
    had_followers = any(other[:2] == key[:2] and other[2] > key[2] for other in truth.tries)
    is_possible = had_followers and set(states) <= {"up_for_retry", "failed"}
    return [] if is_possible else [f"{key} was told of, but never was: {states}"]


def _of_try(row: Any, states: list[str], has_history: bool, is_stale: bool) -> list[str]:
    name = (row.task_id, row.map_index, row.try_number)
    if row.state not in ENDS:
        return []
    faults = []
    if not states or states[-1] != row.state:
        faults.append(f"{name} is {row.state}, told: {states}")
    wrong = set(states) - {row.state, "running"}
    if wrong and not has_history:
        faults.append(f"{name} is {row.state}, told also: {wrong}")
    return faults + _of_start(row, states, is_stale)


def _of_earlier(row: Any, states: list[str], is_stale: bool) -> list[str]:
    name = (row.task_id, row.map_index, row.try_number)
    allowed = {"success", "skipped"} & {row.state} or {"failed", "up_for_retry", "upstream_failed"}
    faults = [] if allowed & set(states) else [f"{name} was {row.state}, told: {states}"]
    return faults + _of_start(row, states, is_stale)


def _of_start(row: Any, states: list[str], is_stale: bool) -> list[str]:
    name = (row.task_id, row.map_index, row.try_number)
    if states.count("running") > 1 or "running" in states[1:]:
        return [f"{name} started once, told: {states}"]
    if "running" in states and (is_stale or _was_set(row)):
        return [f"{name} never ran, told: {states}"]
    ran = (
        not is_stale
        and row.state in ("success", "failed", "up_for_retry")
        and row.start_date
        and row.start_date != row.end_date
    )
    return [f"{name} started, told: {states}"] if ran and "running" not in states else []


def _was_set(row: Any) -> bool:
    return row.start_date == row.end_date and row.state in ("skipped", "upstream_failed")


def _of_end(truth: Truth, reports: list[dict[str, Any]]) -> list[str]:
    progress = [report for report in reports if report["route"] == "progress"]
    faults = []
    if not progress or progress[-1]["state"] != truth.state:
        faults.append(f"the run is {truth.state}, told: {[report['state'] for report in progress][-3:]}")
    for before, after in itertools.pairwise(progress):
        # Whoever clears a run that has ended begins a new try of it.
        if after["progress"] < before["progress"] and before["state"] == "running":
            faults.append(f"progress falls from {before['progress']} to {after['progress']}")
    first_full = next((report["state"] for report in progress if report["progress"] == 100), "success")
    if first_full != "success" or any(report["progress"] < 100 for report in progress if report["state"] == "success"):
        faults.append("100 % is not the success")
    results = [report["results"] for report in reports if report["route"] == "results"]
    if truth.state == "success" and (not results or results[-1] != (truth.results or {})):
        faults.append(f"the results are {truth.results}, told: {results[-1:]}")
    return faults
