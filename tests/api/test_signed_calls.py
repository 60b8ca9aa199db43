"""A signature starts one run, also by Airflow's own API: its routes behind the guard, and what the guard keeps."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.airflow_routes import Core
from support.signed_calls import delete_run, kept, logged

from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import refusals, reserving, triggers
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair
from cwl_ui_plugin.signing.tokens import sign

JOB = {"text": "x"}
USED = "a signature starts one run"


@pytest.fixture(autouse=True)
def trusted(site: Any, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "ES256")


@pytest.fixture
def other(make_workflow: Callable[[], str]) -> str:
    """A second workflow."""
    return make_workflow()


@pytest.fixture
def core(site: Any) -> Core:
    return Core()


@pytest.fixture
def api(core: Core, token: Callable[[str], str], portal: Any) -> Iterator[TestClient]:
    """A client of Airflow's routes behind the guard, logged in as an Op."""
    from cwl_ui_plugin.api.grant_guard import GrantGuard

    made = TestClient(GrantGuard(core), raise_server_exceptions=False, follow_redirects=False)
    made.portal = portal
    made.headers["Authorization"] = f"Bearer {token('op')}"
    yield made


def new_id() -> str:
    return f"r-{uuid.uuid4()}"


def token_of(pair: KeyPair, run_id: str, **claims: Any) -> str:
    return sign({"run_id": run_id, "conf": {"job": JOB}, **claims}, pair.private, "ES256")


def body_of(run_id: str, token: Any) -> dict[str, Any]:
    return {"dag_run_id": run_id, "logical_date": None, "conf": {"job": JOB, "check_payload": token}}


def create(api: TestClient, dag_id: str, run_id: str, token: Any) -> Any:
    return api.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body_of(run_id, token))


def serve(dag_id: str, run_id: str, token: str) -> str:
    """Start a run by the service."""
    conf = {"job": JOB, "check_payload": token}
    return triggers.trigger(dag_id, conf=conf, run_id=run_id, user="portal", via=triggers.REST).run_id


def runs_of(*dag_ids: str) -> int:
    return queries.list_runs(list(dag_ids)).total


@pytest.mark.parametrize("deleted", [False, True])
def test_a_token_starts_one_run_by_airflows_api(
    api: TestClient, workflow: str, other: str, pair: KeyPair, deleted: bool
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    assert create(api, workflow, run_id, token).status_code == 200
    if deleted:
        delete_run(workflow, run_id)
    for dag_id in (other, workflow):
        written = {"conf": '{"job": {"text": "x"}}', "iat": 1}
        for again in (token, token_of(pair, run_id, exp=int(time.time()) + 60), token_of(pair, run_id, **written)):
            refused = create(api, dag_id, run_id, again)
            assert (refused.status_code, USED in refused.json()["detail"]) == (409, True)
        with pytest.raises(Conflict, match=USED):
            serve(dag_id, run_id, token)
        assert [(owner, USED in extra["reason"]) for owner, extra in logged(refusals.EVENT, dag_id)] == [
            ("the-op", True)
        ]
    assert runs_of(other) == 0


def test_a_token_of_a_run_of_the_service_is_used_for_airflows_api(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    serve(workflow, run_id, token)
    for dag_id in (other, workflow):
        assert create(api, dag_id, run_id, token).status_code == 409
    assert (core.calls, runs_of(workflow, other)) == (0, 1)


def test_the_run_and_the_audit_log_name_the_key(api: TestClient, workflow: str, pair: KeyPair) -> None:
    run_id = new_id()
    create(api, workflow, run_id, token_of(pair, run_id))
    signature = queries.get_run(workflow, run_id).signature
    key = {"fingerprint": fingerprint(pair.public), "algorithm": "ES256"}
    assert signature is not None
    assert {"fingerprint": signature.fingerprint, "algorithm": signature.algorithm} == key
    assert logged(signatures.EVENT, workflow) == [("the-op", key)]


def test_a_run_of_airflows_api_keeps_its_token_as_long_as_it_is_there(
    api: TestClient, workflow: str, pair: KeyPair
) -> None:
    from datetime import datetime, timedelta, timezone

    run_id, end = new_id(), int(time.time()) + 600
    create(api, workflow, run_id, token_of(pair, run_id, exp=end))
    later = datetime.fromtimestamp(end, timezone.utc) + signatures.LEEWAY + timedelta(seconds=1)
    signatures.forget_expired(later)
    assert len(kept(run_id)) == 1
    delete_run(workflow, run_id)
    signatures.forget_expired(later)
    assert kept(run_id) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda pair, run_id: "no token",
        lambda pair, run_id: {"a": "token"},
        lambda pair, run_id: token_of(pair, "another"),
        lambda pair, run_id: token_of(pair, run_id, conf={"job": {"text": "y"}}),
        lambda pair, run_id: token_of(pair, run_id, dag_id="another"),
        lambda pair, run_id: token_of(pair, run_id, exp=int(time.time()) - 1),
        lambda pair, run_id: token_of(pair, run_id, nbf=int(time.time()) + 600),
        lambda pair, run_id: token_of(generate_key_pair("ES256"), run_id),
    ],
)
def test_a_token_that_does_not_hold_starts_nothing(
    api: TestClient, core: Core, workflow: str, pair: KeyPair, spoilt: Callable[[KeyPair, str], Any]
) -> None:
    run_id = new_id()
    refused = create(api, workflow, run_id, spoilt(pair, run_id))
    assert (refused.status_code, refused.json()["detail"].startswith(signatures.REFUSED)) == (403, True)
    assert (core.calls, runs_of(workflow), kept(run_id)) == (0, 0, [])
    assert [owner for owner, _extra in logged(refusals.EVENT, workflow)] == ["the-op"]


