"""Every task asks whether its run may do anything: by a grant, or by the caller's signature, or the narrow rule."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from airflow.sdk.exceptions import AirflowFailException
from support.stored import add_version

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Plan, Step
from cwl_ui_plugin.dags.access import permits
from cwl_ui_plugin.dags.access.grants import Grant, key_id, keys_folder
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair
from cwl_ui_plugin.signing.triggers import sign_trigger

ALGORITHM = "EdDSA"

CONF: dict[str, Any] = {"job": {"text": "x", "number": 1.0}}
RUN = {"dag_id": "d", "run_id": "r"}
Granted = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> KeyPair:
    """The key of the API servers."""
    return generate_key_pair("EdDSA")


@pytest.fixture
def required(airflow_home: Path, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    # a task gets Variables from its supervisor, which a test has not
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "ES256,EdDSA")


@pytest.fixture
def granted(store: WorkflowStore, server: KeyPair) -> Granted:
    """Return a conf with a grant: ``granted(conf, signed_by=...)``; workers find the key."""
    keys_folder().mkdir(parents=True)
    (keys_folder() / f"{key_id(server.public)}.pem").write_text(server.public)

    def grant(conf: Any = CONF, run: dict[str, str] = RUN, **more: Any) -> dict[str, Any]:
        claims = replace(Grant("ada", (Path("/in/a"),), time.time()), **more).claims(**run, conf=conf)
        return {**conf, GRANT: signed_with(server, claims)}

    return grant


def signed_with(key: KeyPair, claims: dict[str, Any], **headers: Any) -> str:
    header = {"kid": key_id(key.public), **headers}
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers=header)


def signed(pair: KeyPair, conf: Any = CONF, run_id: str = "r", **claims: Any) -> dict[str, Any]:
    token = tokens.sign({"run_id": run_id, "conf": conf, **claims}, pair.private, "EdDSA")
    return {**CONF, "check_payload": token}


def permit(conf: Any, **more: Any) -> permits.Permit:
    return permits.permit(conf, **{**RUN, **more})


def test_a_run_gets_what_was_granted(granted: Granted) -> None:
    found = permit(granted())
    assert found.roots == (Path("/in/a"),)
    assert found.file_rules().allows(Path("/in/a/x"))
    assert not permit(CONF).file_rules().allows(Path("/in/a/x"))
    assert "start the run on the CWL page" in permit(CONF).file_rules().not_allowed


def test_a_database_may_write_the_numbers_of_a_granted_conf_in_another_way(granted: Granted) -> None:
    conf = granted()
    assert permit({**conf, "job": {"number": 1, "text": "x"}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"job": {"text": "y"}}, "another conf"),
        ({"job": {**CONF["job"], "output_folder": "x"}}, "another conf"),
        ({"check_payload": "a.b.c"}, "another conf"),
        ({"more": None}, "another conf"),
        ({GRANT: ""}, "no token"),
        ({GRANT: ["a.b.c"]}, "no token"),
        ({GRANT: "a.b.c"}, "no token"),
        ({GRANT: {"dag_id": "d"}}, "no token"),
    ],
)
def test_a_grant_is_for_one_conf(granted: Granted, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(JobError, match=reason):
        permit({**granted(), **change})


@pytest.mark.parametrize("other", [{"dag_id": "other"}, {"run_id": "other"}])
def test_a_grant_is_for_one_run(granted: Granted, other: dict[str, str]) -> None:
    with pytest.raises(JobError, match=f"another {next(iter(other))}"):
        permit(granted(), **other)


def test_what_is_signed_is_left_out_with_its_grant_only(granted: Granted, pair: KeyPair) -> None:
    conf = granted(signed(pair))
    del conf["check_payload"]
    with pytest.raises(JobError, match="another conf"):
        permit(conf)


def _part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def forgeries(server: KeyPair, claims: dict[str, Any]) -> dict[str, str]:
    other, name = generate_key_pair("EdDSA"), key_id(server.public)
    own = signed_with(server, claims).split(".")
    unsigned = f"{_part({'alg': 'none', 'kid': name})}.{_part(claims)}"
    shared = f"{_part({'alg': 'HS256', 'kid': name})}.{_part(claims)}"
    mac = hmac.new(server.public.encode(), shared.encode(), hashlib.sha256).digest()
    return {
        "another key": signed_with(other, claims),
        "another key, the server's name": signed_with(other, claims, kid=name),
        "a path": signed_with(other, claims, kid="../../tmp/key"),
        "no name": jwt.encode(claims, other.private, algorithm="EdDSA"),
        "a key of its own": signed_with(other, claims, kid=name, jwk={"kty": "OKP"}),
        "other claims": f"{own[0]}.{_part({**claims, 'roots': ['/']})}.{own[2]}",
        "none": f"{unsigned}.",
        "shared secret": f"{shared}.{_part(mac)}",
    }


@pytest.mark.parametrize("kind", list(forgeries(generate_key_pair("EdDSA"), {})))
def test_a_forged_grant_is_none(granted: Granted, server: KeyPair, kind: str) -> None:
    claims = Grant("ada", (Path("/"),), time.time()).claims(**RUN, conf=CONF)
    with pytest.raises(JobError, match="does not hold"):
        permit({**CONF, GRANT: forgeries(server, claims)[kind]})


def test_keys_come_from_files_only(granted: Granted, server: KeyPair, tmp_path: Path) -> None:
    conf, path = granted(), keys_folder() / f"{key_id(server.public)}.pem"
    (tmp_path / "key.pem").write_text(server.public)
    for content in ("", "garbage", generate_key_pair("EdDSA").public, "x" * 10_000, "ä"):
        path.write_text(content)
        with pytest.raises(JobError, match="does not hold"):
            permit(conf)
    path.unlink()
    path.symlink_to(tmp_path / "key.pem")
    with pytest.raises(JobError, match="can't be read"):
        permit(conf)
    path.unlink()
    with pytest.raises(JobError, match="workflows_folder"):
        permit(conf)


@pytest.mark.parametrize("name", ["output_folder", "outputs_folder", "tmp_folder"])
def test_without_a_grant_a_job_names_no_folders(granted: Granted, name: str) -> None:
    conf = {"job": {**CONF["job"], name: "mine"}}
    with pytest.raises(JobError, match=name):
        permit(conf)
    assert permit(granted(conf))


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize("conf", [CONF, json.dumps(CONF)])
def test_without_a_grant_a_signature_must_hold_now(pair: KeyPair, conf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(permits.log, "info", lambda text, *values: said.append(text % values))
    assert permit(signed(pair, conf)).roots is None
    assert fingerprint(pair.public) in said[0]
    assert permit(signed(pair, exp=time.time() + 60))
    with pytest.raises(JobError, match="expired"):
        permit(signed(pair, exp=time.time() - 1))


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no conf", "no signature"),
        ("a text", "no signature"),
        ("no signature", "no signature"),
        ("another job", "another conf"),
        ("another run", "another run_id"),
        ("another Dag", "another dag_id"),
        ("another key", "does not hold"),
        ("garbage", "no token"),
        ("more in the conf", "another conf"),
        ("a wrong job", "another conf"),
    ],
)
def test_anything_else_fails_before_anything_is_looked_at(pair: KeyPair, fault: str, reason: str) -> None:
    conf = {
        "no conf": None,
        "a text": "x",
        "no signature": CONF,
        "another job": {**signed(pair), "job": {"text": "y"}},
        "another run": signed(pair, run_id="r2"),
        "another Dag": signed(pair, dag_id="d2"),
        "another key": signed(generate_key_pair("EdDSA")),
        "garbage": {**CONF, "check_payload": ["a.b.c"]},
        "more in the conf": {**signed(pair), "more": 1},
        "a wrong job": {**signed(pair), "job": "no object"},
    }[fault]
    with pytest.raises(JobError, match=reason):
        permit(conf)


@pytest.mark.usefixtures("required")
def test_with_a_grant_a_signature_must_have_held_when_the_run_was_triggered(granted: Granted, pair: KeyPair) -> None:
    then = time.time() - 3600
    conf = granted(signed(pair, exp=then + 60), at=then, signed_by=fingerprint(pair.public))
    assert permit(conf, first=True)
    assert permit(conf)
    late = granted(signed(pair, exp=then), at=then, signed_by=fingerprint(pair.public))
    with pytest.raises(JobError, match="expired"):
        permit(late, first=True)


@pytest.mark.usefixtures("required")
def test_a_run_that_was_granted_unsigned_does_not_run_where_only_signed_ones_may(
    granted: Granted, pair: KeyPair
) -> None:
    for conf in (CONF, signed(pair)):
        with pytest.raises(JobError, match="without a signature"):
            permit(granted(conf))


@pytest.mark.usefixtures("required")
def test_a_key_that_was_taken_away_starts_nothing_that_waits(
    granted: Granted, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = granted(signed(pair), signed_by=fingerprint(pair.public))
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", generate_key_pair("EdDSA").public)
    with pytest.raises(JobError, match="does not hold"):
        permit(conf, first=True)


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize("option", ["exp", "dag_id"])
def test_more_can_be_demanded_of_every_run(pair: KeyPair, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__CWL__REQUIRE_{option.upper()}", "True")
    with pytest.raises(JobError, match=f"require_{option}"):
        permit(signed(pair))
    assert permit(signed(pair, exp=time.time() + 60, dag_id="d"))


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize("key", ["", "  ", "garbage"])
def test_without_a_key_nothing_runs(pair: KeyPair, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", key)
    with pytest.raises(JobError, match="key"):
        permit(signed(pair))


@pytest.mark.usefixtures("required")
def test_what_a_trigger_signs_is_what_a_run_is_verified_with(pair: KeyPair) -> None:
    assert permit({**CONF, "check_payload": sign_trigger("r", CONF, pair.private, "EdDSA")})


@pytest.fixture
def every_kind(store: WorkflowStore) -> StoredVersion:
    """A workflow with a step of each kind of task: plain, scattered, and with a subworkflow."""

    def step(name: str, upstream: tuple[str, ...] = (), **more: Any) -> Step:
        outputs = (f"#{name}/out",)
        return Step(
            name, f"#{name}", name, f"step-{name}", "CommandLineTool", "t.cwl", upstream, outputs=outputs, **more
        )

    inner = (step("inner"),)
    steps = (step("plain"), step("scattered", scatter=("x",)), step("nested", steps=inner))
    plan = Plan("Workflow", "v1.2", "main.cwl", None, None, (), (), steps)
    return add_version(store, "kinds", plan, "one")


@pytest.mark.usefixtures("required")
def test_marking_the_first_task_as_done_lets_no_other_task_run(every_kind: StoredVersion) -> None:
    """Airflow calls ``pre_execute`` of each task, whatever became of the tasks before."""
    from cwl_ui_plugin.dags.dag import CWLDAG

    dag = CWLDAG("kinds", version=every_kind)
    kinds = set()
    for task in dag.tasks:
        pushed: dict[str, Any] = {}
        names = {"dag_id": "kinds", "run_id": "r"}
        ti = SimpleNamespace(**names, id="1", xcom_push=lambda key, value, into=pushed: into.update({key: value}))
        run = SimpleNamespace(
            **names, conf=CONF, run_type="manual", run_after=datetime.now(timezone.utc), clear_number=0
        )
        context: Any = {"dag_run": run, "ti": ti}
        operator = task.unmap({"batch": {}}) if getattr(task, "is_mapped", False) else task
        kinds.add(type(operator).__name__)
        with pytest.raises(AirflowFailException, match="no signature"):
            operator.pre_execute(context)
        assert "no signature" in pushed["cwl_error"]["message"]
    assert kinds >= {
        "CwlDispatchOperator",
        "CwlStepOperator",
        "CwlScatterOperator",
        "CwlElementsOperator",
        "CwlCollectOperator",
        "CwlEnterOperator",
        "CwlLeaveOperator",
        "CwlGatherOperator",
    }
