"""The API for workers without common folders: a task's token is good for its own try, and for nothing else."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.execution_tokens import execution_token, instance_of
from support.stored import set_task

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest, TaskProcess
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.library import carrying
from cwl_ui_plugin.library.store import WorkflowStore

API = "/cwl/worker/v1"
MACHINE, OTHER = "a" * 32, "b" * 32
LEASE = {"host": "far-away", "machine": MACHINE, "pid": 4711, "folder": "f" * 32}
LOOK = {"machine": MACHINE, "folder": "f" * 32}
GIVE_BACK = f"/lease?machine={MACHINE}&pid=4711"
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", "/lease", {"json": LEASE}),
    ("DELETE", GIVE_BACK, {}),
    ("POST", "/look", {"json": LOOK}),
    ("POST", "/reply", {"json": {"machine": MACHINE, "number": "1", "left": []}}),
    ("POST", "/logs/stderr.log", {"content": b"x"}),
    ("GET", "/document", {}),
    ("GET", "/document/archive?revision=x", {}),
    ("GET", f"/grant-keys/{'0' * 64}", {}),
    ("GET", "/secrets", {}),
    ("PUT", "/secrets", {"json": {"secrets": {}}}),
]


@pytest.fixture
def remote(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", "s3://intermediate")
    return folders


@pytest.fixture
def running(workflow: str, run_id: str) -> TaskTry:
    """A task that runs, as far as Airflow's database tells."""
    set_task(workflow, run_id, "say", state="running", try_number=1, hostname="far-away")
    return TaskTry(workflow, run_id, "say", -1, 1)


@pytest.fixture
def instance(running: TaskTry) -> str:
    return instance_of(running.dag_id, running.run_id, running.task_id)


@pytest.fixture
def call(site: Any, remote: Path, instance: str, portal: Any) -> Callable[..., Any]:
    """Make a call with the token of the task, or another one."""
    from fastapi.testclient import TestClient

    client = TestClient(site, raise_server_exceptions=False)
    client.portal = portal

    def made(method: str, path: str, token: str | None = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {execution_token(instance) if token is None else token}"}
        return client.request(method, f"{API}{path}", headers=headers, **options)

    return made


def test_nothing_is_served_where_all_machines_share_folders(call, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", "")
    assert [call(method, path, **options).status_code for method, path, options in CALLS] == [404] * len(CALLS)


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"aud": "urn:somebody.else"},
    {"aud": None},
    {"exp": 1},
    {"exp": None},
    {"iat": None},
    {"nbf": 2**33},
    {"scope": "workload"},
    {"sub": "no-uuid"},
    {"sub": None},
    {"secret": "another-secret-of-somebody-else-that-is-long-enough-for-hs512-signatures"},
    {"algorithm": "HS256"},
]


def test_a_token_that_airflow_would_not_take_is_refused_everywhere(call, instance, running):
    content = jwt.decode(execution_token(instance), options={"verify_signature": False})
    tokens = {str(claims): execution_token(instance, **claims) for claims in WRONG_CLAIMS}
    tokens["unsigned"] = jwt.encode(content, "", algorithm="none")
    for wrong, token in tokens.items():
        answers = [call(method, path, token, **options).status_code for method, path, options in CALLS]
        assert answers == [403] * len(CALLS), wrong
        assert not running.lease_file.exists(), wrong


def test_neither_no_token_nor_the_token_of_a_user_is_one(call, token, site):
    from fastapi.testclient import TestClient

    assert call("PUT", "/lease", token("admin"), json=LEASE).status_code == 403
    assert TestClient(site).put(f"{API}/lease", json=LEASE).status_code == 401


def test_a_token_of_a_task_that_airflow_does_not_know_does_nothing(call):
    stranger = execution_token(str(uuid.uuid4()))
    answers = [call(method, path, stranger, **options).status_code for method, path, options in CALLS]
    assert answers == [404] * len(CALLS)


def test_a_lease_is_written_before_and_taken_back_after(call, running, instance):
    answer = call("PUT", "/lease", json=LEASE)
    assert answer.json() == {"shares_folders": False, "stopped": None}
    (held,) = run_folder.leases(running.dag_id, running.run_id)
    assert (held.host, held.pid, held.instance, held.is_here) == ("far-away", 4711, instance, False)
    assert call("PUT", "/lease", json=LEASE).status_code == 200  # told again, as its answer was lost
    assert call("DELETE", GIVE_BACK).status_code == 204
    assert run_folder.leases(running.dag_id, running.run_id) == []
    assert call("DELETE", GIVE_BACK).status_code == 204


