"""Runs of documents that come along: stored once, with their attachments as inputs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WES = "/ga4gh/wes/v1"
TOOL = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: [cat]
inputs: {file: {type: File, inputBinding: {}}, more: {type: Directory?}}
outputs: {all: stdout}
stdout: all.txt
"""
MAIN = """cwlVersion: v1.2
class: Workflow
inputs: {file: File}
outputs: {all: {type: File, outputSource: cat/all}}
steps:
  cat: {run: ../tools/cat.cwl, in: {file: file}, out: [all]}
"""


def file(location: str) -> dict[str, str]:
    return {"class": "File", "location": location}


def uploaded(folders: Path) -> list[str]:
    return sorted(path.name for path in (folders / "inputs" / "uploads").glob("*-*"))


def test_a_document_is_stored_once_and_its_files_are_inputs(
    client: Callable[..., Any], post: Callable[..., Any], folders: Path
) -> None:
    files = {"wf/main.cwl": MAIN, "tools/cat.cwl": TOOL, "data/a b.txt": "A"}
    ids = []
    for name in ("data/a b.txt", "data/a%20b.txt"):
        answer = post("op", files, url="wf/main.cwl", params={"file": file(name)})
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["run_id"])
    log = client("op").get(f"{WES}/runs/{ids[0]}").json()
    assert log["request"]["workflow_url"] == "wf/main.cwl"
    assert log["request"]["workflow_params"] == {"file": file("data/a%20b.txt")}
    (workflow,) = client("op").get("/cwl/api/v1/workflows").json()["workflows"]
    assert workflow["dag_id"].startswith("wes-main-")
    assert len(uploaded(folders)) == 2
    other = post("op", {**files, "tools/cat.cwl": TOOL + "doc: changed\n"}, url="wf/main.cwl", params={})
    assert other.status_code == 400
    assert "file" in other.json()["msg"]
    assert len(uploaded(folders)) == 2, "attachments of a request that failed are left"


def test_a_run_is_of_the_document_that_was_sent(
    client: Callable[..., Any], post: Callable[..., Any], folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may edit workflows can replace it between the look at it, or its upload, and the start."""
    from cwl_ui_plugin.api.wes import submitting
    from cwl_ui_plugin.library.store import WorkflowStore

    files, start = {"cat.cwl": TOOL, "a.txt": "A"}, submitting._start
    sent: list[str] = []

    def replace_first(workflow: Any, *given: Any) -> str:
        store = WorkflowStore(folders / "workflows")
        sent.append(workflow.version)
        monkeypatch.setattr(submitting, "_start", start)
        changed = {"files": ("cat.cwl", f"{TOOL}doc: replaced\n")}
        answer = client("admin").post(
            "/cwl/api/v1/workflows", data={"dag_id": workflow.dag_id, "replace": "true"}, files=changed
        )
        assert answer.status_code == 201, answer.text
        assert store.current(workflow.dag_id).digest != sent[0]
        return start(workflow, *given)

    def sent_while_it_is_replaced() -> Any:
        monkeypatch.setattr(submitting, "_start", replace_first)
        return post("op", files, url="cat.cwl", params={"file": file("a.txt")})

    refused = sent_while_it_is_replaced()
    assert (refused.status_code, "was replaced before its first run" in refused.json()["msg"]) == (400, True)
    (workflow,) = client("op").get("/cwl/api/v1/workflows").json()["workflows"]
    at = f"/cwl/api/v1/workflows/{workflow['dag_id']}"
    assert client("admin").post(f"{at}/current", json={"version": sent[0]}).status_code == 200
    assert post("op", files, url="cat.cwl", params={"file": file("a.txt")}).status_code == 200
    assert sent_while_it_is_replaced().status_code == 200
    runs = client("op").get("/cwl/api/v1/runs", params={"dag_id": workflow["dag_id"]}).json()["runs"]
    assert [client("op").get(f"{at}/runs/{run['run_id']}").json()["version"] for run in runs] == [sent[0]] * 2
    assert client("op").get(at).json()["digest"] != sent[0]


def test_who_may_not_upload_is_told_so(post: Callable[..., Any], folders: Path) -> None:
    answer = post("user", {"cat.cwl": TOOL, "a.txt": "A"}, url="cat.cwl", params={"file": file("a.txt")})
    assert answer.status_code == 403
    assert "upload workflows" in answer.json()["msg"]
    assert uploaded(folders) == []


def test_a_document_elsewhere_is_fetched(
    post: Callable[..., Any], client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.library.intake import UploadedFile
    from cwl_ui_plugin.library.origins import Origin
    from cwl_ui_plugin.services.importing import imports

    address = "https://example.org/tools/cat.cwl"

    @contextmanager
    def fetched(asked: str) -> Iterator[imports.FetchedWorkflow]:
        assert asked == address
        file = UploadedFile("cat.cwl", io.BytesIO(TOOL.encode()))
        yield imports.FetchedWorkflow(file, None, Origin("http", address))

    monkeypatch.setattr(imports, "fetched", fetched)
    answer = post("op", {"a.txt": "A"}, url=address, params={"file": file("a.txt")})
    assert answer.status_code == 200, answer.text
    log = client("op").get(f"{WES}/runs/{answer.json()['run_id']}").json()
    assert log["request"]["workflow_url"] == address
    (workflow,) = client("op").get("/cwl/api/v1/workflows").json()["workflows"]
    assert workflow["dag_id"].startswith("wes-cat-")
