"""Grants and refusals: nothing but the service says what a run may do, and who was refused is known."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.airflow_server import wait_for
from support.cast import API, HIDDEN, OLD, RUN, SHOWN, VIEWS, Site
from support.hostile_jobs import TABLES, at, by_rest

from cwl_ui_plugin.services.triggering import refusals

pytestmark = pytest.mark.e2e


TO_AIRFLOW = (
    "file '/etc/passwd'", "folder 'uploads'", "folder '.'", "file in a secondary file", "basename '../x'",
    "basename '/tmp/x' of a folder", "output_folder '/tmp/evil-out'", f"output_folder '../{HIDDEN}'",
    "tmp_folder '/tmp/evil-out'", "key a:b", "cwltool:overrides",
)  # fmt: skip


def test_airflows_own_api_gets_no_hostile_job_executed(site: Site) -> None:
    """Airflow creates the run; its first task refuses the job, and nothing of it is executed."""
    if site.auth == "fab":
        pytest.skip("tasks know of no auth manager")
    jobs = {name: job for table in TABLES for name, job in table(site).items()}
    escape = next(name for name in jobs if name.startswith("cwl:requirements [{'class': 'Inline"))
    runs = {f"evil-{uuid.uuid4()}": name for name in (*TO_AIRFLOW, escape)}
    with site.client("the-user") as user, site.client() as admin:
        for run_id, name in runs.items():
            body = {"dag_run_id": run_id, "conf": {"job": {"text": "x", **jobs[name]}}, "logical_date": None}
            answer = user.post(f"/api/v2/dags/{SHOWN}/dagRuns", json=body)
            assert answer.status_code in (200, 400, 403, 422), (name, answer.text)
        created = site.runs()
        for run_id, name in runs.items():
            if run_id in created:
                run = site.server.wait_for_run(admin, SHOWN, run_id)
                assert run["state"] == "failed", name
                assert run["error"], name
                assert "Traceback" not in run["error"], name
                states = {step["task_id"]: step["state"] for step in run["steps"]}
                assert states[SHOWN] in ("upstream_failed", "skipped", None), (name, states)
    assert not list(Path("/tmp").glob("evil-*"))


FORGED = (
    *("x", "", None, 1, {}, [], {"user": "admin"}, "a.b.c"),
    "eyJhbGciOiJub25lIn0.eyJkYWdfaWQiOiJzaG93biJ9.",
)


def test_no_conf_brings_a_grant(site: Site) -> None:
    before = site.runs()
    with site.client("the-user") as user:
        for forged in FORGED[:1] + FORGED[2:]:
            conf = {"job": {"text": "x"}, "cwl_grant": forged}
            answer = user.post(f"{API}/workflows/{SHOWN}/runs", json={"run_id": "evil-grant", "conf": conf})
            assert answer.status_code in (400, 403, 422), (forged, answer.text)
            answer = user.post(f"{OLD}/dags/{SHOWN}/dag_runs", json={"run_id": "evil-grant", "conf": conf})
            assert answer.status_code in (400, 403, 422), (forged, answer.text)
            body = {"dag_run_id": "evil-grant", "conf": conf, "logical_date": None}
            answer = user.post(f"/api/v2/dags/{SHOWN}/dagRuns", json=body)
            assert answer.status_code in (400, 403, 422), (forged, answer.text)
    assert site.runs() == before


def test_no_grant_is_shown_or_borrowed(site: Site) -> None:
    """What the service has put beside the conf of one run is of no use for another, and no page of ours shows it."""
    with site.client("the-user") as user, site.client() as admin:
        conf = admin.get(f"/api/v2/dags/{SHOWN}/dagRuns/{RUN}").json()["conf"]
        grant = conf.get("cwl_grant")
        assert grant, "the service puts a grant beside the conf"
        paths = [f"{API}/workflows/{SHOWN}/runs/{RUN}", f"{VIEWS}/run?dag_id={SHOWN}&run_id={RUN}"]
        paths += [
            f"{VIEWS}/workflows/{SHOWN}/run?from_run={RUN}",
            f"{VIEWS}/compare?run={SHOWN}/{RUN}&run={SHOWN}/{RUN}",
        ]
        for path in paths:
            text = user.get(path).text
            assert str(grant) not in text, path
            assert "cwl_grant" not in text, path
        body = {"dag_run_id": "borrowed", "conf": {"job": {"text": "x"}, "cwl_grant": grant}, "logical_date": None}
        assert user.post(f"/api/v2/dags/{SHOWN}/dagRuns", json=body).status_code in (400, 403, 422)
        assert "borrowed" not in site.runs()


def test_refused_attempts_are_in_airflows_audit_log(site: Site) -> None:
    with site.client("the-user") as user, site.client() as admin:

        def entry() -> list[Any]:
            run_id = f"evil-{uuid.uuid4()}"
            assert by_rest(site, user, {"text": "x", **at("/etc/passwd")}, run_id).status_code == 422
            asked = {"dag_id": SHOWN, "owner": "the-user", "event": refusals.EVENT, "order_by": "-event_log_id"}
            found = admin.get("/api/v2/eventLogs", params=asked).json()["event_logs"]
            # The same refusal is written once a minute: then an earlier test's attempt stands there.
            return [log for log in found if (log["run_id"] or "").startswith("evil-") and "file" in log["extra"]]

        wait_for(entry, 150, "the entry of the audit log")


def test_what_tasks_hand_on_is_not_edited(site: Site) -> None:
    """An XCom that names a file of the machine, and a task that is cleared: it would be read as the worker's user."""
    path = f"/api/v2/dags/{SHOWN}/dagRuns/{RUN}/taskInstances"
    forged = {"value": {"file": [{"class": "File", "location": "file:///etc/passwd"}, "success"]}, "map_index": -1}
    with site.client("the-user") as user, site.client() as admin:
        for client in (user, admin):
            for task in ("CWLJobDispatcher", SHOWN):
                entries = f"{path}/{task}/xcomEntries"
                assert client.patch(f"{entries}/return_value", json=forged).status_code == 403
                assert client.post(entries, json={**forged, "key": "other"}).status_code == 403
                assert client.delete(f"{entries}/return_value").status_code == 403
        assert "/etc/passwd" not in admin.get(f"{path}/CWLJobDispatcher/xcomEntries/return_value").text


@pytest.mark.parametrize(
    "name", ["../" * 20 + "etc/passwd", f"../../../../../../../outputs/{HIDDEN}/{RUN}/out.txt", "../*"]
)
def test_no_pattern_from_a_job_leads_out_of_the_commands_folder(site: Site, name: str) -> None:
    """A document may look for its outputs by the value of an input: that is a name, and no way to files of others."""
    if site.auth == "fab":
        pytest.skip("tasks know of no auth manager")
    inputs = {"text": {"type": "string"}}
    tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": ["echo", "x"], "inputs": inputs}
    found = {"type": {"type": "array", "items": ["File", "Directory"]}, "outputBinding": {"glob": "$(inputs.text)"}}
    with site.client() as admin:
        sent = {"files": ("named.cwl", json.dumps({**tool, "outputs": {"found": found}}))}
        assert admin.post(f"{API}/workflows", files=sent).status_code == 201
        run_id = f"named-{uuid.uuid4()}"
        assert site.trigger("the-user", "named", run_id, {"text": name}).status_code == 201
        run = site.server.wait_for_run(admin, "named", run_id)
        assert run["state"] == "failed"
        assert "leads out" in run["error"], run["error"]
        assert admin.get(f"{API}/workflows/named/runs/{run_id}/files").json() == []