def test_a_lease_of_this_very_boot_is_none_of_this_machine(call, running):
    from cwl_ui_plugin.cwl.processes.machine import this_host
    from cwl_ui_plugin.dags.stopping import janitor

    call("PUT", "/lease", json={**LEASE, "host": this_host()})
    janitor.end_abandoned(for_worker=True)
    assert running.lease_file.exists()


def test_a_worker_that_has_the_servers_own_folder_needs_no_copy(call, running):
    from cwl_ui_plugin.dags.folders import control_files

    answer = call("PUT", "/lease", json={**LEASE, "folder": control_files.folder_id()})
    assert answer.json() == {"shares_folders": True, "stopped": None}
    assert not running.lease_file.exists()


def test_a_worker_that_has_the_servers_own_folder_hears_nothing_that_it_could_write_there(call, running):
    from cwl_ui_plugin.dags.folders import control_files

    tombstones.write(Tombstone(running.dag_id, running.run_id, "eve", 1.0))
    stop_orders.write_request(order_of(running))
    answer = call("POST", "/look", json={**LOOK, "folder": control_files.folder_id()})
    assert answer.json() == {"shares_folders": True, "stopped": None, "order": None, "is_leased": False}
    assert not stop_orders.has_janitor(machine=f"relayed-{MACHINE}")


def test_a_lease_that_arrives_after_it_was_given_back_is_none(call, running, monkeypatch):
    from cwl_ui_plugin.services.workers import leases

    assert call("DELETE", GIVE_BACK).status_code == 204
    assert call("PUT", "/lease", json=LEASE).status_code == 409
    assert not running.lease_file.exists()
    # a task that Airflow has let wait goes on in another process, as the same try
    assert call("PUT", "/lease", json={**LEASE, "pid": 4712}).status_code == 200
    assert call("PUT", "/lease", json=LEASE).status_code == 409
    assert [held.pid for held in run_folder.leases(running.dag_id, running.run_id)] == [4712]
    leases.forget_given_back()
    assert call("PUT", "/lease", json=LEASE).status_code == 409
    monkeypatch.setattr(leases, "GIVEN_BACK_SECONDS", -1.0)
    leases.forget_given_back()
    assert call("PUT", "/lease", json=LEASE).status_code == 200


def test_a_lease_that_is_given_back_while_it_is_written_is_none(call, running, monkeypatch):
    from cwl_ui_plugin.dags.folders import control_files

    reread = control_files.reread

    def meanwhile(folder: Path, **options: bool) -> None:
        reread(folder, **options)
        monkeypatch.setattr(control_files, "reread", reread)
        assert call("DELETE", GIVE_BACK).status_code == 204

    monkeypatch.setattr(control_files, "reread", meanwhile)
    assert call("PUT", "/lease", json=LEASE).status_code == 409
    assert not running.lease_file.exists()


def test_a_server_without_keys_says_that_it_can_not_tell_now(call, monkeypatch):
    from airflow.api_fastapi.auth.tokens import JWKS, JWTValidator

    from cwl_ui_plugin.auth import execution_tokens

    missing = JWTValidator(jwks=JWKS(url="/there/is/no/such/file"), audience="a", algorithm=["RS256"])
    monkeypatch.setattr(execution_tokens, "_validator", lambda: missing)
    signed = jwt.encode({"sub": "x"}, "k" * 64, algorithm="HS512", headers={"kid": "one"})
    answers = [call(method, path, signed, **options).status_code for method, path, options in CALLS]
    assert answers == [503] * len(CALLS)


def test_the_answer_to_a_lease_says_that_the_run_is_stopped(call, running):
    tombstones.write(Tombstone(running.dag_id, running.run_id, "eve", 1.0))
    stopped = call("PUT", "/lease", json=LEASE).json()["stopped"]
    assert (stopped["user"], stopped["run_id"]) == ("eve", running.run_id)
    assert running.lease_file.exists()


def test_a_task_that_does_not_run_gets_no_lease_and_no_document(call, running):
    for state in ("success", "failed", "queued", "up_for_retry", "restarting", None):
        set_task(running.dag_id, running.run_id, running.task_id, state=state)
        assert call("PUT", "/lease", json=LEASE).status_code == 403, state
        assert call("GET", "/document").status_code == 403, state
        assert not running.lease_file.exists(), state


