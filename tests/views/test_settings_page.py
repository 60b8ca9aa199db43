"""The settings page: what is set, what waits, keys; and what each user may see of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from support.receiver import answering, receiver

from cwl_ui_plugin import config
from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.signing.keys import KeyPair, fingerprint, generate_key_pair


@pytest.fixture
def admin(browser: Callable[..., Any]) -> Any:
    return browser("admin")


@pytest.fixture
def post(admin: Any, csrf: Callable[[Any], str]) -> Callable[..., Any]:
    """Post a form of the page as an administrator: ``post(path, **fields)``."""

    def send(path: str, **fields: Any) -> Any:
        return admin.post(f"/cwl/settings/{path}", data={**fields, "csrf_token": csrf(admin)}, follow_redirects=True)

    return send


@pytest.fixture(autouse=True)
def clean(settings_cleared: None) -> None:
    """Leave no setting behind."""


def test_a_connection_is_saved_with_all_that_it_may_have(post: Callable[..., Any], admin: Any) -> None:
    extra = {"verify": False, "timeout": 3, "headers": {"X-Token": "secret-token"}, "retry_for": 60}
    fields = {"schema": "https", "host": "portal.example.org", "port": "8443", "endpoint": "satellite/v1/"}
    answer = post("connection", **fields, login="bot", password="secret-word", extra=json.dumps(extra))
    assert "Saved." in answer.text
    assert "secret-" not in answer.text
    kept = connection_and_keys.report_connection()
    assert (kept.host, kept.port, kept.has_password) == ("portal.example.org", 8443, True)
    assert kept.extra["headers"] == connection_and_keys.MASK

    # What the page shows comes back as it is, and keeps the rest.
    post("connection", **fields, login="bot", extra=json.dumps(kept.extra))
    from cwl_ui_plugin.reports.target import read_target

    target = read_target()
    assert target is not None
    assert (target.headers, target.timeout, target.verify, target.retry_for) == (
        {"X-Token": "secret-token"},
        3,
        False,
        60,
    )
    assert target.password == "secret-word"


def test_the_format_of_reports_is_a_choice(post: Callable[..., Any], admin: Any) -> None:
    from cwl_ui_plugin.reports.target import read_target

    fields = {"schema": "http", "host": "portal", "endpoint": ""}
    assert '<option selected value="1.2">' in post("connection", **fields, form="1.2").text
    target = read_target()
    assert target is not None
    assert target.url("airflow/status") == "http://portal/airflow/status"
    assert connection_and_keys.report_connection().extra == {}
    post("connection", **fields, form="cwl-ui-plugin")
    assert connection_and_keys.report_connection().form == "cwl-ui-plugin"


def test_a_format_that_nobody_knows_is_told(admin: Any, connection_row: Callable[[str], None]) -> None:
    connection_row('{"format": "1.3"}')
    page = admin.get("/cwl/settings").text
    assert "No report can be sent." in page
    assert "the formats are cwl-ui-plugin, 1.0, 1.2" in page


@pytest.fixture
def connection_row() -> Callable[[str], None]:
    """Save the Connection past the page, with an extra."""

    def save(extra: str) -> None:
        from airflow.models import Connection
        from airflow.utils.session import create_session

        with create_session() as session:
            session.add(Connection(conn_id="process_report", conn_type="http", host="portal", extra=extra))

    return save


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"host": "http://x/y"}, "host"),
        ({"port": "99999"}, "port"),
        ({"schema": "ftp"}, "valid choice"),
        ({"extra": "no JSON"}, "no JSON"),
        ({"extra": '{"timeout": "soon"}'}, "timeout"),
        ({"extra": '{"verify": "/nowhere.pem"}'}, "nowhere.pem"),
        ({"endpoint": "../x"}, "endpoint"),
        ({"form": "9"}, "valid choice"),
        ({"extra": '{"format": "1.2"}'}, "fields of their own"),
    ],
)
def test_a_connection_that_can_not_work_is_refused(post: Callable[..., Any], fields: dict[str, str], word: str) -> None:
    answer = post("connection", **{"schema": "http", "host": "x", "port": "80", "endpoint": "", **fields})
    assert answer.status_code == 400
    assert word in answer.text
    assert not connection_and_keys.report_connection().is_set


@pytest.mark.parametrize(
    ("algorithm", "key", "word"),
    [
        ("RS256", "ES256", "fit"),
        ("HS256", "too-short", "secret"),
        ("RS256", "garbage", "PEM"),
        ("ES256", "encrypted", "encrypted"),
    ],
)
def test_a_key_that_can_not_sign_is_refused_and_the_old_one_kept(
    post: Callable[..., Any], pair: KeyPair, algorithm: str, key: str, word: str
) -> None:
    connection_and_keys.save_report_key(pair.private, "ES256")
    text = {"ES256": generate_key_pair("ES256").private, "encrypted": _encrypted(pair.private)}.get(key, key)
    for path, field in (("report-key", "algorithm"), ("signing-key", "unused")):
        if path == "signing-key" and key != "encrypted":
            continue
        answer = post(path, private_key=text, **{field: algorithm})
        assert answer.status_code == 400
        assert word in answer.text
        assert text.splitlines()[-2 if "\n" in text else -1] not in answer.text
    assert connection_and_keys.report_key().fingerprint == fingerprint(pair.public)
    assert not connection_and_keys.signing_key().is_set


def _encrypted(private: str) -> str:
    key = serialization.load_pem_private_key(private.encode(), None)
    protection = serialization.BestAvailableEncryption(b"word")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


def test_a_test_report_shows_the_answer_and_the_time(post: Callable[..., Any], admin: Any) -> None:
    with receiver() as portal:
        connection_and_keys.save_report_connection(schema="http", host="127.0.0.1", port=portal.port, endpoint="")
        shown = post("test").text
        assert "The receiver answered 200." in shown
        assert "It took" in shown
        portal.mood = lambda _payload: answering(401, b"<i>who are you</i>")
        shown = post("test").text
        assert "answered 401" in shown
        assert "&lt;i&gt;who are you&lt;/i&gt;" in shown


@pytest.mark.parametrize("role", ["op", "user"])
def test_what_a_receiver_says_is_for_admins(browser: Callable[..., Any], csrf: Callable[[Any], str], role: str) -> None:
    with receiver() as portal:
        connection_and_keys.save_report_connection(schema="http", host="127.0.0.1", port=portal.port, endpoint="")
        portal.mood = lambda _payload: answering(401, b"internal-page")
        client, admin = browser(role), browser("admin")
        token = {"csrf_token": csrf(admin)}
        client.set_cookie("session", admin.get_cookie("session").value)
        answer = client.post("/cwl/settings/test", data=token)
        assert answer.status_code == (200 if role == "op" else 403)
        assert "internal-page" not in answer.text
        assert ("answered 401" in answer.text) == (role == "op")


@pytest.mark.parametrize(("policy", "buttons", "told"), [("Enabled", 1, 0), ("Disabled", 1, 1), ("Hidden", 0, 0)])
def test_the_test_report_follows_airflows_policy_for_connections(
    admin: Any, monkeypatch: pytest.MonkeyPatch, policy: str, buttons: int, told: int
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", policy)
    shown = admin.get("/cwl/settings").text
    assert (shown.count("Send test report"), shown.count("Test reports are switched off")) == (buttons, told)


def test_what_waits_is_shown_and_tried_again(
    post: Callable[..., Any], admin: Any, workflow: str, waiting_run: str
) -> None:
    page = admin.get("/cwl/settings").text
    assert "1 of 1 run" in page
    assert "&lt;script&gt;no&lt;/script&gt;" in page
    assert f"/cwl/runs/{workflow}/{waiting_run}/reports" in page
    post("retry", dag_id=workflow, run_id=waiting_run)
    from cwl_ui_plugin.services.settings import report_delivery

    (run,) = report_delivery.waiting_runs().items
    assert (run.failures, run.next_try) == (0, None)


def test_the_reports_of_a_run_have_a_page(browser: Callable[..., Any], workflow: str, waiting_run: str) -> None:
    page = browser("viewer").get(f"/cwl/runs/{workflow}/{waiting_run}/reports")
    assert page.status_code == 200
    assert "&lt;b&gt;sort&lt;/b&gt; [3]: success, try 2" in page.text
    assert "<b>sort</b>" not in page.text
    assert "delivered" in page.text
    assert "waiting" in page.text
    assert "Retry" not in page.text
    assert browser("viewer").get(f"/cwl/runs/{workflow}/nothing/reports").status_code == 404
    assert "Retry now" in browser("admin").get(f"/cwl/runs/{workflow}/{waiting_run}/reports").text


def test_a_key_pair_is_shown_once(post: Callable[..., Any], admin: Any) -> None:
    answer = post("keys", algorithm="ES256")
    assert "BEGIN PRIVATE KEY" in answer.text
    assert 'download="key.pem"' in answer.text
    assert not connection_and_keys.report_key().is_set
    assert "BEGIN PRIVATE KEY" not in admin.get("/cwl/settings").text


def test_a_key_pair_can_be_kept_to_sign_reports(post: Callable[..., Any], admin: Any) -> None:
    assert "signs reports from now on" in post("keys", algorithm="ES384", keep="y").text
    kept = connection_and_keys.report_key()
    assert (kept.is_set, kept.algorithm, kept.problem) == (True, "ES384", None)
    page = admin.get("/cwl/settings").text
    assert "BEGIN PRIVATE KEY" not in page
    assert "BEGIN PUBLIC KEY" in page
    assert str(kept.fingerprint) in page


def test_keys_are_checked_against_each_other_and_those_that_are_set(post: Callable[..., Any], pair: KeyPair) -> None:
    other = generate_key_pair("ES256")
    connection_and_keys.save_report_key(pair.private, "ES256")
    answer = post("check", key=pair.public, other=pair.private).text
    assert "of one pair" in answer
    assert "the key that signs reports" in answer
    assert fingerprint(pair.public) in answer
    answer = post("check", key=other.public, other=pair.private).text
    assert "are not of one pair" in answer
    assert "belongs to no key" in answer
    for broken in ("garbage", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"):
        answer = post("check", key=broken)
        assert answer.status_code == 400
        assert "PEM" in answer.text
    assert "PRIVATE" not in post("check", key=pair.private).text


def test_policy_is_shown_with_where_it_is_set(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "AIRFLOW__CWL__REQUIRE_EXP" not in admin.get("/cwl/settings").text
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_EXP", "True")
    assert "AIRFLOW__CWL__REQUIRE_EXP" in admin.get("/cwl/settings").text


def test_what_opens_the_server_is_warned_about(
    admin: Any, monkeypatch: pytest.MonkeyPatch, pair: KeyPair, settings_cleared: None
) -> None:
    told = ("as portal, without a login", "Not used while", "upload code")
    assert not any(words in admin.get("/cwl/settings").text for words in told)
    monkeypatch.setenv("AIRFLOW__CWL__UNSIGNED_TRIGGER_USER", "portal")
    monkeypatch.setenv("AIRFLOW__CWL__UPLOADS_WITHOUT_LOGIN", "True")
    page = admin.get("/cwl/settings").text
    assert [words in page for words in told] == [True, False, True]
    connection_and_keys.save_trigger_key(pair.public, "ES256")
    page = admin.get("/cwl/settings").text
    assert [words in page for words in told] == [False, True, True]


def test_folders_that_no_job_may_use_are_told(admin: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for root, is_told in ((tmp_path / "results", False), (config.tmp_folder() / "results", True)):
        monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(root))
        assert ("no job may write to such a folder" in admin.get("/cwl/settings").text) == is_told
        assert any("output_roots" in problem for problem in health.problems()) == is_told


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_who_may_read_neither_sees_nothing(browser: Callable[..., Any], role: str) -> None:
    assert browser(role).get("/cwl/settings").status_code == 403


def test_each_part_asks_for_its_own_right(
    admin: Any, csrf: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch, pair: KeyPair
) -> None:
    from cwl_ui_plugin.auth import permissions

    connection_and_keys.save_report_key(pair.private, "ES256")
    connection_and_keys.save_report_connection(schema="http", host="portal.example.org", port=1, endpoint="")
    token = csrf(admin)
    monkeypatch.setattr(permissions, "may_edit_connection", lambda _user: False)
    monkeypatch.setattr(permissions, "may_edit_variable", lambda _user, _key: False)
    page = admin.get("/cwl/settings").text
    assert "portal.example.org" in page
    assert fingerprint(pair.public) in page
    assert "Save</button>" not in page
    assert "Remove" not in page
    assert "Retry" not in page
    monkeypatch.setattr(permissions, "may_read_variable", lambda _user, key: key == connection_and_keys.TRIGGER_KEY)
    page = admin.get("/cwl/settings").text
    assert fingerprint(pair.public) not in page
    assert "jwt_backend_public_key" in page
    answer = admin.post("/cwl/settings/check", data={"key": pair.public, "csrf_token": token})
    assert "belongs to no key" in answer.text, "nothing is told of a key that one may not see"
    monkeypatch.setattr(permissions, "may_read_connection", lambda _user: False)
    assert "portal.example.org" not in admin.get("/cwl/settings").text


def test_a_connection_from_the_environment_is_shown_and_can_not_be_edited(
    browser: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROCESS_REPORT", "http://portal.example.org:8080/http?endpoint=x")
    monkeypatch.setenv("AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY", "a secret that is long enough for what it is needed for")
    text = browser("admin").get("/cwl/settings").text
    assert "It comes from the environment (AIRFLOW_CONN_PROCESS_REPORT), and can't be changed here." in text
    assert "It comes from the environment (AIRFLOW_VAR_JWT_BACKEND_PUBLIC_KEY), and can't be changed here." in text
    assert "http://portal.example.org:8080/x" in text
    assert 'name="host"' not in text
    assert "/settings/trigger-key" not in text
    assert "Send test report" in text