def test_a_run_without_a_name_or_with_one_of_a_path_is_not_signed(
    api: TestClient, core: Core, workflow: str, pair: KeyPair
) -> None:
    for run_id in (None, 7, ["r"], ""):
        body = {**body_of("r", token_of(pair, "r")), "dag_run_id": run_id}
        assert api.post(f"/api/v2/dags/{workflow}/dagRuns", json=body).status_code == 403
    for run_id in ("a/b", "r" * 251, "a\0", "a\ud800"):
        body = json.dumps(body_of(run_id, token_of(pair, run_id)))
        refused = api.post(f"/api/v2/dags/{workflow}/dagRuns", content=body)
        assert (refused.status_code, "can't be a run_id" in refused.json()["detail"]) == (400, True)
    assert core.calls == 0


def test_without_a_key_nothing_is_asked_or_kept(
    api: TestClient, workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY")
    run_id = new_id()
    assert create(api, workflow, run_id, "whatever").status_code == 200
    assert kept(run_id) == []


def test_an_option_with_a_mistake_is_named(
    api: TestClient, core: Core, workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "perhaps")
    answer = create(api, workflow, new_id(), token_of(pair, "r"))
    assert (answer.status_code, "max_job_size" in answer.json()["detail"], core.calls) == (500, True, 0)


def test_a_dag_that_is_not_cwl_and_a_conf_without_signature_are_not_asked(
    api: TestClient, core: Core, workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert create(api, "not-cwl", new_id(), "whatever").status_code == 404
    asked: list[Any] = []
    monkeypatch.setattr(reserving, "is_cwl_dag", asked.append)
    for token in ("", None):
        assert create(api, workflow, new_id(), token).status_code == 200
    api.patch(f"/api/v2/dags/{workflow}/dagRuns/r", json={"note": "x"})
    assert (asked, core.calls) == ([], 4)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_what_airflow_does_not_create_uses_nothing_up(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair, token: Callable[[str], str]
) -> None:
    run_id = new_id()
    signed, seen = token_of(pair, run_id), []
    core.before = lambda: seen.append(len(kept(run_id)))
    assert api.post(f"/api/v2/dags/{workflow}/dagRuns", json={**body_of(run_id, signed), "x": 1}).status_code == 422
    api.headers["Authorization"] = f"Bearer {token('viewer')}"
    assert create(api, workflow, run_id, signed).status_code == 403
    api.headers["Authorization"] = "Bearer none"
    assert create(api, workflow, run_id, signed).status_code in {401, 403}
    assert (seen, kept(run_id)) == ([1, 1, 1], [])
    api.headers["Authorization"] = f"Bearer {token('op')}"
    assert create(api, other, run_id, signed).status_code == 200


def test_a_run_id_that_is_taken_uses_nothing_up(api: TestClient, workflow: str, other: str, pair: KeyPair) -> None:
    run_id = new_id()
    triggers.trigger(workflow, conf={"job": JOB}, run_id=run_id, user="ada", via=triggers.REST)
    assert create(api, workflow, run_id, token_of(pair, run_id)).status_code == 409
    assert kept(run_id) == []
    assert create(api, other, run_id, token_of(pair, run_id)).status_code == 200


@pytest.mark.parametrize("error", [RuntimeError("the core broke"), ConnectionResetError("the client went")])
def test_a_call_that_breaks_uses_up_what_it_created(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair, error: Exception
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    core.before = raising(error)
    assert create(api, workflow, run_id, token).status_code == 500
    assert (runs_of(workflow), kept(run_id)) == (0, [])
    core.before, core.after = (lambda: None), raising(error)
    create(api, workflow, run_id, token)
    assert (runs_of(workflow), len(kept(run_id))) == (1, 1)
    assert create(api, other, run_id, token).status_code == 409


def test_a_client_that_vanishes_uses_nothing_up_before_its_run_is_created(
    core: Core, workflow: str, pair: KeyPair
) -> None:
    """What is served meets the end of the connection where it reads on, as Starlette's requests do."""
    from starlette.requests import ClientDisconnect

    from cwl_ui_plugin.api.grant_guard import GrantGuard

    run_id, seen = new_id(), []

    async def vanishing(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        seen.append(len(kept(run_id)))
        assert (await receive())["type"] == "http.disconnect"
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        call(GrantGuard(vanishing), workflow, body_of(run_id, token_of(pair, run_id)))
    assert (seen, kept(run_id)) == ([1], [])


def test_a_call_that_is_cancelled_keeps_what_it_may_have_created(workflow: str, pair: KeyPair) -> None:
    import asyncio

    from cwl_ui_plugin.api.grant_guard import GrantGuard

    run_id = new_id()

    async def cancelled(_scope: Any, _receive: Any, _send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        call(GrantGuard(cancelled), workflow, body_of(run_id, token_of(pair, run_id)))
    assert [entry.run_key for entry in kept(run_id)] == [signatures.NO_RUN]


def call(app: Any, dag_id: str, body: dict[str, Any]) -> None:
    """Send a request in two parts, and then vanish."""
    import asyncio

    text = json.dumps(body).encode()
    messages = [
        {"type": "http.request", "body": text[:50], "more_body": True},
        {"type": "http.request", "body": text[50:], "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_message: Any) -> None:
        raise AssertionError("nothing is answered")

    scope = {"type": "http", "method": "POST", "path": f"/api/v2/dags/{dag_id}/dagRuns", "headers": []}
    asyncio.run(app(scope, receive, send))


def test_a_body_that_comes_in_parts_is_looked_into(api: TestClient, workflow: str, other: str, pair: KeyPair) -> None:
    run_id = new_id()
    text = json.dumps(body_of(run_id, token_of(pair, run_id))).encode()
    statuses = [
        api.post(
            f"/api/v2/dags/{dag_id}/dagRuns",
            content=iter([text[:20], text[20:90], b"", text[90:]]),
            headers={"Content-Type": "application/json"},
        ).status_code
        for dag_id in (workflow, other)
    ]
    assert statuses == [200, 409]


def test_a_used_token_does_not_come_in_disguise(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    serve(workflow, run_id, token)
    plain = json.dumps(body_of(run_id, token))
    for text in (
        plain.replace("check_payload", "check\\u005fpayload"),
        plain.replace('"conf"', '"conf": {}, "conf"'),
        plain.replace('"check_payload"', '"check_payload": "", "check_payload"'),
        plain.replace('"job"', '"x": [{"check_payload": "a decoy"}], "job"'),
        plain.encode("utf-16"),
    ):
        assert api.post(f"/api/v2/dags/{other}/dagRuns", content=text).status_code in {403, 409, 422}
    assert core.calls == 0


def both(*calls: Callable[[], Any]) -> list[Any]:
    """Return what calls return that are made at the same moment."""
    outcomes: list[Any] = []
    threads = [threading.Thread(target=lambda made=made: outcomes.append(made())) for made in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def hold_where_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold two threads where each has seen for the first time that the token is unused."""
    together, check, waited = threading.Barrier(2), signatures.check_unused, threading.local()

    def check_together(*args: Any) -> None:
        check(*args)
        if not getattr(waited, "done", False):
            waited.done = True
            together.wait(20)

    monkeypatch.setattr(signatures, "check_unused", check_together)


def test_of_two_dags_at_the_same_moment_one_gets_the_run(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    hold_where_unused(monkeypatch)
    outcomes = both(*(lambda dag_id=dag_id: create(api, dag_id, run_id, token) for dag_id in (workflow, other)))
    assert sorted(outcome.status_code for outcome in outcomes) == [200, 409]
    assert next(USED in outcome.json()["detail"] for outcome in outcomes if outcome.status_code == 409)
    assert (core.calls, runs_of(workflow, other), len(kept(run_id))) == (1, 1, 1)


def test_the_service_and_airflows_api_at_the_same_moment_start_one_run(
    api: TestClient, workflow: str, other: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    hold_where_unused(monkeypatch)

    def by_service() -> int:
        try:
            return 200 if serve(other, run_id, token) else 0
        except Conflict as conflict:
            assert USED in conflict.message
            return conflict.status

    outcomes = both(lambda: create(api, workflow, run_id, token).status_code, by_service)
    assert (sorted(outcomes), runs_of(workflow, other), len(kept(run_id))) == ([200, 409], 1, 1)


def test_while_airflow_creates_the_run_the_token_is_used(
    api: TestClient, core: Core, workflow: str, other: str, pair: KeyPair
) -> None:
    run_id, refused = new_id(), []
    token = token_of(pair, run_id)

    def meanwhile() -> None:
        core.before = lambda: None
        refused.append(create(api, other, run_id, token).status_code)
        with pytest.raises(Conflict, match=USED):
            serve(other, run_id, token)

    core.before = meanwhile
    assert create(api, workflow, run_id, token).status_code == 200
    assert (refused, runs_of(workflow, other)) == ([409], 1)


def test_a_task_that_triggers_uses_the_token(workflow: str, other: str, pair: KeyPair, site: Any) -> None:
    """Airflow's API for tasks, whose route is stood in for: it takes a token of a task that runs."""
    from cwl_ui_plugin.api.grant_guard import GrantGuard

    came: list[str] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        came.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    run_id = new_id()
    conf = {"conf": {"job": JOB, "check_payload": token_of(pair, run_id)}}
    guard = TestClient(GrantGuard(app))
    paths = [f"/execution/dag-runs/{dag_id}/{run_id}" for dag_id in (workflow, other)]
    assert [guard.post(path, json=conf).status_code for path in paths] == [204, 409]
    assert (came, [entry.dag_id for entry in kept(run_id)]) == (paths[:1], [workflow])


@pytest.mark.parametrize("path", ["/api/v2/backfills", "/api/v2/backfills/", "/api/v2/backfills/dry_run"])
def test_a_backfill_takes_no_signature(api: TestClient, core: Core, workflow: str, pair: KeyPair, path: str) -> None:
    """It makes several runs, and changes the conf of runs that are there."""
    day = "2026-01-01T00:00:00Z"
    body = {"dag_id": workflow, "from_date": day, "to_date": day, "reprocess_behavior": "completed"}
    signed = {"job": JOB, "check_payload": token_of(pair, "backfill__2026-01-01T00:00:00+00:00")}
    refused = api.post(path, json={**body, "dag_run_conf": signed})
    assert (refused.status_code, refused.json()["detail"], core.calls) == (400, reserving.ONE_RUN, 0)
    api.post(path, json={**body, "dag_run_conf": {"job": JOB}})
    api.post(path, json={**body, "dag_id": "not-cwl", "dag_run_conf": signed})
    assert core.calls == 2


@pytest.fixture
def asset(workflow: str) -> Iterator[int]:
    """An asset that ``workflow`` makes."""
    from airflow.models.asset import AssetModel, TaskOutletAssetReference
    from airflow.utils.session import create_session

    with create_session() as session:
        made = AssetModel(name=workflow, uri=f"x://{workflow}", group="asset")
        session.add(made)
        session.flush()
        session.add(TaskOutletAssetReference(asset_id=made.id, dag_id=workflow, task_id="say"))
        number = made.id
    yield number
    with create_session() as session:
        for table, column in ((TaskOutletAssetReference, "asset_id"), (AssetModel, "id")):
            session.query(table).filter_by(**{column: number}).delete()


def test_a_materialization_takes_no_signature(
    api: TestClient, core: Core, workflow: str, asset: int, pair: KeyPair
) -> None:
    run_id = new_id()
    body = body_of(run_id, token_of(pair, run_id))
    for written in (f"{asset}", f"+{asset}", f"{asset}.0", f"0{asset}"):
        refused = api.post(f"/api/v2/assets/{written}/materialize", json=body)
        assert (refused.status_code, refused.json()["detail"]) == (400, reserving.ONE_RUN)
    assert core.calls == 0
    assert api.post(f"/api/v2/assets/{asset + 1000}/materialize", json=body).status_code == 404
    assert api.post("/api/v2/assets/x/materialize", json=body).status_code == 422
    assert api.post(f"/api/v2/assets/{asset}/materialize", json={"dag_run_id": run_id}).status_code == 200
    assert (runs_of(workflow), kept(run_id)) == (1, [])
