"""What a Connection and the Variables say of a receiver, field by field, and what is wrong with those that can't be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.target import ReportTarget, target_of
from cwl_ui_plugin.variables import REPORT_ALGORITHM, REPORT_KEY


def target(extra: object = None, variables: dict[str, str] | None = None, **fields: Any) -> ReportTarget:
    from airflow.models.connection import Connection

    values = {"conn_id": "process_report", "conn_type": "http", "host": "h", **fields}
    text = json.dumps(extra) if extra is not None else None
    return target_of(Connection(**values, extra=text), (variables or {}).get)


def refused(extra: object = None, **fields: Any) -> tuple[str, str]:
    """The field that is wrong, and what is said of it."""
    with pytest.raises(BadTarget) as caught:
        target(extra, **fields)
    return caught.value.field, str(caught.value)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "http://h"),
        ({"schema": " HTTPS "}, "https://h"),
        ({"host": "https://h", "schema": "http"}, "https://h"),
        ({"host": " h "}, "http://h"),
        ({"port": 1}, "http://h:1"),
        ({"port": 65535}, "http://h:65535"),
        ({"host": "127.0.0.1", "port": 80}, "http://127.0.0.1:80"),
        ({"host": "::1"}, "http://[::1]"),
        ({"host": "[::1]", "port": 80}, "http://[::1]:80"),
        ({"extra": {"endpoint": " /a/b/ "}}, "http://h/a/b"),
        ({"extra": {"endpoint": "a b/é?x"}}, "http://h/a%20b/%C3%A9%3Fx"),
        ({"extra": {"endpoint": None}}, "http://h"),
    ],
)
def test_where_reports_go(fields: dict[str, Any], url: str) -> None:
    made = target(**fields)
    assert made.base_url == url
    assert made.url("status") == f"{url}/status"


def test_a_route_of_ones_own_counts_for_its_kind_in_each_format() -> None:
    made = target({"routes": {"status": "/old/status/"}})
    assert made.url("status") == made.url("airflow/status") == "http://h/old/status"
    assert made.url("airflow/progress") == "http://h/airflow/progress"


def test_what_is_not_said_has_its_default() -> None:
    made = target()
    assert (made.login, made.password, made.verify, made.timeout, made.retry_for) == (None, None, True, 10, None)
    assert (made.headers, made.private_key, made.algorithm, made.form) == ({}, None, None, "cwl-ui-plugin")
    assert not made.allow_weak


def test_the_key_its_algorithm_and_whether_it_may_be_weak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__ALLOW_WEAK_KEYS", "True")
    made = target(variables={REPORT_KEY: "the key", REPORT_ALGORITHM: "ES256"})
    assert (made.private_key, made.algorithm, made.allow_weak) == ("the key", "ES256", True)


@pytest.mark.parametrize(("value", "seconds"), [(1, 1), (300, 300), (0.5, 0.5), ("5", 5), ("2.25", 2.25)])
def test_a_timeout(value: object, seconds: float) -> None:
    made = target({"timeout": value, "retry_for": value})
    assert (made.timeout, made.retry_for) == (seconds, seconds)


@pytest.mark.parametrize("value", [0, -1, 300.5, True, "", "1e3", "nan", " 5", "5.", None, [5]])
def test_a_timeout_that_is_none(value: object) -> None:
    message = '"timeout" in the extra must be a number of seconds, 300 at most.'
    assert refused({"timeout": value}) == ("extra", message)


@pytest.mark.parametrize("value", [0, -1, False, "soon", []])
def test_a_retry_for_that_is_none(value: object) -> None:
    assert refused({"retry_for": value}) == ("extra", '"retry_for" in the extra must be a number of seconds.')


def test_reports_may_be_tried_for_longer_than_a_timeout_may_be() -> None:
    assert target({"retry_for": 86_400}).retry_for == 86_400


@pytest.mark.parametrize(("value", "verify"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_whether_certificates_are_verified(value: object, verify: bool) -> None:
    assert target({"verify": value}).verify is verify


@pytest.mark.parametrize("value", [1, "", None, ["x"]])
def test_a_verify_that_is_neither_a_flag_nor_a_path(value: object) -> None:
    assert refused({"verify": value})[1].startswith('"verify" in the extra must be true, false or the path')


def test_certificates_of_ones_own(tmp_path: Path) -> None:
    import certifi

    own = tmp_path / "ca.pem"
    assert refused({"verify": str(own)})[1].endswith("ca.pem is no file with certificates.")
    own.write_text(Path(certifi.where()).read_text(encoding="ascii"))
    assert target({"verify": str(own)}).verify == str(own)
    own.write_text("replaced since")
    assert refused({"verify": str(own)})[1].endswith("ca.pem is no file with certificates.")


def test_headers_and_what_the_predecessors_sent_as_such() -> None:
    extra = {"headers": {"X-A": "1", "X-B": "tab\tand ~"}, "X-A": "older", "X-C": "2", "X-D": 3, "timeout": 5}
    assert target(extra).headers == {"X-A": "1", "X-B": "tab\tand ~", "X-C": "2"}


@pytest.mark.parametrize("headers", [{"X A": "1"}, {"": "1"}, {"X": "é"}, {"X": "a\nb"}, {"X:": "1"}])
def test_a_header_that_would_break_a_request(headers: dict[str, str]) -> None:
    field, message = refused({"headers": headers})
    assert (field, "is no HTTP header with a text of ASCII characters." in message) == ("extra", True)


@pytest.mark.parametrize("name", ["headers", "routes"])
@pytest.mark.parametrize("value", [["x"], "x", {"status": 1}])
def test_what_must_be_an_object_of_texts(name: str, value: object) -> None:
    assert refused({name: value}) == ("extra", f'"{name}" in the extra must be an object of texts.')


@pytest.mark.parametrize(
    ("extra", "fields", "field", "message"),
    [
        (None, {"schema": "ftp"}, "schema", "must be http or https, not 'ftp'."),
        (None, {"host": "ftp://h"}, "schema", "must be http or https, not 'ftp'."),
        (None, {"host": ""}, "host", "without port or path, not ''."),
        (None, {"host": "h/x"}, "host", "without port or path, not 'h/x'."),
        (None, {"host": "a b"}, "host", "without port or path, not 'a b'."),
        (None, {"port": 65536}, "port", "must be between 1 and 65535."),
        (None, {"port": -1}, "port", "must be between 1 and 65535."),
        ({"endpoint": 3}, {}, "endpoint", 'must be a text such as "satellite/v1/".'),
        ({"endpoint": "a/../b"}, {}, "endpoint", "not 'a/../b'."),
        ({"endpoint": "a/./b"}, {}, "endpoint", "not 'a/./b'."),
        ({"endpoint": "http://x"}, {}, "endpoint", "not 'http://x'."),
        ({"routes": {"status": "../x"}}, {}, "extra", '"routes" in the extra must be a path'),
        ({"routes": {"z": "x", "state": "x"}}, {}, "extra", "there is no 'state'; the routes are progress, status, re"),
        ({"format": "3"}, {}, "format", "there is no '3'"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(extra: object, fields: dict[str, Any], field: str, message: str) -> None:
    said = refused(extra, **fields)
    assert said[0] == field
    assert message in said[1]