def test_a_task_that_has_ended_can_still_say_what_is_left(call, running):
    call("PUT", "/lease", json=LEASE)
    set_task(running.dag_id, running.run_id, running.task_id, state="failed")
    assert call("POST", "/logs/stderr.log", content=b"the end").json() == {"size": 7}
    assert call("POST", "/look", json=LOOK).json()["is_leased"]
    assert call("DELETE", GIVE_BACK).status_code == 204
    assert call("POST", "/logs/stderr.log?offset=7", content=b"more").status_code == 403


def test_an_earlier_try_takes_nothing_from_a_later_one(call, running, instance):
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update
    from uuid6 import uuid7

    call("PUT", "/lease", json=LEASE)
    first = execution_token(instance)
    with create_session() as session:
        session.execute(update(TaskInstance).where(TaskInstance.id == uuid.UUID(instance)).values(id=uuid7()))
    later = execution_token(instance_of(running.dag_id, running.run_id, running.task_id))
    assert call("DELETE", GIVE_BACK, first).status_code == 404
    assert call("PUT", "/lease", later, json={**LEASE, "machine": OTHER}).status_code == 409
    assert call("DELETE", GIVE_BACK, later).status_code == 204
    assert call("POST", "/logs/stderr.log", later, content=b"x").status_code == 403
    (held,) = run_folder.leases(running.dag_id, running.run_id)
    assert held.instance == instance


def test_another_task_of_the_same_run_touches_nothing_of_this_one(call, running):
    call("PUT", "/lease", json=LEASE)
    set_task(running.dag_id, running.run_id, "CWLJobDispatcher", state="running", try_number=1)
    other = execution_token(instance_of(running.dag_id, running.run_id, "CWLJobDispatcher"))
    assert call("DELETE", GIVE_BACK, other).status_code == 204
    assert running.lease_file.exists()
    assert call("POST", "/logs/stderr.log", other, content=b"x").status_code == 403
    assert not (running.folder / "stderr.log").exists()


def test_what_no_worker_says_is_refused(call, running):
    wrong = [
        {"machine": "../../../etc"},
        {"machine": "A" * 32},
        {"host": ""},
        {"host": "x" * 1000},
        {"host": "two\nlines"},
        {"pid": 0},
        {"pid": 2**40},
        {"pod": "p" * 1000},
        {"more": 1},
        {"folder": None},
    ]
    for changes in wrong:
        assert call("PUT", "/lease", json={**LEASE, **changes}).status_code in (400, 422), changes
        assert not running.lease_file.exists(), changes


def order_of(task: TaskTry, **changes: Any) -> StopRequest:
    tasks = (TaskProcess("say", "far-away", 4711, 1.0), TaskProcess("other", "elsewhere", 1, 1.0))
    values: dict[str, Any] = {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "user": "eve",
        "began": 1.0,
        "grace": 2.0,
        "has_folder": True,
        "number": "n1",
        "machine": "the-servers",
        "uid": 0,
        "tasks": tasks,
    }
    return StopRequest(**{**values, **changes})


def test_an_order_is_heard_by_the_run_it_is_for_and_answered(call, running):
    assert call("POST", "/look", json=LOOK).json() == {
        "shares_folders": False,
        "stopped": None,
        "order": None,
        "is_leased": False,
    }
    order = order_of(running)
    stop_orders.write_request(order)
    call("PUT", "/lease", json=LEASE)
    told = call("POST", "/look", json=LOOK).json()["order"]
    assert (told["number"], told["grace"]) == ("n1", 2.0)
    assert [task["host"] for task in told["tasks"]] == ["far-away"]
    assert stop_orders.has_janitor(machine=f"relayed-{MACHINE}")
    answer = {"machine": MACHINE, "number": "n1", "left": ["far-away: pid 4711"]}
    assert call("POST", "/reply", json=answer).status_code == 204
    (reply,) = stop_orders.replies(order)
    assert (reply.machine, reply.hosts, reply.left) == (f"relayed-{MACHINE}", ("far-away",), ("far-away: pid 4711",))
    assert call("POST", "/reply", json={**answer, "number": "n2"}).status_code == 409
    assert call("POST", "/reply", json={**answer, "machine": OTHER}).status_code == 400
    assert call("POST", "/look", json={**LOOK, "machine": OTHER}).status_code == 400
    flood = call("POST", "/reply", json={**answer, "left": ["x" * 10_000] * 5_000})
    assert flood.status_code == 413 or len(stop_orders.replies(order)[0].left) <= 200


