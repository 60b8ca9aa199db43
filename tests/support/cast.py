"""Who attacks: a real server with users of every role, two workflows of which one user may see only one, and logins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from support.airflow_server import Server, wait_for

SHOWN, HIDDEN = "shown", "hidden"
"""The Dag that everybody with a role may see, and the one that is not for ``one-dag``."""
MISSING = "missing"
API = "/cwl/api/v1"
VIEWS = "/pluginsv2/cwl"
OLD = "/api/experimental"
RUN = "first"
PASSWORD = "a-password-of-a-test"
MARKS = {dag_id: f"content-of-{dag_id}-0f3a" for dag_id in (SHOWN, HIDDEN)}
"""What only those may see who may read the Dag: it is in the job, the output and the log of its run."""
DOCUMENT = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo]
inputs:
  text: {type: string, inputBinding: {}}
  file: File?
  more: File[]?
  folder: Directory?
  number: int?
outputs: {out: stdout}
stdout: out.txt
"""

READ, RUNS, INPUTS, CONNECTION, VARIABLES, UPLOAD = "read", "runs", "inputs", "connection", "variables", "upload"
LOGIN, OPEN = "login", "open"
_OF_USER = frozenset({LOGIN, READ, RUNS, INPUTS})
_OF_OP = _OF_USER | {CONNECTION, VARIABLES}


@dataclass(frozen=True)
class Actor:
    """Somebody who calls: the rights are those that are documented; ``only`` is the one Dag they are for."""

    name: str
    rights: frozenset[str]
    only: str | None = None

    def may(self, right: str, dag_id: str | None) -> bool:
        """Whether the documentation gives this right; ``dag_id`` is None where it is about no Dag."""
        if right == OPEN:
            return True
        return right in self.rights and (dag_id is None or self.only in (None, dag_id))


def actors(auth: str) -> list[Actor]:
    """Return everybody, from nobody to the administrator."""
    nobody = Actor("nobody", frozenset())
    op = Actor("the-op", _OF_OP | {UPLOAD} if auth == "simple" else _OF_OP)
    common = [Actor("the-viewer", frozenset({LOGIN, READ})), Actor("the-user", _OF_USER), op]
    fab = [Actor("the-public", frozenset({LOGIN})), Actor("one-dag", _OF_USER, SHOWN)] if auth == "fab" else []
    return [nobody, *fab, *common, Actor("admin", _OF_OP | {UPLOAD})]


@dataclass
class Site:
    """A server, and a logged-in client of each actor."""

    server: Server
    tokens: dict[str, str] = field(default_factory=dict)
    form_cookie: dict[str, str] = field(default_factory=dict)
    form_token: str = ""

    @property
    def auth(self) -> str:
        return self.server.auth

    @property
    def actors(self) -> list[Actor]:
        return actors(self.auth)

    def client(self, name: str = "admin", **options: Any) -> httpx.Client:
        """Return a client with a bearer token; ``nobody`` has none."""
        headers = {} if name == "nobody" else {"Authorization": f"Bearer {self.tokens[name]}"}
        return self._open(headers=headers, **options)

    def browser(self, name: str = "admin", **options: Any) -> httpx.Client:
        """Return a client with the cookies of a logged-in browser, and those of a form that was opened."""
        cookies = dict(self.form_cookie)
        if name != "nobody":
            cookies["_token"] = self.tokens[name]
        return self._open(cookies=cookies, **options)

    def _open(self, **options: Any) -> httpx.Client:
        limits = httpx.Limits(max_connections=32)
        return httpx.Client(base_url=self.server.url, timeout=120, trust_env=False, limits=limits, **options)

    def post_form(self, client: httpx.Client, path: str, data: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Send a form with a CSRF token that holds."""
        return client.post(f"{VIEWS}{path}", data={**(data or {}), "csrf_token": self.form_token}, **more)

    def trigger(self, name: str, dag_id: str, run_id: str, job: Mapping[str, Any]) -> httpx.Response:
        """Start a run by REST."""
        with self.client(name) as client:
            return client.post(f"{API}/workflows/{dag_id}/runs", json={"run_id": run_id, "job": job})

    def runs(self, dag_id: str = SHOWN) -> set[str]:
        """Return the names of all runs of a Dag, by Airflow's own API."""
        with self.client() as client:
            found = client.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-id"}).json()
        return {run["dag_run_id"] for run in found["dag_runs"]}


def prepare(server: Server) -> Site:
    """Log everybody in, upload two workflows and run each once."""
    site = Site(server)
    site.tokens = {name: _login(server, name, word) for name, word in server.passwords.items()}
    with site.client() as admin:
        for dag_id in MARKS:
            admin.post(f"{API}/workflows", files={"files": (f"{dag_id}.cwl", DOCUMENT)}).raise_for_status()
            job = {"text": MARKS[dag_id]}
            site.trigger("admin", dag_id, RUN, job).raise_for_status()
        if server.auth == "fab":
            _add_fab_users(site, admin)
        for dag_id in MARKS:
            assert server.wait_for_run(admin, dag_id, RUN)["state"] == "success"
    with site.browser() as browser:
        page = browser.get(f"{VIEWS}/workflows")
        site.form_cookie = {"session": browser.cookies["session"]}
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text[:2000]
    site.form_token = found.group(1)
    return site


def _login(server: Server, name: str, password: str) -> str:
    login = {"username": name, "password": password}
    answer = httpx.post(f"{server.url}/auth/token", json=login, trust_env=False, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _add_fab_users(site: Site, admin: httpx.Client) -> None:
    """Add a user with the role Public, and one with a role like User's for one Dag only."""
    rights = admin.get("/auth/fab/v1/roles/User").json()["actions"]
    kept = [right for right in rights if right["resource"]["name"] != "DAGs"]
    for action in ("can_read", "can_edit", "can_delete"):
        kept.append({"action": {"name": action}, "resource": {"name": f"DAG:{SHOWN}"}})
    role = {"name": "OneDag", "actions": kept}
    wait_for(lambda: admin.post("/auth/fab/v1/roles", json=role).is_success, 60, "the role for one Dag")
    for name, role_name in (("one-dag", "OneDag"), ("the-public", "Public")):
        person = {"username": name, "email": f"{name}@example.org", "first_name": name, "last_name": role_name}
        user = {**person, "password": PASSWORD, "roles": [{"name": role_name}]}
        answer = admin.post("/auth/fab/v1/users", json=user)
        assert answer.is_success or answer.status_code == 409, answer.text  # by another test on this server
        site.tokens[name] = _login(site.server, name, PASSWORD)
