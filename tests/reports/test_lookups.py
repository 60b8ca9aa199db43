"""The Connection and the Variables may come from anywhere that Airflow looks: the page says where from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cwl_ui_plugin.reports import lookups, outbox
from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.target import read_target
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.signing.keys import KeyPair

ALGORITHM = "RS256"
URI = "http://bot:word@portal.example.org:8080/https?endpoint=satellite%2Fv1%2F&timeout=5&verify=false"
ENVIRONMENT = "the environment (AIRFLOW_CONN_PROCESS_REPORT)"


class Vault:
    """A secrets backend, as providers bring them."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.is_away = False

    def get_connection(self, conn_id: str) -> Any:
        from airflow.models.connection import Connection

        if self.is_away:
            raise OSError("no route to the vault")
        return Connection(conn_id=conn_id, uri=self.variables[conn_id]) if conn_id in self.variables else None

    def get_variable(self, key: str) -> str | None:
        if self.is_away:
            raise OSError("no route to the vault")
        return self.variables.get(key)


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """A secrets backend that Airflow asks first."""
    from airflow import configuration

    made = Vault()
    before = configuration.ensure_secrets_loaded()
    monkeypatch.setattr(configuration, "ensure_secrets_loaded", lambda: [made, *before])
    yield made


def test_a_connection_from_the_environment(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROCESS_REPORT", URI)
    target = read_target()
    assert target is not None
    assert target.url("status") == "https://portal.example.org:8080/satellite/v1/status"
    assert (target.login, target.password, target.timeout, target.verify) == ("bot", "word", 5.0, False)
    shown = connection_and_keys.report_connection()
    assert (shown.source, shown.elsewhere) == (ENVIRONMENT, ENVIRONMENT)
    assert outbox.delivery_of(("d", "r")).is_wanted


def test_the_environment_counts_before_the_database(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connection(1)
    assert (connection_and_keys.report_connection().source, connection_and_keys.report_connection().elsewhere) == (
        lookups.DATABASE,
        "",
    )
    monkeypatch.setenv("AIRFLOW_CONN_PROCESS_REPORT", URI)
    assert connection_and_keys.report_connection().host == "portal.example.org"
    with pytest.raises(BadRequest, match=r"AIRFLOW_CONN_PROCESS_REPORT.*change it there"):
        connection_and_keys.save_report_connection(schema="http", host="other", port=1, endpoint="")
    with pytest.raises(BadRequest, match="change it there"):
        connection_and_keys.remove_report_connection()
    monkeypatch.delenv("AIRFLOW_CONN_PROCESS_REPORT")
    assert connection_and_keys.report_connection().host == "127.0.0.1"


def test_a_connection_and_a_key_from_a_secrets_backend(airflow_home: Any, vault: Vault, pair: KeyPair) -> None:
    vault.variables = {"process_report": URI, connection_and_keys.REPORT_KEY: pair.private}
    target = read_target()
    assert target is not None
    assert target.private_key == pair.private
    assert (
        connection_and_keys.report_connection().elsewhere
        == connection_and_keys.report_key().elsewhere
        == "the secrets backend Vault"
    )
    with pytest.raises(BadRequest, match="Vault"):
        connection_and_keys.remove_variable(connection_and_keys.REPORT_KEY)
    with pytest.raises(BadRequest, match="Vault"):
        connection_and_keys.save_report_key(pair.private + "\n", "RS256")


def test_a_secrets_backend_that_is_away_is_no_connection_that_is_not_there(
    connection: Any, vault: Vault, workflow: str, ended_run: str, do_round: Any
) -> None:
    """Reports are recorded and wait; none is sent unsigned since the key can't be read."""
    from cwl_ui_plugin.services.settings import report_delivery

    vault.is_away = True
    with pytest.raises(BadTarget, match="the secrets backend Vault can't be asked"):
        read_target()
    do_round()
    assert report_delivery.reports_of(workflow, ended_run).total > 0
    assert "can't be asked" in (report_delivery.delivery_state().problem or "")
    connection(1)
    with pytest.raises(BadTarget, match="the Variable process_report_private_key"):
        read_target()
    assert "can't be asked" in (connection_and_keys.report_key().problem or "")
    assert outbox.delivery_of(("d", "r")).is_wanted