def test_an_order_for_another_run_is_not_told(call, running):
    stop_orders.write_request(order_of(running, run_id="another"))
    assert call("POST", "/look", json=LOOK).json()["order"] is None
    assert call("POST", "/reply", json={"machine": MACHINE, "number": "n1", "left": []}).status_code == 409


def test_a_log_grows_from_its_end_and_says_where_that_is(call, running):
    call("PUT", "/lease", json=LEASE)
    assert call("POST", "/logs/stdout.log?offset=0", content=b"one ").json() == {"size": 4}
    again = call("POST", "/logs/stdout.log?offset=0", content=b"one ")
    assert (again.status_code, again.json()["size"]) == (409, 4)
    assert call("POST", "/logs/stdout.log?offset=9", content=b"gap").json()["size"] == 4
    assert call("POST", "/logs/stdout.log?offset=4", content=b"two").json() == {"size": 7}
    assert (running.folder / "stdout.log").read_bytes() == b"one two"
    assert call("POST", "/logs/command.json", content=b"[1]").json() == {"size": 3}
    assert call("POST", "/logs/command.json", content=b"[]").json() == {"size": 2}


def test_a_log_is_none_of_any_name_and_never_too_large(call, running):
    call("PUT", "/lease", json=LEASE)
    for name in ("..%2f..%2fx", "passwd", "stdout.log%00", ".", "%2e%2e"):
        assert call("POST", f"/logs/{name}", content=b"x").status_code in (400, 404, 405), name
    most = run_folder.MAX_KEPT_LOG
    assert call("POST", f"/logs/stdout.log?offset={most}", content=b"x").status_code == 413
    assert call("POST", "/logs/stdout.log", content=b"x" * (config.MEBIBYTE + 1)).status_code == 413
    assert call("POST", "/logs/stdout.log", content=b"x" * (8 * config.MEBIBYTE)).status_code == 413
    assert not (running.folder / "stdout.log").exists()


@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe", "linked folder"])
def test_a_log_goes_nowhere_else(call, running, remote, kind):
    import os

    call("PUT", "/lease", json=LEASE)
    target, log = remote / "target", running.folder / "stdout.log"
    target.write_text("mine")
    if kind == "linked folder":
        running.folder.parent.mkdir(parents=True)
        (remote / "elsewhere").mkdir()
        running.folder.symlink_to(remote / "elsewhere")
    else:
        running.folder.mkdir(parents=True)
        {"link": lambda: log.symlink_to(target), "hard link": lambda: os.link(target, log)}.get(
            kind, lambda: log.mkdir() if kind == "folder" else os.mkfifo(log)
        )()
    assert call("POST", "/logs/stdout.log", content=b"x").status_code >= 400
    assert target.read_text() == "mine"
    assert not list(remote.glob("elsewhere/*"))


def test_the_document_of_its_own_run_is_all_that_a_task_gets(call, running, remote, make_workflow):
    store, other = WorkflowStore(remote / "workflows"), make_workflow()
    found = call("GET", "/document").json()
    assert found == {"dag_id": running.dag_id, "revision": store.current_revision(running.dag_id)}
    assert call("GET", f"/document/archive?revision={store.current_revision(other)}x").status_code == 404
    answer = call("GET", "/document/archive", params={"revision": found["revision"]})
    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["X-Content-SHA256"]
    root = remote / "fetched"
    carrying.unpack(io.BytesIO(answer.content), root, running.dag_id, found["revision"], most=10**6)
    fetched = WorkflowStore(root)
    assert fetched.pinned(running.dag_id, found["revision"]).plan == store.current(running.dag_id).plan
    assert fetched.all_dag_ids() == [running.dag_id] or set(fetched.all_dag_ids()) == {running.dag_id}


def test_a_token_that_ends_soon_is_answered_with_another_while_there_is_work(call, running, instance):
    now = int(time.time())
    soon = execution_token(instance, iat=now - 590, exp=now + 10)
    answer = call("POST", "/look", soon, json=LOOK)
    fresh = answer.headers["Refreshed-API-Token"]
    assert jwt.decode(fresh, options={"verify_signature": False})["sub"] == instance
    assert call("PUT", "/lease", fresh, json=LEASE).status_code == 200
    set_task(running.dag_id, running.run_id, running.task_id, state="failed")
    assert "Refreshed-API-Token" in call("POST", "/look", soon, json=LOOK).headers
    call("DELETE", GIVE_BACK)
    assert "Refreshed-API-Token" not in call("POST", "/look", soon, json=LOOK).headers
    assert "Refreshed-API-Token" not in call("POST", "/look", json=LOOK).headers


