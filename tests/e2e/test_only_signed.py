"""Where only signed runs are allowed, no way of creating a run gets another one executed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from support.airflow_server import DAG_FILE_ID, Server, standalone

from cwl_ui_plugin.signing.keys import KeyPair, fingerprint

ALGORITHM = "EdDSA"

pytestmark = pytest.mark.e2e

CONF = {"job": {"name": "Ada"}}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, pair: KeyPair) -> Iterator[Server]:
    """A server that runs only what is signed."""
    variables = {"AIRFLOW__CWL__REQUIRE_SIGNED_CONF": "True", "AIRFLOW__CWL__JWT_BACKEND_USER": "admin"}
    with standalone(tmp_path_factory.mktemp("strict") / "home", "simple", **variables) as running:
        with running.client() as client:
            for key, value in (
                ("jwt_backend_public_key", pair.public),
                ("jwt_backend_crypt_algorithm", "EdDSA"),
            ):
                client.post("/api/v2/variables", json={"key": key, "value": value}).raise_for_status()
        yield running


def signed(pair: KeyPair, run_id: str, conf: Any = CONF, **claims: Any) -> dict[str, Any]:
    token = jwt.encode({"run_id": run_id, "conf": conf, **claims}, pair.private, algorithm="EdDSA")
    return {**CONF, "check_payload": token}


def by_airflow_rest(server: Server, run_id: str, conf: dict[str, Any], **more: Any) -> None:
    body = {"dag_run_id": run_id, "conf": conf, "logical_date": None, **more}
    with server.client() as client:
        client.post(f"/api/v2/dags/{DAG_FILE_ID}/dagRuns", json=body).raise_for_status()


def by_airflow_command(server: Server, run_id: str, conf: dict[str, Any]) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run(
        [airflow, "dags", "trigger", DAG_FILE_ID, "--run-id", run_id, "--conf", json.dumps(conf)],
        env={**environment, "AIRFLOW_HOME": str(server.home)},
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize(("create", "is_looked_into"), [(by_airflow_rest, True), (by_airflow_command, False)])
def test_only_what_is_signed_is_executed(strict: Server, pair: KeyPair, create: Any, is_looked_into: bool) -> None:
    """Airflow's API refuses a signature that does not hold; what is written into the database fails in its task."""
    unsigned, changed, good = (f"{kind}-{uuid.uuid4()}" for kind in ("unsigned", "changed", "good"))
    reasons, forged = {unsigned: "no signature"}, {**signed(pair, changed), "job": {"name": "Eve"}}
    create(strict, unsigned, CONF)
    if is_looked_into:
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            create(strict, changed, forged)
    else:
        create(strict, changed, forged)
        reasons[changed] = "another conf"
    create(strict, good, signed(pair, good))
    with strict.client() as client:
        for run_id, reason in reasons.items():
            run = strict.wait_for_run(client, DAG_FILE_ID, run_id)
            assert run["state"] == "failed"
            assert reason in run["error"]
            states = {step["task_id"]: step["state"] for step in run["steps"]}
            assert states.pop("CWLJobDispatcher") == "failed"
            assert set(states.values()) == {"upstream_failed"}
        assert strict.wait_for_run(client, DAG_FILE_ID, good)["state"] == "success"


def states_of(run: dict[str, Any]) -> dict[str, str]:
    return {step["task_id"]: step["state"] for step in run["steps"]}


def test_a_caller_does_not_choose_when_a_signature_must_hold(strict: Server, pair: KeyPair) -> None:
    """A signature that holds when the run is created, but not when it starts; and one that has expired."""
    run_id, now = f"late-{uuid.uuid4()}", datetime.now(timezone.utc)
    conf = signed(pair, run_id, exp=now.timestamp() + 20)
    by_airflow_rest(strict, run_id, conf, run_after=(now + timedelta(seconds=22)).isoformat())
    with strict.client() as client:
        run = strict.wait_for_run(client, DAG_FILE_ID, run_id)
    assert (run["state"], "expired" in run["error"]) == ("failed", True)
    expired = signed(pair, f"{run_id}-2", exp=int(now.timestamp()) - 60)
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        by_airflow_rest(strict, f"{run_id}-2", expired, run_after=(now - timedelta(hours=1)).isoformat())


