"""The Flask app that Airflow makes for plugins, with the simple auth manager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def flask_app(airflow_home: Path) -> Any:
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.www.app import create_app

    init_auth_manager()
    return create_app(enable_plugins=True)


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
