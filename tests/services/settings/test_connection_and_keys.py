"""Settings are checked when they are saved, and secrets never come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import variables
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint


@pytest.fixture(autouse=True)
def clean(airflow_home: Path) -> Iterator[None]:
    yield
    connection_and_keys.remove_report_connection()
    for key in variables.ALL:
        connection_and_keys.remove_variable(key)


def test_a_connection_is_kept_and_its_secrets_are_not_shown() -> None:
    assert not connection_and_keys.report_connection().is_set
    connection_and_keys.save_report_connection(
        schema="https",
        host="portal.example.org",
        port=8443,
        endpoint="satellite/v1/",
        login="bot",
        password="hidden-word",
        extra={"headers": {"X-Token": "hidden-token"}, "timeout": 5},
    )
    shown = connection_and_keys.report_connection()
    assert (shown.schema, shown.host, shown.port, shown.endpoint) == (
        "https",
        "portal.example.org",
        8443,
        "satellite/v1/",
    )
    assert shown.has_password
    assert "hidden" not in repr(shown)
    assert shown.extra == {"headers": connection_and_keys.MASK, "timeout": 5}


def test_what_is_not_given_is_kept() -> None:
    values: dict[str, Any] = {"schema": "http", "host": "a", "port": 1, "endpoint": "e"}
    connection_and_keys.save_report_connection(
        **values, password="word", extra={"headers": {"a": "b"}, "verify": False}
    )
    connection_and_keys.save_report_connection(**values, extra={"headers": connection_and_keys.MASK})
    assert connection_and_keys.report_connection().has_password
    assert _extra()["headers"] == {"a": "b"}
    assert "verify" not in _extra()
    connection_and_keys.save_report_connection(**values, password="")
    assert not connection_and_keys.report_connection().has_password
    assert _extra()["headers"] == {"a": "b"}


def _extra() -> dict[str, Any]:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        connection = session.scalar(select(Connection).where(Connection.conn_id == "process_report"))
        return dict(connection.extra_dejson)


@pytest.mark.parametrize(
    "wrong",
    [{"schema": "ftp"}, {"host": ""}, {"host": "http://x"}, {"host": "x/y"}, {"port": 0}, {"port": 70000}],
)
def test_a_connection_that_can_not_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        connection_and_keys.save_report_connection(
            **{"schema": "http", "host": "x", "port": 1, "endpoint": "", **wrong}
        )
    assert not connection_and_keys.report_connection().is_set


def test_a_report_key_is_known_by_its_fingerprint(pair: KeyPair) -> None:
    connection_and_keys.save_report_key(pair.private, "ES256")
    shown = connection_and_keys.report_key()
    assert (shown.is_set, shown.algorithm, shown.problem) == (True, "ES256", None)
    assert shown.fingerprint == fingerprint(pair.public)
    assert shown.public_key == pair.public
    assert "PRIVATE" not in repr(shown)


def test_trigger_keys_are_kept_with_their_algorithms(pair: KeyPair) -> None:
    connection_and_keys.save_trigger_key(pair.public, "ES256, RS256")
    shown = connection_and_keys.trigger_key()
    assert (shown.algorithm, shown.fingerprint) == ("ES256,RS256", fingerprint(pair.public))
    connection_and_keys.save_trigger_key(None, "ES256")
    assert connection_and_keys.trigger_key().is_set
    connection_and_keys.save_trigger_key("", "ES256")
    assert not connection_and_keys.trigger_key().is_set


def test_a_key_that_does_not_fit_is_refused(pair: KeyPair) -> None:
    for private, algorithm in ((pair.private, "RS256"), ("garbage", "ES256"), (pair.public, "ES256"), ("x", "none")):
        with pytest.raises(BadRequest):
            connection_and_keys.save_report_key(private, algorithm)
    for public, algorithm in ((pair.public, "RS256"), (pair.private, "ES256"), (pair.public, "HS256")):
        with pytest.raises(BadRequest):
            connection_and_keys.save_trigger_key(public, algorithm)
    assert not connection_and_keys.report_key().is_set
    assert not connection_and_keys.trigger_key().is_set


def test_a_broken_key_that_was_set_elsewhere_is_explained() -> None:
    from airflow.models.variable import Variable

    Variable.set("process_report_private_key", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----")
    shown = connection_and_keys.report_key()
    assert shown.is_set
    assert "can't be read" in (shown.problem or "")


def test_a_key_that_can_not_be_decrypted_is_told_of_and_set_anew(pair: KeyPair) -> None:
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import update

    def spoil() -> None:
        with create_session() as session:
            session.execute(update(Variable).values(_val="of another Fernet key", is_encrypted=True))

    for save, shown, text in (
        (connection_and_keys.save_trigger_key, connection_and_keys.trigger_key, pair.public),
        (connection_and_keys.save_report_key, connection_and_keys.report_key, pair.private),
    ):
        save(text, "ES256")
        spoil()
        found = shown()
        assert (found.is_set, found.elsewhere, "fernet_key" in str(found.problem)) == (True, "", True)
        save(text, "ES256")
        assert shown().problem is None
        spoil()
        connection_and_keys.remove_variable(found.key)
        assert not shown().is_set or shown().problem


def test_old_names_of_the_algorithms_are_read(pair: KeyPair) -> None:
    from airflow.models.variable import Variable

    Variable.set("process_report_private_key", pair.private)
    Variable.set("process_report_algorithm", "ES256")
    assert connection_and_keys.report_key().problem is None
    connection_and_keys.remove_variable("process_report_crypt_algorithm")
    assert connection_and_keys.report_key().algorithm == "RS256"


def test_only_our_variables_are_removed() -> None:
    with pytest.raises(BadRequest):
        connection_and_keys.remove_variable("something_else")


def test_a_key_pair_is_made_and_not_kept() -> None:
    made = connection_and_keys.generate_keys("EdDSA")
    assert "PRIVATE KEY" in made.private
    assert not connection_and_keys.report_key().is_set
    with pytest.raises(BadRequest):
        connection_and_keys.generate_keys("HS256")
