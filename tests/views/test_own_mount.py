"""The pages in an Airflow that does not serve Flask-AppBuilder views any more: the plugin serves them itself."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from airflow.utils.session import create_session
from playwright.sync_api import Browser, Page, expect

from cwl_ui_plugin import addresses

pytestmark = pytest.mark.e2e
SERVER = Path(__file__).parents[1] / "support/own_mount_server.py"
PAGES = addresses.OWN_MOUNT + addresses.PAGES
START_SECONDS = 180
MANAGERS = {
    "simple": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "fab": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
}
FROM_SCRIPT = {"X-Requested-With": "XMLHttpRequest"}
TOOL = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: echo\ninputs: {word: string}\noutputs: []\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=sorted(MANAGERS))
def manager(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def own_server(manager: str, folders: Path, tmp_path: Path) -> Iterator[str]:
    """The address of an API server of its own, on the database of this process."""
    address = f"http://localhost:{free_port()}"
    environment = {**os.environ, "AIRFLOW__CORE__AUTH_MANAGER": MANAGERS[manager]}
    log = tmp_path / "server.log"
    with log.open("w") as output:
        command = [sys.executable, str(SERVER), address.rpartition(":")[2]]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}{addresses.HEALTH}", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def token(manager: str, own_server: str) -> Iterator[str]:
    """The token of an administrator, whom the auth manager of the server knows."""
    if manager == "simple":
        yield _simple_token()
        return
    from airflow.providers.fab.auth_manager.models import Role, User
    from sqlalchemy import select
    from werkzeug.security import generate_password_hash

    name = f"own-{uuid.uuid4().hex[:8]}"
    with create_session(scoped=False) as session:
        role = session.scalar(select(Role).filter_by(name="Admin"))
        user = User(username=name, first_name="a", last_name="b", email=f"{name}@x", active=True, roles=[role])
        user.password = generate_password_hash("secret")
        session.add(user)
    answer = httpx.post(f"{own_server}/auth/token", json={"username": name, "password": "secret"}, timeout=60)
    yield str(answer.raise_for_status().json()["access_token"])
    with create_session(scoped=False) as session:
        session.delete(session.scalar(select(User).filter_by(username=name)))


def _simple_token() -> str:
    from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    init_auth_manager()
    return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="the-admin", role="admin")))


@pytest.fixture
def page(
    chromium: Browser,
    own_server: str,
    token: str,
) -> Iterator[Page]:
    """A page of an administrator; nothing may complain, and nothing may be asked of where Airflow served the pages."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=own_server)
    context.add_cookies([{"name": "_token", "value": token, "url": own_server}])
    made = context.new_page()
    made.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("request", lambda sent: complaints.append(sent.url) if addresses.AIRFLOW_MOUNT in sent.url else None)
    yield made
    context.close()
    assert complaints == []


def test_the_pages_work_as_where_airflow_serves_them(
    own_server: str, page: Page, token: str, workflow: str, manager: str
) -> None:
    nobody_gets_in(own_server)
    an_administrator_is_answered(own_server, token)
    if manager == "fab":
        assert own_permissions() == {"can_create", "can_edit", "can_delete"}
    a_run_is_started_and_stopped(page, workflow)
    a_workflow_is_uploaded(page)


def nobody_gets_in(server: str) -> None:
    with httpx.Client(base_url=server, timeout=60) as nobody:
        sent = nobody.get(f"{PAGES}/workflows?search=x")
        assert sent.status_code == 302
        assert "/auth/login" in sent.headers["location"]
        assert "cwl%2Fpages%2Fcwl%2Fworkflows" in sent.headers["location"]
        assert nobody.get(f"{addresses.OWN_MOUNT}{addresses.STATIC}/native.css").status_code == 200
        moved = nobody.get(f"{addresses.AIRFLOW_MOUNT}{addresses.PAGES}/runs?dag_id=a%2Fb")
        assert (moved.status_code, moved.headers["location"]) == (308, f"{PAGES}/runs?dag_id=a%2Fb")
        refused = nobody.post(f"{PAGES}/stop?dag_id=a&run_id=b", headers=FROM_SCRIPT)
        assert refused.status_code in (400, 401)


def an_administrator_is_answered(server: str, token: str) -> None:
    with httpx.Client(base_url=server, timeout=60, cookies={"_token": token}) as admin:
        shown = admin.get(f"{PAGES}/workflows")
        assert shown.status_code == 200
        assert shown.headers["cache-control"] == "no-store"
        assert "default-src 'self'" in shown.headers["content-security-policy"]
        cookie = shown.headers["set-cookie"]
        assert cookie.startswith("cwl_session=")
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert admin.post(f"{PAGES}/settings/test", headers=FROM_SCRIPT).status_code == 400  # no CSRF token
        plugins = admin.get("/api/v2/plugins").json()["plugins"]
        views = next(plugin["external_views"] for plugin in plugins if plugin["name"] == "cwl_ui_plugin")
        assert all(view["href"].startswith(PAGES.lstrip("/")) for view in views)
        assert admin.get(f"/{views[0]['icon']}").status_code == 200
        tab = next(view["href"] for view in views if view["destination"] == "dag").replace("{DAG_ID}", "no-such-dag")
        assert "This Dag is not made of a CWL workflow." in admin.get(f"/{tab}").text


def own_permissions() -> set[str]:
    from airflow.providers.fab.auth_manager.models import Action, Permission, Resource
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        names = select(Action.name).join(Permission, Permission.action_id == Action.id)
        ours = names.join(Resource, Permission.resource_id == Resource.id).where(Resource.name == "CWL Workflows")
        return set(session.scalars(ours))


def a_run_is_started_and_stopped(page: Page, workflow: str) -> None:
    page.goto(f"{PAGES}/workflows?search={workflow}")
    page.get_by_role("link", name="Count lines").click()
    expect(page.locator("#graph svg .node").first).to_be_visible()
    page.get_by_role("link", name="Run", exact=True).first.click()
    page.get_by_label(re.compile("^text")).fill("hello")
    page.locator("label[for=source-1]").click()
    expect(page.locator("#job")).to_have_value(re.compile("hello"))
    run_id = page.locator("#run_id").input_value()
    with page.expect_navigation():
        page.get_by_role("button", name="Run", exact=True).click()
    page.goto(f"{PAGES}/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}")
    expect(page.locator("#graph svg .node").first).to_be_visible()
    page.get_by_role("button", name="Stop run").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Stop run").click()
    expect(page.locator("#run-state")).to_contain_text("Stopped by", timeout=60_000)


def a_workflow_is_uploaded(page: Page) -> None:
    page.goto(f"{PAGES}/workflows")
    name = f"own{uuid.uuid4().hex[:8]}"
    file = {"name": f"{name}.cwl", "mimeType": "", "buffer": TOOL.encode()}
    page.locator("input[type=file]").first.set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(f"**{PAGES}/workflows/{name}", timeout=90_000)
    expect(page.locator("#graph svg .node").first).to_be_visible()
    leads = page.get_by_role("link", name="Airflow's page of this Dag").get_attribute("href")
    assert leads == addresses.airflow_dag(name)


def test_an_airflow_that_serves_them_keeps_doing_so() -> None:
    from cwl_ui_plugin.plugin import CwlUiPlugin
    from cwl_ui_plugin.views import mounting

    plugin: Any = CwlUiPlugin()
    assert mounting.mount() == addresses.AIRFLOW_MOUNT
    assert addresses.OWN_MOUNT not in [entry["url_prefix"] for entry in plugin.fastapi_apps]
    assert all(view["href"].startswith("pluginsv2/cwl/") for view in plugin.external_views)