def test_a_signature_starts_one_run_by_any_way(strict: Server, pair: KeyPair) -> None:
    run_id = f"once-{uuid.uuid4()}"
    conf = signed(pair, run_id)
    by_airflow_rest(strict, run_id, conf)
    with strict.client() as client:
        run = strict.wait_for_run(client, DAG_FILE_ID, run_id)
        assert (run["state"], run["signature"]["fingerprint"]) == ("success", fingerprint(pair.public))
        client.delete(f"/api/v2/dags/{DAG_FILE_ID}/dagRuns/{run_id}").raise_for_status()
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        by_airflow_rest(strict, run_id, conf)
    url = f"{strict.url}/api/experimental/dags/{DAG_FILE_ID}/dag_runs"
    sent = {"run_id": run_id, "conf": CONF, "check_payload": conf["check_payload"]}
    assert httpx.post(url, json=sent, trust_env=False).status_code == 409


def test_marking_the_first_task_as_done_runs_nothing_unsigned(strict: Server) -> None:
    run_id = f"marked-{uuid.uuid4()}"
    by_airflow_rest(strict, run_id, CONF)
    place = f"/api/v2/dags/{DAG_FILE_ID}"
    with strict.client() as client:
        first = states_of(strict.wait_for_run(client, DAG_FILE_ID, run_id))
        others = sorted(first.keys() - {"CWLJobDispatcher"})
        marked = f"{place}/dagRuns/{run_id}/taskInstances/CWLJobDispatcher"
        client.patch(marked, json={"new_state": "success"}).raise_for_status()
        cleared = {"dag_run_id": run_id, "task_ids": others, "dry_run": False, "only_failed": False}
        client.post(f"{place}/clearTaskInstances", json=cleared).raise_for_status()
        run = strict.wait_for_run(client, DAG_FILE_ID, run_id)
    states = states_of(run)
    assert states.pop("CWLJobDispatcher") == "success"
    assert set(states.values()) <= {"failed", "upstream_failed"}
    assert "failed" in states.values()
    assert "no signature" in run["error"]


def test_a_grant_is_of_no_use_to_anybody_else(strict: Server, pair: KeyPair) -> None:
    """Whoever may see the run sees it; Airflow's API takes it for no other run, nor for the same one anew."""
    run_id = f"granted-{uuid.uuid4()}"
    conf = signed(pair, run_id)
    url = f"{strict.url}/api/experimental/dags/{DAG_FILE_ID}/dag_runs"
    sent = {"run_id": run_id, "conf": CONF, "check_payload": conf["check_payload"]}
    assert httpx.post(url, json=sent, trust_env=False).status_code == 200
    place = f"/api/v2/dags/{DAG_FILE_ID}/dagRuns"
    with strict.client() as client:
        assert strict.wait_for_run(client, DAG_FILE_ID, run_id)["state"] == "success"
        granted = client.get(f"{place}/{run_id}").json()["conf"]
        assert set(granted) == {"job", "check_payload", "cwl_grant"}
        client.delete(f"{place}/{run_id}").raise_for_status()
        for name in (run_id, f"{run_id}-2"):
            answer = client.post(place, json={"dag_run_id": name, "conf": granted, "logical_date": None})
            assert (answer.status_code, "cwl_grant" in answer.text) == (400, True)
        assert httpx.post(url, json=sent, trust_env=False).status_code == 409
        forged = f"{run_id}-3"
        by_airflow_command(strict, forged, granted)
        run = strict.wait_for_run(client, DAG_FILE_ID, forged)
        assert (run["state"], "another run_id" in run["error"]) == ("failed", True)
        refused = client.get("/api/v2/eventLogs", params={"event": "cwl_refused_trigger"}).json()["event_logs"]
        assert {entry["dag_id"] for entry in refused} == {DAG_FILE_ID}


def test_a_signed_trigger_runs_as_the_user_that_is_named(strict: Server, pair: KeyPair) -> None:
    run_id = f"signed-{uuid.uuid4()}"
    conf = json.dumps(CONF)
    token = jwt.encode({"run_id": run_id, "conf": conf}, pair.private, algorithm="EdDSA")
    url = f"{strict.url}/api/experimental/dags/{DAG_FILE_ID}/dag_runs"
    answer = httpx.post(url, json={"run_id": run_id, "conf": conf, "check_payload": token}, trust_env=False)
    assert answer.status_code == 200, answer.text
    with strict.client() as client:
        run = strict.wait_for_run(client, DAG_FILE_ID, run_id)
        assert (run["state"], run["user"]) == ("success", "admin")
        assert run["signature"].pop("verified_at")
        assert run["signature"] == {"algorithm": "EdDSA", "fingerprint": fingerprint(pair.public)}
        log = client.get("/api/v2/eventLogs", params={"event": "cwl_signed_trigger"}).json()["event_logs"]
        (entry,) = (entry for entry in log if entry["run_id"] == run_id)
        assert entry["owner"] == "admin"
        assert fingerprint(pair.public) in entry["extra"]
