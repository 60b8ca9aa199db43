"""What each of Airflow's roles sees in a browser under both auth managers, and that its pages have nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from support.airflow_server import Server, wait_for
from support.browsers import log_in
from support.documents import LOUD

pytestmark = pytest.mark.e2e
DAG_ID = "guarded"
PASSWORD = "a-password-of-a-test"


@dataclass(frozen=True)
class Rights:
    """What a role may: the roles are Airflow's own."""

    read: bool = True
    run: bool = False
    configure: bool = False
    upload: bool = False


ROLES = {
    "Public": Rights(read=False),
    "Viewer": Rights(),
    "User": Rights(run=True),
    "Op": Rights(run=True, configure=True),
    "Admin": Rights(run=True, configure=True, upload=True),
}


@pytest.fixture(scope="module")
def running_run(site: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run that runs for as long as the tests need it."""
    document = tmp_path_factory.mktemp("documents") / f"{DAG_ID}.cwl"
    document.write_text(LOUD)
    site.command("upload", document)
    run_id = f"long-{site.auth}"  # the stop of one server finds processes of a run by its name, whosever run it is
    with site.client() as client:
        runs = f"/cwl/api/v1/workflows/{DAG_ID}/runs"
        body = {"run_id": run_id, "conf": {"job": {"text": "x", "seconds": 3600}}}
        client.post(runs, json=body).raise_for_status()
        wait_for(lambda: client.get(f"{runs}/{run_id}").json()["state"] == "running", what="the start of the run")
        yield run_id
        client.post(f"{runs}/{run_id}/stop", json={}).raise_for_status()


@pytest.fixture
def logged_in(site: Server, browser: Browser) -> Callable[[str], tuple[Page, httpx.Client]]:
    """Return a page and a REST client of the user with a role."""

    def opened(role: str) -> tuple[Page, httpx.Client]:
        name = f"the-{role.lower()}"
        password = site.passwords.get(name) or _new_user(site, name, role)
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        log_in(page, site, name, password)
        answer = httpx.post(f"{site.url}/auth/token", json={"username": name, "password": password})
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return page, httpx.Client(base_url=site.url, headers=headers, timeout=60, trust_env=False)

    return opened


def _new_user(site: Server, name: str, role: str) -> str:
    """Make a user as an administrator of FabAuthManager does; return the password."""
    if site.auth == "simple":
        pytest.skip(f"SimpleAuthManager has no role {role}")
    user = {"username": name, "email": f"{name}@example.org", "first_name": name, "last_name": role}
    with site.client() as admin:
        answer = admin.post("/auth/fab/v1/users", json=user | {"password": PASSWORD, "roles": [{"name": role}]})
    assert answer.is_success or answer.status_code == 409, answer.text  # by another test on this server
    return PASSWORD


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_what_it_may_and_gets_no_further(
    logged_in: Callable[[str], tuple[Page, httpx.Client]], site: Server, running_run: str, role: str
) -> None:
    rights = ROLES[role]
    if site.auth == "simple" and role == "Op":  # it knows no permission of ours: see docs/security.md
        rights = replace(rights, upload=True)
    page, client = logged_in(role)
    shown = {True: 1, False: 0}

    page.goto(f"{site.url}/pluginsv2/cwl/workflows?search={DAG_ID}")  # others have many on this server
    expect(page.locator(f"table a[href$='/workflows/{DAG_ID}']")).to_have_count(shown[rights.read])
    expect(page.get_by_role("button", name="Upload a workflow")).to_have_count(shown[rights.upload])

    page.goto(f"{site.url}/pluginsv2/cwl/workflows/{DAG_ID}")
    expect(page.locator("#graph svg")).to_have_count(shown[rights.read])
    expect(page.get_by_role("link", name="Run", exact=True)).to_have_count(shown[rights.run])
    expect(page.locator("details.menu [data-confirm=delete]")).to_have_count(shown[rights.upload])
    page.goto(f"{site.url}/pluginsv2/cwl/run?dag_id={DAG_ID}&run_id={running_run}")
    expect(page.locator("[data-state=running]").first).to_be_visible(visible=rights.read)
    stop = page.get_by_role("button", name="Stop run")
    expect(stop).to_have_count(shown[rights.read])
    if rights.read:
        expect(stop).to_be_enabled(enabled=rights.run)

    page.goto(f"{site.url}/pluginsv2/cwl/settings")
    expect(page.get_by_role("button", name="Save").first).to_be_visible(visible=rights.configure)

    pages = {
        f"workflows/{DAG_ID}": rights.read,
        f"workflows/{DAG_ID}/source": rights.read,
        f"workflows/{DAG_ID}/run": rights.run,
        f"run?dag_id={DAG_ID}&run_id={running_run}": rights.read,
        f"runs/{DAG_ID}/{running_run}/reports": rights.read,
    }
    for path, allowed in pages.items():
        answer = page.goto(f"{site.url}/pluginsv2/cwl/{path}")
        assert answer is not None
        assert answer.ok == allowed, (path, answer.status)
        assert answer.status in (200, 403, 404), path
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Traceback")).to_have_count(0)

    run = f"/cwl/api/v1/workflows/{DAG_ID}/runs/{running_run}"
    assert client.get(run).is_success == rights.read
    files = {"files": ("new.cwl", LOUD)}
    if not rights.upload:
        assert client.post("/cwl/api/v1/workflows", files=files).status_code == 403
    if not rights.run:
        assert client.post(f"{run}/stop", json={}).status_code in (403, 404)
        assert client.post(f"/cwl/api/v1/workflows/{DAG_ID}/runs", json={"run_id": "x"}).status_code in (403, 404)
