"""The delivery of reports, as interfaces show it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from airflow.utils.session import create_session

from cwl_ui_plugin.reports import delivery, formats, outbox, reporter
from cwl_ui_plugin.reports.delivery import TestResult
from cwl_ui_plugin.reports.errors import ReportError
from cwl_ui_plugin.reports.facts import run_row
from cwl_ui_plugin.reports.outbox import RunDelivery
from cwl_ui_plugin.reports.tables import RecordedReport
from cwl_ui_plugin.reports.target import read_target
from cwl_ui_plugin.services.errors import NotAllowed, NotFound
from cwl_ui_plugin.services.models import Page, iso
from cwl_ui_plugin.services.settings import connection_and_keys

__all__ = [
    "DeliveryState",
    "RunDelivery",
    "SentReport",
    "TestResult",
    "WaitingRun",
    "delivery_of",
    "delivery_state",
    "reports_of",
    "retry_now",
    "send_test_report",
    "waiting_runs",
]


ENABLED, DISABLED, HIDDEN = "enabled", "disabled", "hidden"


@dataclass(frozen=True)
class DeliveryState:
    """How delivery goes: ``target`` is the receiver's URL or None, ``waiting`` counts reports, ``runs`` their runs.

    ``problem`` is what keeps any report from being sent; ``last_error`` what became of the last try.
    """

    target: str | None
    is_signed: bool
    waiting: int
    runs: int
    oldest: str | None
    last_error: str | None
    next_try: str | None
    problem: str | None


@dataclass(frozen=True)
class WaitingRun:
    """A run with reports that wait."""

    dag_id: str
    run_id: str
    waiting: int
    oldest: str | None
    failures: int
    last_error: str | None
    next_try: str | None


@dataclass(frozen=True)
class SentReport:
    """A report of a run: ``state`` is waiting, delivered or given up; ``answer`` the receiver's last HTTP status."""

    sequence: int
    route: str
    state: str
    about: str
    payload: dict[str, object]
    recorded: str | None
    delivered: str | None
    answer: int | None
    attempts: int


def delivery_state() -> DeliveryState:
    """Return how the delivery of reports goes."""
    backlog = outbox.backlog()
    target, problem = None, None
    try:
        target = read_target()
    except ReportError as error:
        problem = str(error)
    is_signed = bool(target and target.private_key)
    if is_signed and (unfit := connection_and_keys.report_key().problem):
        problem = f"Reports can't be signed: {unfit}"
    return DeliveryState(
        target=target.base_url if target else None,
        is_signed=is_signed,
        waiting=backlog.reports,
        runs=backlog.runs,
        oldest=iso(backlog.oldest),
        last_error=backlog.last_error,
        next_try=iso(backlog.next_try_at),
        problem=problem,
    )


def waiting_runs(limit: int = 50, offset: int = 0) -> Page[WaitingRun]:
    """Return the runs with reports that wait, the longest waiting first."""
    found = tuple(
        WaitingRun(
            dag_id=run.dag_id,
            run_id=run.run_id,
            waiting=run.waiting,
            oldest=iso(run.oldest),
            failures=run.failures,
            last_error=run.last_error,
            next_try=iso(run.next_try_at),
        )
        for run in outbox.waiting_runs(limit, offset)
    )
    return Page(found, outbox.backlog().runs)


def reports_of(dag_id: str, run_id: str, limit: int = 50, offset: int = 0) -> Page[SentReport]:
    """Return the reports of a run, the last first, also of one that was deleted; raise :class:`NotFound`."""
    found, total = outbox.reports_of(dag_id, run_id, limit, offset)
    if not total and not _is_run(dag_id, run_id):
        raise NotFound(f"There is no run {run_id!r} of {dag_id!r}.")
    return Page(tuple(_sent(report) for report in found), total)


def delivery_of(dag_id: str, run_id: str) -> RunDelivery:
    """Return how far the reports of a run are."""
    return outbox.delivery_of((dag_id, run_id))


def retry_now(dag_id: str | None = None, run_id: str | None = None) -> None:
    """Try again to deliver what waits: of one run, or all."""
    reporter.retry_now((dag_id, run_id) if dag_id and run_id else None)


def testing() -> str:
    """Return whether a receiver may be tested: what Airflow's ``[core] test_connection`` says of all connections."""
    from airflow.configuration import conf

    value = str(conf.get("core", "test_connection", fallback=DISABLED)).strip().lower()
    return value if value in (ENABLED, HIDDEN) else DISABLED


def send_test_report(*, sees_answer: bool) -> TestResult:
    """Send a report that is about no run; without ``sees_answer`` only the status of the receiver's answer is told.

    Raises:
        NotAllowed: Airflow tests no connections.

    """
    if testing() != ENABLED:
        raise NotAllowed(
            "Test reports are switched off, as tests of connections are in Airflow: an administrator can allow them "
            "with [core] test_connection = Enabled."
        )
    result = delivery.send_test_report()
    return result if sees_answer else replace(result, answer="")


def _sent(report: RecordedReport) -> SentReport:
    payload, kind = formats.shown(json.loads(report.payload)), formats.kind_of(report.route)
    is_over = report.ended_at is not None
    return SentReport(
        sequence=report.sequence,
        route=report.route,
        state=("given up" if report.answer is None else "delivered") if is_over else "waiting",
        about=_about(kind, payload),
        payload=payload,
        recorded=iso(report.recorded_at),
        delivered=iso(report.ended_at) if report.answer is not None else None,
        answer=report.answer,
        attempts=report.attempts,
    )


def _about(route: str, payload: dict[str, object]) -> str:
    """Return in a few words what a report says."""
    state = str(payload.get("reason") or payload.get("state", ""))
    if route == "status":
        index, number = payload.get("map_index"), payload.get("try_number")
        element = f" [{index}]" if isinstance(index, int) and index >= 0 else ""
        again = f", try {number}" if isinstance(number, int) and number > 1 else ""
        return f"{payload['task_id']}{element}: {state.replace('_', ' ')}{again}"
    if route == "progress":
        return f"{state}, {payload['progress']} %"
    results = payload.get("results")
    return f"{len(results) if isinstance(results, dict) else 0} outputs"


def _is_run(dag_id: str, run_id: str) -> bool:
    with create_session(scoped=False) as session:
        return run_row(session, dag_id, run_id) is not None
