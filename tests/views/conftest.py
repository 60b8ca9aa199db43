"""The Flask app that Airflow makes for plugins, with the simple auth manager."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page
from support.served import serving


@pytest.fixture
def browser(flask_app: Any, folders: Path) -> Callable[..., Any]:
    """Return a client with the cookie of a user: ``browser("viewer")``; without a role nobody is logged in."""

    def open_browser(role: str | None = None) -> Any:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        client = flask_app.test_client()
        if role:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"the-{role}", role=role))
            client.set_cookie("_token", token)
        return client

    return open_browser


@pytest.fixture
def csrf() -> Callable[[Any], str]:
    """Return the CSRF token of a client's pages."""
    import re

    def token_of(client: Any) -> str:
        for path in ("/cwl/workflows", "/cwl/settings"):
            found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
            if found:
                return found.group(1)
        pytest.fail("no page has a form")

    return token_of


@pytest.fixture
def settings_cleared(airflow_home: Path) -> Iterator[None]:
    """Leave no Connection, no key and no report behind."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin import variables
    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState
    from cwl_ui_plugin.services.settings import connection_and_keys

    yield
    connection_and_keys.remove_report_connection()
    for key in variables.ALL:
        connection_and_keys.remove_variable(key)
    with create_session() as session:
        session.query(RecordedReport).delete()
        session.query(ReportState).delete()


@pytest.fixture
def waiting_run(workflow: str, run_id: str) -> str:
    """A run with two reports, of which one has arrived, and the other failed."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState

    now = datetime.now(timezone.utc)
    key = {"dag_id": workflow, "run_id": run_id}
    status = {"state": "success", "task_id": "<b>sort</b>", "map_index": 3, "try_number": 2, "report_id": "x"}
    with create_session() as session:
        session.add(
            ReportState(
                **key,
                run_key=1,
                recorded="{}",
                sequence=2,
                delivered=1,
                failures=4,
                next_try_at=now,
                last_error="<script>no</script>",
                updated_at=now,
            )
        )
        for number in (1, 2):
            session.add(
                RecordedReport(
                    **key,
                    sequence=number,
                    route="status",
                    payload=json.dumps({**status, "sequence": number}),
                    recorded_at=now,
                    ended_at=now if number == 1 else None,
                    answer=200 if number == 1 else 503,
                    attempts=number,
                )
            )
    return run_id


@pytest.fixture(scope="module")
def address(flask_app: Any) -> Iterator[str]:
    """The address of the pages."""
    with serving(flask_app) as found:
        yield found


@pytest.fixture
def open_page(chromium: Browser, address: str, folders: Any) -> Iterator[Callable[..., Page]]:
    """Open a page as a user of a role: ``open_page(path, role="admin", **context)``.

    At the end of the test: nothing on the console but what is ``expected``, nothing asked of another host but what is
    ``allowed``.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    complaints: list[str] = []

    def opened(
        path: str, role: str = "admin", expected: str | None = None, allowed: str = "data:", **options: Any
    ) -> Page:
        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" and not (expected and expected in message.text):
                complaints.append(message.text)

        token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"the-{role}", role=role))
        context = chromium.new_context(**options)
        context.add_cookies([{"name": "_token", "value": token, "url": address}])
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda sent: None if sent.url.startswith((address, "data:", allowed)) else complaints.append(sent.url),
        )
        page.goto(address + path)
        return page

    yield opened
    assert complaints == []
