"""The store as a registry: for users who may read, for everybody what is published, and for cwltool."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stored import add_version, packed_of, plan_of

from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.publishing import tools

TRS = "/ga4gh/trs/v2"
Client = Callable[..., Any]
TOOL = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


@pytest.fixture
def tool(folders: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The dag_id of a workflow with two versions, the second of which is the current one."""
    from cwl_ui_plugin.dags.registration import register

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/below")
    monkeypatch.setenv("AIRFLOW__CWL__ALLOWED_HOSTS", "*")
    dag_id, plan = f"count-{uuid.uuid4().hex[:8]}", plan_of("sort")
    for content in ("one", TOOL):
        add_version(WorkflowStore(folders / "workflows"), dag_id, plan, content, packed_of(plan))
    register(dag_id)
    return dag_id


def test_a_tool_has_its_versions_files_and_descriptors(client: Client, tool: str) -> None:
    call = client("viewer")
    found = call.get(f"{TRS}/tools/{tool}").json()
    assert (found["id"], found["name"], found["toolclass"]["id"]) == (tool, "Count lines", "Workflow")
    assert found["url"] == f"https://airflow.example.org/below{TRS}/tools/{tool}"
    assert [(item["name"], item["is_production"]) for item in found["versions"]] == [("v2", True), ("v1", False)]
    newest = found["versions"][0]["id"]
    for name in ("latest", "v2", newest):
        assert call.get(f"{TRS}/tools/{tool}/versions/{name}").json()["id"] == newest
    at = f"{TRS}/tools/{tool}/versions/latest"
    files = call.get(f"{at}/CWL/files").json()
    assert [(item["path"], item["file_type"]) for item in files] == [("main.cwl", "PRIMARY_DESCRIPTOR")]
    wrapped = call.get(f"{at}/CWL/descriptor").json()
    assert wrapped["content"] == TOOL
    assert wrapped["checksum"] == [files[0]["checksum"]]
    for kind in ("PLAIN_CWL", "plain-CWL"):
        assert call.get(f"{at}/{kind}/descriptor/main.cwl").text == TOOL
    assert call.get(f"{TRS}/tools/{tool}/versions/v1/PLAIN_CWL/descriptor").text == "one"
    assert call.get(f"{at}/CWL/tests").json() == []
    packed = call.get(f"{at}/CWL/files?format=zip")
    assert zipfile.ZipFile(io.BytesIO(packed.content)).namelist() == ["main.cwl"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tools/{}/versions/v9", 404),
        ("/tools/{}/versions/latest/WDL/descriptor", 404),
        ("/tools/{}/versions/latest/CWL/descriptor/..%2F..%2Fversion.json", 404),
        ("/tools/{}/versions/latest/PLAIN_CWL/descriptor/%2Fetc%2Fpasswd", 404),
        ("/tools/{}/versions/latest/containerfile", 404),
        ("/tools/none", 404),
        ("/tools?limit=0", 422),
        ("/tools?offset=x", 422),
        ("/elsewhere", 404),
    ],
)
def test_errors_are_in_words_of_trs(client: Client, tool: str, path: str, status: int) -> None:
    answer = client("viewer").get(TRS + path.format(tool))
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message"}
    assert answer.json()["code"] == status
    assert answer.json()["message"]


def test_a_list_is_filtered_and_paged(client: Client, tool: str) -> None:
    call = client("viewer")

    def ids(query: str) -> list[str]:
        return [item["id"] for item in call.get(f"{TRS}/tools?{query}").json()]

    assert ids("") == ids("toolClass=Workflow&descriptorType=CWL&name=COUNT&author=ad&organization=airflow.example.org")
    assert tool in ids(f"id={tool}")
    for query in ("toolClass=CommandLineTool", "descriptorType=WDL", "name=other", "checker=true", "description=x"):
        assert ids(query) == [], query
    headers = call.get(f"{TRS}/tools?name=count&limit=1").headers
    assert headers["current_limit"] == "1"
    assert headers["last_page"].startswith(f"https://airflow.example.org/below{TRS}/tools?name=count&offset=")


def test_a_list_reads_nothing_again(client: Client, tool: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry is asked again and again; what a version is never changes."""
    call, files = client("viewer"), f"{TRS}/tools/{tool}/versions/latest/CWL/files"
    first = call.get(f"{TRS}/tools").json(), call.get(files).json()
    read: list[str] = []
    open_file = io.open

    def noting(place: Any, *arguments: Any, **options: Any) -> Any:
        if str(place).startswith(f"{folders}/workflows"):
            read.append(Path(str(place)).name)
        return open_file(place, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", noting)
        patched.setattr(tools, "read_file", lambda *_arguments: pytest.fail("a file is read again"))
        assert call.get(f"{TRS}/tools").json() == first[0]
        assert set(read) <= {"current", "numbers.json"}
        assert call.get(files).json() == first[1]
    store = WorkflowStore(folders / "workflows")
    new = add_version(store, tool, plan_of("sort"), "three", packed_of(plan_of("sort")))
    assert call.get(f"{TRS}/tools/{tool}").json()["versions"][0]["id"] == new.digest


def test_a_list_is_without_what_is_deleted_meanwhile(
    client: Client, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find_tools", lambda *_arguments: ["gone", tool])
    assert [item["id"] for item in client("viewer").get(f"{TRS}/tools").json()] == [tool]


def test_nobody_reads_what_is_not_published(client: Client, tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = client()
    paths = ("/tools", f"/tools/{tool}", f"/tools/{tool}/versions/latest/CWL/files")
    for path in paths:
        assert call.get(TRS + path).status_code == 401
    for path in ("/service-info", "/toolClasses"):
        assert call.get(TRS + path).status_code == 200
    monkeypatch.setenv("AIRFLOW__CWL__TRS_PUBLISHED", "other-*")
    assert call.get(f"{TRS}/tools").json() == []
    assert call.get(f"{TRS}/tools/{tool}").status_code == 401
    monkeypatch.setenv("AIRFLOW__CWL__TRS_PUBLISHED", "other-*, count-*")
    for path in paths:
        assert call.get(TRS + path).status_code == 200
    assert call.get(f"/cwl/api/v1/workflows/{tool}").status_code == 401


@pytest.fixture
def listening(site: Any, tool: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the same apps, where anybody can call them."""
    import uvicorn

    monkeypatch.setenv("AIRFLOW__CWL__TRS_PUBLISHED", "count-*")
    server = uvicorn.Server(uvicorn.Config(site, host="localhost", port=0, log_level="warning", lifespan="off"))
    listener = server.config.bind_socket()
    listener.listen()  # whoever comes before the thread is there waits
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://localhost:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_cwltool_reads_the_registry(listening: str, tool: str, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "cwltool", "--add-ga4gh-tool-registry", listening, "--pack", f"{tool}:latest"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "localhost", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["baseCommand"] in ("echo", ["echo"])
