"""How an upload of another machine is, as the bucket says: what is none there is no upload, and no error."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.workflow_models import Excerpt, Upload
from cwl_ui_plugin.services.workflows import upload_state
from cwl_ui_plugin.services.workflows.upload_state import UploadFolder

ID = "1" * 32
UPLOAD = Upload(
    id=ID,
    state="validating",
    message="It is compiled.",
    dag_id="a",
    digest=None,
    user="ann",
    started_at=datetime.now(timezone.utc).isoformat(),
    seconds=0.0,
    problems=(Problem("wrong", "main.cwl", 1),),
    excerpts=(Excerpt("main.cwl", 1, 1, ("cwlVersion: v1.2",)),),
)


def read(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Upload:
    store = SimpleNamespace(told_upload=lambda _id: text)
    monkeypatch.setattr(upload_state, "site_store", lambda: store)
    return UploadFolder(folder, ID).read()


def test_an_upload_of_another_machine_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = read(monkeypatch, tmp_path, json.dumps(asdict(UPLOAD)))
    assert found.seconds >= 0
    assert (found.problems, found.excerpts, found.state) == (UPLOAD.problems, UPLOAD.excerpts, "validating")


@pytest.mark.parametrize(
    "changed",
    [
        {"started_at": 5},
        {"started_at": "yesterday"},
        {"started_at": "2026-12-01T00:00:00"},
        {"state": 5},
        {"state": "elsewhere"},
        {"state": "done", "message": ["x"]},
        {"state": "done", "user": {"x": 1}},
        {"state": "failed", "status": 10**9},
        {"state": "failed", "problems": [{"message": 5}]},
        {"state": "failed", "problems": 5},
        {"state": "failed", "excerpts": [5]},
        {"state": "done", "id": "2" * 32},
    ],
    ids=range(12),
)
def test_what_is_none_is_no_upload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        read(monkeypatch, tmp_path, json.dumps({**asdict(UPLOAD), **changed}))


@pytest.mark.parametrize("text", ["", "5", "[]", "{}", "[" * 100_000], ids=range(5))
def test_what_is_no_record_is_no_upload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    with pytest.raises(NotFound):
        read(monkeypatch, tmp_path, text)
