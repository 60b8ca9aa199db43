"""A signed token starts one run: on whatever Dag, however it is written, also when that run was deleted."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cwl_ui_plugin.services import database, signatures
from cwl_ui_plugin.services.errors import Conflict, NotVerified
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.signing.keys import KeyPair
from cwl_ui_plugin.signing.tokens import sign

JOB = {"text": "x", "number": 1}


@pytest.fixture(autouse=True)
def trusted(airflow_home: Any, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "ES256")


@pytest.fixture
def other(add: Callable[..., Any], workflow: str) -> str:
    """A second workflow."""
    name = f"other-{uuid.uuid4().hex[:8]}"
    add(name)
    return name


def start(dag_id: str, run_id: str, token: str, job: Any = None) -> str:
    conf = {"job": JOB if job is None else job, "check_payload": token}
    return triggers.trigger(dag_id, conf=conf, run_id=run_id, user="portal", via=triggers.REST).run_id


def token_of(pair: KeyPair, run_id: str, **claims: Any) -> str:
    return sign({"run_id": run_id, "conf": {"job": JOB}, **claims}, pair.private, "ES256")


def delete_run(dag_id: str, run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter_by(dag_id=dag_id, run_id=run_id).delete()


def new_id() -> str:
    return f"r-{uuid.uuid4()}"


@pytest.mark.parametrize("deleted", [False, True])
def test_a_token_starts_one_run_not_one_for_each_dag(workflow: str, other: str, pair: KeyPair, deleted: bool) -> None:
    run_id = new_id()
    token = token_of(pair, run_id)
    start(workflow, run_id, token)
    if deleted:
        delete_run(workflow, run_id)
    for dag_id in (other, workflow):
        with pytest.raises(Conflict, match="a signature starts one run"):
            start(dag_id, run_id, token)
    assert queries.list_runs([other]).total == 0


def test_the_same_signed_anew_or_written_in_another_way_is_the_same(workflow: str, other: str, pair: KeyPair) -> None:
    run_id = new_id()
    start(workflow, run_id, token_of(pair, run_id))
    later = int(time.time()) + 600
    for claims in ({}, {"exp": later}, {"conf": '{ "job": {"number": 1.0, "text": "x"} }'}):
        with pytest.raises(Conflict, match="a signature starts one run"):
            start(other, run_id, token_of(pair, run_id, **claims))


def test_what_is_refused_uses_nothing_up(workflow: str, other: str, pair: KeyPair) -> None:
    run_id = new_id()
    token = sign({"run_id": run_id, "conf": {"job": {"text": 7}}}, pair.private, "ES256")
    with pytest.raises(Exception, match="does not fit"):
        start(workflow, run_id, token, {"text": 7})
    assert start(workflow, run_id, token_of(pair, run_id))


def test_two_tokens_for_two_dags_start_two_runs(workflow: str, other: str, pair: KeyPair) -> None:
    run_id = new_id()
    tokens = {dag_id: token_of(pair, run_id, dag_id=dag_id) for dag_id in (workflow, other)}
    with pytest.raises(NotVerified, match="another dag_id"):
        start(other, run_id, tokens[workflow])
    for dag_id, token in tokens.items():
        assert start(dag_id, run_id, token) == run_id


def test_a_site_can_demand_the_dag(workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_DAG_ID", "True")
    run_id = new_id()
    with pytest.raises(NotVerified, match="require_dag_id"):
        start(workflow, run_id, token_of(pair, run_id))
    assert start(workflow, run_id, token_of(pair, run_id, dag_id=workflow))


def test_the_server_signs_for_the_dag(workflow: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_DAG_ID", "True")
    monkeypatch.setenv("AIRFLOW_VAR_PROCESS_SIGN_PRIVATE_KEY", pair.private)
    run_id = new_id()
    assert start(workflow, run_id, signatures.sign_conf(workflow, run_id, {"job": JOB})) == run_id


def test_of_two_dags_at_the_same_moment_one_gets_the_run(
    workflow: str, other: str, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are held where they have seen that the token is unused, as two processes may be."""
    monkeypatch.setattr(database, "_has_one_writer", lambda: False)
    run_id, together, outcomes = new_id(), threading.Barrier(2), []
    token, check = token_of(pair, run_id), signatures.check_unused
    waited = threading.local()

    def check_together(*args: Any) -> None:
        check(*args)
        if not getattr(waited, "done", False):
            waited.done = True
            together.wait(20)

    def begin(dag_id: str) -> None:
        try:
            outcomes.append(start(dag_id, run_id, token))
        except Conflict as conflict:
            outcomes.append(conflict.message)

    monkeypatch.setattr(signatures, "check_unused", check_together)
    threads = [threading.Thread(target=begin, args=(dag_id,)) for dag_id in (workflow, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome == run_id for outcome in outcomes) == [False, True]
    assert "a signature starts one run" in next(outcome for outcome in outcomes if outcome != run_id)
    assert queries.list_runs([workflow, other]).total == 1


def kept(run_id: str) -> list[Any]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import SignedTrigger

    with create_session() as session:
        found = session.scalars(select(SignedTrigger).where(SignedTrigger.run_id == run_id)).all()
        session.expunge_all()
        return list(found)


def test_a_use_is_kept_as_long_as_the_token_can_be_valid(workflow: str, pair: KeyPair) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    end = now + timedelta(hours=1)
    expiring, lasting, running = new_id(), new_id(), new_id()
    for run_id, claims in ((expiring, {"exp": end.timestamp()}), (lasting, {}), (running, {"exp": end.timestamp()})):
        start(workflow, run_id, token_of(pair, run_id, **claims))
    for run_id in (expiring, lasting):
        delete_run(workflow, run_id)
    signatures.forget_expired(end)
    assert [len(kept(run_id)) for run_id in (expiring, lasting, running)] == [1, 1, 1]
    signatures.forget_expired(end + signatures.LEEWAY + timedelta(seconds=1))
    assert [len(kept(run_id)) for run_id in (expiring, lasting, running)] == [0, 1, 1]
    assert kept(lasting)[0].expires_at is None


def test_a_later_token_of_the_same_content_prolongs_it(workflow: str, pair: KeyPair) -> None:
    run_id, soon = new_id(), time.time() + 600
    start(workflow, run_id, token_of(pair, run_id, exp=soon))
    for claims, end in (({"exp": soon + 600}, soon + 600), ({"exp": soon + 60}, soon + 600), ({}, None)):
        with pytest.raises(Conflict):
            start(workflow, run_id, token_of(pair, run_id, **claims))
        expires_at = kept(run_id)[0].expires_at
        assert (
            (expires_at and (expires_at - signatures.LEEWAY).timestamp()) == pytest.approx(end)
            if end
            else not expires_at
        )


def test_a_run_id_that_was_signed_before_contents_were_kept_is_used_up_everywhere(
    workflow: str, other: str, pair: KeyPair
) -> None:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import SignedTrigger

    run_id, now = new_id(), datetime.now(timezone.utc)
    old = {"run_key": 0, "algorithm": "ES256", "fingerprint": "x", "created_at": now}
    with create_session() as session:
        session.add(SignedTrigger(dag_id=workflow, run_id=run_id, **old))
    for dag_id in (workflow, other):
        with pytest.raises(Conflict):
            start(dag_id, run_id, token_of(pair, run_id))


@pytest.mark.parametrize("expiry", [1e300, 1e18])
def test_an_expiry_beyond_all_dates_is_none(workflow: str, pair: KeyPair, expiry: float) -> None:
    run_id = new_id()
    start(workflow, run_id, token_of(pair, run_id, exp=expiry))
    assert kept(run_id)[0].expires_at is None
