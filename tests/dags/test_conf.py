"""The first task verifies the signature that is kept in a run's conf, whatever way the run was created."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags import conf as conf_module
from cwl_ui_plugin.dags.conf import read_conf
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair
from cwl_ui_plugin.signing.triggers import sign_trigger

CONF: dict[str, Any] = {"job": {"text": "x"}}
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return generate_key_pair("EdDSA")


@pytest.fixture
def required(airflow_home: Path, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    # a task gets Variables from its supervisor, which a test has not
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", pair.public)
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_CRYPT_ALGORITHM", "ES256,EdDSA")


def signed(pair: KeyPair, conf: Any = CONF, run_id: str = "r", **times: float) -> dict[str, Any]:
    token = tokens.sign({"run_id": run_id, "conf": conf, **times}, pair.private, "EdDSA")
    return {**CONF, "check_payload": token}


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize("conf", [CONF, json.dumps(CONF)])
def test_a_signed_conf_is_read_and_its_key_is_named(pair: KeyPair, conf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(conf_module.log, "info", lambda text, *values: said.append(text % values))
    assert read_conf(signed(pair, conf), run_id="r").job == CONF["job"]
    assert fingerprint(pair.public) in said[0]


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no conf", "no signature"),
        ("no signature", "no signature"),
        ("another job", "another conf"),
        ("another run", "another run_id"),
        ("another key", "does not hold"),
        ("garbage", "no token"),
        ("more in the conf", "another conf"),
        ("a wrong job", "another conf"),
    ],
)
def test_anything_else_fails_before_anything_is_looked_at(pair: KeyPair, fault: str, reason: str) -> None:
    conf = {
        "no conf": None,
        "no signature": CONF,
        "another job": {**signed(pair), "job": {"text": "y"}},
        "another run": signed(pair, run_id="r2"),
        "another key": signed(generate_key_pair("EdDSA")),
        "garbage": {**CONF, "check_payload": ["a.b.c"]},
        "more in the conf": {**signed(pair), "more": 1},
        "a wrong job": {**signed(pair), "job": "no object"},
    }[fault]
    with pytest.raises(JobError, match=reason):
        read_conf(conf, run_id="r")


@pytest.mark.usefixtures("required")
def test_a_signature_must_have_been_valid_when_the_run_was_created(pair: KeyPair) -> None:
    conf = signed(pair, exp=NOW.timestamp())
    assert read_conf(conf, run_id="r", created=NOW - timedelta(seconds=1)).job == CONF["job"]
    with pytest.raises(JobError, match="expired"):
        read_conf(conf, run_id="r", created=NOW)


@pytest.mark.usefixtures("required")
def test_an_expiry_can_be_demanded_of_every_run(pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_EXP", "True")
    with pytest.raises(JobError, match="require_exp"):
        read_conf(signed(pair), run_id="r")


@pytest.mark.usefixtures("required")
@pytest.mark.parametrize("key", ["", "  ", "garbage"])
def test_without_a_key_nothing_runs(pair: KeyPair, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", key)
    with pytest.raises(JobError, match="key"):
        read_conf(signed(pair), run_id="r")


def test_other_tasks_and_other_sites_do_not_verify(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_conf(CONF, run_id="r").job == CONF["job"]
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    assert read_conf(CONF, run_id="r", verify=False).job == CONF["job"]


def test_what_a_trigger_signs_is_what_a_run_is_verified_with(required: None, pair: KeyPair) -> None:
    token = sign_trigger("r", CONF, pair.private, "EdDSA")
    assert read_conf({**CONF, "check_payload": token}, run_id="r").job == CONF["job"]