def test_a_public_key_of_grants_is_had_by_its_name(call, remote):
    from cwl_ui_plugin.dags.access import grants

    key = "-----BEGIN PUBLIC KEY-----"
    grants.keep_key(grants.key_id(key), key)
    assert call("GET", f"/grant-keys/{grants.key_id(key)}").json() == {"key": key}
    for name in ("0" * 64, "..%2f..%2fversion", "x" * 1000):
        assert call("GET", f"/grant-keys/{name}").status_code in (404, 422)
    with pytest.raises(ValueError, match="not the key"):
        grants.keep_key("0" * 64, key)


def test_every_route_is_called_here(remote):
    from fastapi.routing import APIRoute

    from cwl_ui_plugin.api import workers

    routes = {
        (method, route.path)
        for route in workers.app().routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    called = {(method, path.partition("?")[0]) for method, path, _options in CALLS}
    filled = {(method, path.format(name="stderr.log" if "logs" in path else "0" * 64)) for method, path in routes}
    assert filled == called


SECRETS = {"(secret-1)": "open sesame", "(secret-2)": "\0\n\u2028"}


def test_tasks_of_a_run_have_its_secrets_and_nobody_else_has(call, running):
    call("PUT", "/lease", json=LEASE)
    assert call("GET", "/secrets").json() == {"secrets": {}}
    assert call("PUT", "/secrets", json={"secrets": SECRETS}).status_code == 204
    assert call("PUT", "/secrets?part=a/group", json={"secrets": {"(secret-3)": "of a part"}}).status_code == 204
    kept = run_folder.secrets_file(running.dag_id, running.run_id)
    assert (kept.stat().st_mode & 0o777, sorted(path.name for path in kept.parent.glob("*.json"))) == (
        0o600,
        ["a%2Fgroup.secrets.json", "secrets.json"],
    )
    assert not [path.name for path in kept.parent.iterdir() if path.name.startswith(".")]
    other = another_task_of(running)
    assert call("GET", "/secrets", other).status_code == 403, "it has no lease"
    call("PUT", "/lease", other, json={**LEASE, "machine": OTHER})
    assert call("GET", "/secrets", other).json() == {"secrets": SECRETS}
    stranger = another_run_of(running)
    call("PUT", "/lease", stranger, json=LEASE)
    assert call("GET", "/secrets", stranger).json() == {"secrets": {}}
    set_task(running.dag_id, running.run_id, running.task_id, state="success")
    assert call("GET", "/secrets").status_code == 403, "it does not run"
    assert call("PUT", "/secrets", json={"secrets": {}}).status_code == 403


def another_task_of(task: TaskTry) -> str:
    set_task(task.dag_id, task.run_id, "CWLJobDispatcher", state="running", try_number=1)
    return execution_token(instance_of(task.dag_id, task.run_id, "CWLJobDispatcher"))


def another_run_of(task: TaskTry) -> str:
    from cwl_ui_plugin.services.triggering import triggers

    name = f"run-{uuid.uuid4()}"
    triggers.trigger(task.dag_id, conf={"job": {"text": "x"}}, run_id=name, user="eve", via=triggers.REST)
    set_task(task.dag_id, name, task.task_id, state="running", try_number=1)
    return execution_token(instance_of(task.dag_id, name, task.task_id))


@pytest.mark.parametrize(
    ("path", "secrets", "status"),
    [
        ("/secrets", {"(secret-1)": "x" * 300_000}, 413),
        ("/secrets", {"(secret-1)": 1}, 422),
        ("/secrets", {"(secret-1)": {"more": "of it"}}, 422),
        (f"/secrets?part={'p' * 301}", {}, 422),
        (f"/secrets?part={'/' * 200}", {}, 400),
    ],
    ids=["large", "a number", "an object", "a long part", "a part with a long name"],
)
def test_what_are_no_secrets_is_refused(call, running, path, secrets, status):
    call("PUT", "/lease", json=LEASE)
    assert call("PUT", path, json={"secrets": secrets}).status_code == status
    assert call("GET", "/secrets").json() == {"secrets": {}}


def test_secrets_go_through_no_link(call, running, tmp_path):
    call("PUT", "/lease", json=LEASE)
    folder = run_folder.run_tmp(running.dag_id, running.run_id)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert call("PUT", "/secrets", json={"secrets": SECRETS}).status_code >= 400
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "elsewhere" / "secrets.json").write_text('{"a": "b"}')
    assert call("GET", "/secrets").status_code >= 400
