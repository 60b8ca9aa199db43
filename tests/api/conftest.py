"""The real apps, mounted as Airflow mounts them, with the simple auth manager and a store of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stored import add_version, packed_of, push

from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step

TOOL = """cwlVersion: v1.2
class: CommandLineTool
label: Say it
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


@pytest.fixture(scope="session")
def site(airflow_home: Path) -> Any:
    """The root app with the plugin's apps below it."""
    from airflow.api_fastapi.app import init_auth_manager
    from fastapi import FastAPI

    from cwl_ui_plugin.api import experimental, rest, workers
    from cwl_ui_plugin.api.middleware import CwlMiddleware
    from cwl_ui_plugin.api.trs import app as trs
    from cwl_ui_plugin.api.wes import app as wes

    init_auth_manager()
    root = FastAPI()
    root.mount("/cwl/worker/v1", workers.app())
    root.mount("/cwl", rest.app())
    root.mount("/api/experimental", experimental.app())
    root.mount("/ga4gh/trs/v2", trs.app())
    root.mount("/api/ga4gh/v2", trs.app())
    root.mount("/ga4gh/wes/v1", wes.app())
    root.add_middleware(CwlMiddleware)
    return root


@pytest.fixture
def folders(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("workflows", "inputs", "outputs", "tmp"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / "bundles"))
    return tmp_path


@pytest.fixture
def token(site: Any) -> Callable[[str], str]:
    """Return a bearer token of a user with that role: ``token("viewer")``."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def make(role: str) -> str:
        return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"the-{role}", role=role)))

    return make


@pytest.fixture(scope="module")
def portal() -> Iterator[Any]:
    """The event loop of all requests of a module: a client without one starts one for each, with a thread or two."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as started:
        yield started


@pytest.fixture
def client(site: Any, folders: Path, token: Callable[[str], str], portal: Any) -> Callable[..., Any]:
    """Return a client of a user: ``client("viewer")``; without a role nobody is logged in."""
    from fastapi.testclient import TestClient

    def make(role: str | None = None, *, cookie: bool = False) -> Any:
        made = TestClient(site, raise_server_exceptions=False)
        made.portal = portal
        if role and cookie:
            made.cookies.set("_token", token(role))
        elif role:
            made.headers["Authorization"] = f"Bearer {token(role)}"
        return made

    return make


@pytest.fixture
def make_workflow(folders: Path) -> Callable[[], str]:
    """Store and register a workflow with one step that needs ``text``, and return its dag_id."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.library.store import WorkflowStore

    def make() -> str:
        store = WorkflowStore(folders / "workflows")
        dag_id = f"say-{uuid.uuid4().hex[:8]}"
        step = Step("say", "#say", "say", "step-0", "CommandLineTool", "say.cwl", outputs=("#said",))
        inputs = (Parameter(id="text", type="string"),)
        plan = Plan("CommandLineTool", "v1.2", "say.cwl", "Say it", None, inputs, (), (step,))
        add_version(store, dag_id, plan, TOOL, packed_of(plan) | {"steps": []})
        register(dag_id)
        return dag_id

    return make


@pytest.fixture
def workflow(make_workflow: Callable[[], str]) -> str:
    """The dag_id of a workflow with one step that needs ``text``."""
    return make_workflow()


@pytest.fixture
def run_id(workflow: str) -> str:
    from cwl_ui_plugin.services.triggering import triggers

    name = f"run-{uuid.uuid4()}"
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=name, user="ada", via=triggers.REST)
    return name


@pytest.fixture
def output(workflow: str, run_id: str, folders: Path) -> Path:
    """An output file of the run: an HTML page with a script in it."""
    path = folders / "outputs" / workflow / run_id / "page ä.html"
    path.parent.mkdir(parents=True)
    path.write_text("<script>alert(1)</script>")
    value = {"said": {"class": "File", "location": path.as_uri(), "basename": path.name}}
    push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    return path
