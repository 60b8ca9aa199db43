"""The delivery of reports: how it goes, a test, trying again now, the reports of a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import GetUserDep, allow, allow_dag
from cwl_ui_plugin.api.workflows import MAX_OFFSET
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.settings import report_delivery

router = APIRouter(tags=["reports"])
MAX_PAGE = 200


class WaitingRuns(BaseModel):
    """Runs with reports that wait, the longest waiting first."""

    runs: list[report_delivery.WaitingRun]
    total: int


class RunReports(BaseModel):
    """Reports of a run, the last first."""

    reports: list[report_delivery.SentReport]
    total: int


class RetryReports(BaseModel):
    """Which reports to try again; without names, all."""

    dag_id: str | None = None
    run_id: str | None = None


@router.get(
    "/reports",
    responses=answers(report_delivery.DeliveryState),
    dependencies=[allow(permissions.may_read_connection)],
)
def get_reports() -> object:
    """Show the state of the delivery."""
    return asdict(report_delivery.delivery_state())


@router.get(
    "/reports/waiting",
    responses=answers(WaitingRuns),
    dependencies=[allow(permissions.may_read_connection)],
)
def list_waiting(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50, offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0
) -> object:
    """List the runs with reports that wait, the longest waiting first."""
    page = report_delivery.waiting_runs(limit, offset)
    return {"runs": [asdict(run) for run in page.items], "total": page.total}


@router.get(
    "/workflows/{dag_id}/runs/{run_id}/reports",
    responses=answers(RunReports, 404),
    dependencies=[allow_dag(permissions.may_read)],
)
def list_reports_of_run(
    dag_id: str,
    run_id: str,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """List the reports of a run, the last first; also of one that was deleted."""
    page = report_delivery.reports_of(dag_id, run_id, limit, offset)
    return {"reports": [asdict(report) for report in page.items], "total": page.total}


@router.post(
    "/reports/test",
    responses=answers(report_delivery.TestResult),
    dependencies=[allow(permissions.may_test_connection)],
)
def send_test_report(user: GetUserDep) -> object:
    """Send a report that is about no run, where Airflow may test connections (`[core] test_connection`).

    What the receiver answered besides its status is for Admins only.
    """
    return asdict(report_delivery.send_test_report(sees_answer=permissions.is_admin(user)))


@router.post(
    "/reports/retry",
    responses=answers(report_delivery.DeliveryState),
    dependencies=[allow(permissions.may_edit_connection)],
)
def retry_reports(wanted: RetryReports | None = None) -> object:
    """Try again now to deliver what waits, of one run or all."""
    wanted = wanted or RetryReports()
    report_delivery.retry_now(wanted.dag_id, wanted.run_id)
    return asdict(report_delivery.delivery_state())
