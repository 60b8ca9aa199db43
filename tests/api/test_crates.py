"""Sending a crate, and having the report of a run, by REST."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any


def test_what_is_no_crate_is_refused_in_words(client: Callable[[str], Any]) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.cwl", "x")
    operator = client("op")
    for content in (b"no zip", made.getvalue()):
        answer = operator.post("/cwl/api/v1/crates", files={"file": ("x.zip", content)})
        assert (answer.status_code, "zip" in answer.json()["detail"]) == (400, True)


def test_a_report_runs_nothing(client: Callable[[str], Any], make_workflow: Callable[[], str]) -> None:
    operator, dag_id = client("op"), make_workflow()
    run_id = operator.post(f"/cwl/api/v1/workflows/{dag_id}/runs", json={"job": {"text": "x"}}).json()["run_id"]
    answer = operator.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}/report")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert run_id in answer.text
