"""The pages start no run with files of others: neither the form nor "Run again"."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cwl_ui_plugin.services.inputs import single
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import triggers


@pytest.fixture
def sent(folders: Path) -> Path:
    """An upload of the user with the role ``user``."""
    return single.save_input("a.txt", io.BytesIO(b"x"), user="the-user")


@pytest.fixture
def post(browser: Callable[..., Any], csrf: Callable[[Any], str]) -> Callable[..., Any]:
    token = csrf(admin := browser("admin"))

    def send(role: str, path: str, **data: str) -> Any:
        client = browser(role)
        client.set_cookie("session", admin.get_cookie("session").value)
        return client.post(path, data={"csrf_token": token, **data})

    return send


def job_of(path: Path) -> dict[str, Any]:
    return {"text": "x", "file": {"class": "File", "location": str(path)}}


def test_the_form_takes_own_uploads_only(post: Callable[..., Any], workflow: str, sent: Path) -> None:
    job = json.dumps(job_of(sent))
    for role, status, runs in (("op", 422, 0), ("user", 200, 1)):
        answer = post(role, f"/cwl/workflows/{workflow}/run", run_id=f"r-{uuid.uuid4()}", job=job)
        assert (answer.status_code, queries.list_runs([workflow]).total) == (status, runs), role


def test_run_again_takes_own_uploads_only(post: Callable[..., Any], workflow: str, sent: Path) -> None:
    mine = InputAccess("the-user", lambda _dag_id: False)
    conf, run_id = {"job": job_of(sent)}, f"r-{uuid.uuid4()}"
    triggers.trigger(workflow, conf=conf, run_id=run_id, user="the-user", via=triggers.VIEW, files=mine)
    again = f"/cwl/again?{urlencode({'dag_id': workflow, 'run_id': run_id})}"
    refused = post("op", again)
    assert (refused.status_code, "are not yours" in refused.text) == (422, True)
    assert post("user", again).status_code == 200
    assert queries.list_runs([workflow]).total == 2


def test_no_page_shows_a_grant_or_copies_it(
    browser: Callable[..., Any], post: Callable[..., Any], workflow: str, run_id: str
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    admin = browser("admin")
    for path in (
        f"/cwl/run?{urlencode({'dag_id': workflow, 'run_id': run_id})}",
        f"/cwl/workflows/{workflow}/run?from_run={run_id}",
        f"/cwl/runs?dag_id={workflow}",
        f"/cwl/workflows/{workflow}",
    ):
        answer = admin.get(path)
        assert (answer.status_code, "cwl_grant" in answer.text) == (200, False), path
    assert post("op", f"/cwl/again?{urlencode({'dag_id': workflow, 'run_id': run_id})}").status_code == 200
    conf = json.dumps({"job": {"text": "x"}, "cwl_grant": "a.b.c"})
    brought = post("op", f"/cwl/workflows/{workflow}/run", run_id=f"r-{uuid.uuid4()}", job="text: x", conf=conf)
    assert (brought.status_code, "cwl_grant" in brought.text) == (400, True)
    with create_session() as session:
        confs = session.scalars(select(DagRun.conf).where(DagRun.dag_id == workflow)).all()
    assert len({conf["cwl_grant"] for conf in confs}) == 2
