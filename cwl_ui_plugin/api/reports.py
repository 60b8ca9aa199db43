"""The delivery of reports: how it goes, a test, and trying again now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from cwl_ui_plugin.api.schemas import answers
from cwl_ui_plugin.api.security import allow
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.runs import reporting

router = APIRouter(tags=["reports"])


@router.get(
    "/reports",
    responses=answers(reporting.DeliveryState),
    dependencies=[allow(permissions.may_read_connection)],
)
def get_reports() -> Any:
    """Show the state of the delivery."""
    return asdict(reporting.delivery_state())


@router.post(
    "/reports/test",
    responses=answers(reporting.TestResult),
    dependencies=[allow(permissions.may_edit_connection)],
)
def send_test_report() -> Any:
    """Send a report that is about no run, and return what the receiver answered."""
    return asdict(reporting.send_test_report())


@router.post(
    "/reports/retry",
    responses=answers(reporting.DeliveryState),
    dependencies=[allow(permissions.may_edit_connection)],
)
def retry() -> Any:
    """Try again now to deliver what waits."""
    reporting.retry_now()
    return asdict(reporting.delivery_state())
