"""Reports reach a real receiver: signed, once it is up, in order, none lost, whatever it answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.receiver import answering, receiver

from cwl_ui_plugin.services.errors import NotAllowed
from cwl_ui_plugin.services.settings import report_delivery
from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair

ALGORITHM = "RS256"
BROKEN = "-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----"


def waiting() -> int:
    return report_delivery.delivery_state().waiting


def test_a_run_is_reported_signed_and_only_once(connection: Any, do_round: Any, ended_run: str, pair: KeyPair) -> None:
    with receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, pair.private)
        do_round()
        assert portal.refused == []
        assert [p["progress"] for p in portal.of_run(ended_run, "progress")] == [25, 50, 75, 99, 100]
        assert portal.of_run(ended_run, "results")[0]["results"] == {"lines": 4}
        assert [p["sequence"] for p in portal.of_run(ended_run)] == list(range(1, len(portal.of_run(ended_run)) + 1))
        assert waiting() == 0

        portal.reports.clear()
        do_round()
        assert portal.reports == []


def test_without_a_key_reports_are_plain(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        do_round()
        assert portal.of_run(ended_run, "results")


def test_the_connection_says_how(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        extra = {"headers": {"X-Site": "one"}, "routes": {"status": "airflow/status"}, "endpoint": "a/b"}
        connection(portal.port, login="bot", password="word", extra=extra)
        do_round()
        assert {"/a/b/airflow/status", "/a/b/progress", "/a/b/results"} == set(portal.paths)
        assert all(headers["X-Site"] == "one" for headers in portal.headers)
        assert all(headers["Authorization"] == "Basic Ym90OndvcmQ=" for headers in portal.headers)


def test_a_receiver_that_is_down_loses_nothing(
    connection: Any, do_round: Any, ended_run: str, long_pauses: None
) -> None:
    with receiver() as gone:
        port = gone.port
    connection(port)
    do_round()
    state = report_delivery.delivery_state()
    assert state.waiting
    assert str(port) in str(state.last_error)
    assert state.next_try
    with receiver(port) as portal:
        do_round()
        assert portal.reports == [], "it is tried again after a pause"
        do_round.again()
        do_round()
        assert portal.of_run(ended_run, "results")
    assert waiting() == 0
    assert report_delivery.delivery_state().last_error is None


def test_delivery_goes_on_where_it_stopped(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(500) if len(portal.reports) == 3 else None
        do_round()
        assert len(portal.reports) == 3
        portal.mood = lambda _payload: None
        do_round.again()
        sequence = [report["sequence"] for report in portal.of_run(ended_run)]
        assert sequence == list(range(1, len(sequence) + 1))
        assert portal.reports[-1][0] == "results"


def test_what_may_not_have_arrived_is_sent_again_as_it_was(
    connection: Any, do_round: Any, workflow: str, ended_run: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.reports import outbox

    def killed(*_arguments: object) -> None:
        raise RuntimeError("killed between the answer and the note of it")

    with receiver() as portal:
        connection(portal.port)
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "acknowledge", killed)
            do_round()
        before = portal.of_run(ended_run)
        assert before
        airflow.set_task(workflow, ended_run, "sort", state="failed")
        do_round.again()
        after = portal.of_run(ended_run)[len(before) :]
        assert after[: len(before)] == before
        assert [report["sequence"] for report in after] == list(range(1, len(after) + 1))
        assert after[-1]["state"] == "failed"


def test_a_report_that_is_refused_holds_up_no_other_run(
    connection: Any, do_round: Any, workflow: str, ended_run: str, end: Callable[[str, str], None]
) -> None:
    from cwl_ui_plugin.services.triggering import triggers

    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="other", user="ada", via=triggers.REST)
    end(workflow, "other")
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda payload: answering(400, b"no such user") if payload["run_id"] == ended_run else None
        do_round()
        assert portal.of_run("other", "results")
        (stuck,) = report_delivery.waiting_runs().items
        assert (stuck.run_id, stuck.failures) == (ended_run, 1)
        assert "400" in str(stuck.last_error)
        assert "no such user" not in str(stuck.last_error)  # whose server it is, is not known


def test_a_busy_receiver_says_when_to_come_again(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(429, Retry_After="90")
        do_round()
        (stuck,) = report_delivery.waiting_runs().items
        assert _seconds_until(stuck.next_try) > 80
        asked = len(portal.paths)
        do_round()
        assert len(portal.paths) == asked


def _seconds_until(moment: str | None) -> float:

    return (datetime.fromisoformat(str(moment)) - datetime.now(timezone.utc)).total_seconds()


def _hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(4)


def _reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    handler.connection.close()


def _garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\x01 no HTTP\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize("mood", [_hang, _reset, _garbage, answering(500), answering(301, Location="/x")])
def test_whatever_goes_wrong_it_waits_and_is_sent_again(
    connection: Any, do_round: Any, ended_run: str, mood: Any
) -> None:
    with receiver() as portal:
        connection(portal.port, extra={"timeout": 1})
        portal.mood = lambda _payload: mood
        do_round()
        assert waiting()
        portal.mood = lambda _payload: None
        do_round.again()
        assert portal.of_run(ended_run, "results")
        assert waiting() == 0


def test_a_huge_answer_is_not_read(connection: Any, do_round: Any, ended_run: str) -> None:
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        handler.close_connection = True
        for _number in range(10**9 // 2**16):
            sent.append(handler.wfile.write(b"x" * 2**16))

    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: endless
        do_round()
        assert waiting() == 0
        assert max(sum(sent) / len(portal.paths), 1) < 50 * 2**20


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(BROKEN, "RS256"), (generate_key_pair("ES256").private, "RS256"), ("", "RS256"), ("pair", "none")],
    ids=["broken", "of another algorithm", "encrypted", "unknown algorithm"],
)
def test_a_key_that_can_not_sign_sends_nothing_and_the_page_says_why(
    connection: Any, do_round: Any, ended_run: str, key: str, algorithm: str, pair: KeyPair
) -> None:
    from airflow.models import Variable

    with receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, {"": _encrypted(pair.private), "pair": pair.private}.get(key, key))
        Variable.set("process_report_crypt_algorithm", algorithm)
        do_round()
        assert portal.paths == []
        state = report_delivery.delivery_state()
        assert state.waiting
        assert "can't be signed" in str(state.problem)
        assert "broken" not in f"{state}"

        # Rotation without restart.
        Variable.set("process_report_private_key", pair.private)
        Variable.set("process_report_crypt_algorithm", "RS256")
        do_round()
        assert portal.refused == []
        assert portal.of_run(ended_run, "results")


def _encrypted(private: str) -> str:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private.encode(), None)
    protection = serialization.BestAvailableEncryption(b"word")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


def test_a_new_key_signs_from_the_next_report_on(connection: Any, do_round: Any, ended_run: str, pair: KeyPair) -> None:
    from airflow.models import Variable

    other = generate_key_pair("RS256")
    with receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, other.private)
        do_round()
        assert portal.reports == []
        Variable.set("process_report_private_key", pair.private)
        do_round()
        assert portal.of_run(ended_run, "results")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"schema": "ftp"}, "ftp"),
        ({"host": ""}, "host"),
        ({"host": "a/b"}, "host"),
        ({"host": "a:80"}, "host"),
        ({"port": 70000}, "port"),
        ({"extra": '{"verify": 3}'}, "verify"),
        ({"extra": '{"verify": "/nowhere/ca.pem"}'}, "ca.pem"),
        ({"extra": "no JSON"}, "JSON object"),
        ({"extra": "[1]"}, "JSON object"),
        ({"extra": '{"endpoint": "http://elsewhere/x"}'}, "endpoint"),
        ({"extra": '{"endpoint": "../admin"}'}, "endpoint"),
        ({"extra": '{"endpoint": 3}'}, "endpoint"),
        ({"extra": '{"timeout": 0}'}, "timeout"),
        ({"extra": '{"timeout": "fast"}'}, "timeout"),
        ({"extra": '{"headers": {"X": "a\\r\\nY: b"}}'}, "headers"),
        ({"extra": '{"routes": {"state": "x"}}'}, "routes"),
        ({"extra": '{"retry_for": -1}'}, "retry_for"),
    ],
)
def test_a_connection_that_can_not_be_used_says_which_field(
    connection: Any, do_round: Any, ended_run: str, fields: dict[str, Any], word: str
) -> None:
    connection(1)
    raw = fields.pop("extra", None)
    if raw is not None:
        _set_extra(raw)
    else:
        connection(1, **fields) if "port" not in fields else connection(fields["port"])
    do_round()
    state = report_delivery.delivery_state()
    assert word in str(state.problem)
    assert state.waiting, "reports are kept until it can be used"
    result = report_delivery.send_test_report(sees_answer=True)
    assert not result.ok
    assert word in result.message


def _set_extra(text: str) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        # Connection.set_extra refuses what is no JSON; other programs may not.
        row = session.query(Connection).filter_by(conn_id="process_report").one()
        row._extra, row.is_extra_encrypted = text, False


def test_an_unknown_host_is_named(connection: Any, do_round: Any, ended_run: str) -> None:
    connection(80, host="no-such-host.invalid")
    do_round()
    assert "no-such-host.invalid" in str(report_delivery.delivery_state().last_error)


def test_a_receiver_that_does_not_speak_tls_gets_nothing(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port, schema="https")
        do_round()
        assert portal.reports == []
        assert "https://127.0.0.1" in str(report_delivery.delivery_state().last_error)


def test_no_connection_means_no_reports(do_round: Any, ended_run: str) -> None:
    do_round()
    state = report_delivery.delivery_state()
    assert (state.target, state.waiting, state.last_error, state.problem) == (None, 0, None, None)


def test_a_receiver_that_comes_later_hears_of_later_runs_only(connection: Any, do_round: Any, ended_run: str) -> None:
    do_round()
    with receiver() as portal:
        connection(portal.port)
        do_round()
        assert portal.reports == []


def test_a_connection_that_is_made_anew_loses_nothing(
    connection: Any, do_round: Any, workflow: str, run_id: str, airflow: Any, end: Callable[[str, str], None]
) -> None:

    with receiver() as portal:
        connection(portal.port)
        airflow.set_run(workflow, run_id, "running")
        airflow.set_task(
            workflow,
            run_id,
            "CWLJobDispatcher",
            state="running",
            start_date=datetime.now(timezone.utc),
            try_number=1,
        )
        do_round()
        assert len(portal.reports) == 1
        connection.remove()
        end(workflow, run_id)
        do_round()
        connection(portal.port)
        do_round()
        assert portal.of_run(run_id, "results")


def test_reports_are_given_up_only_where_the_connection_says_so(
    connection: Any, do_round: Any, workflow: str, ended_run: str
) -> None:
    with receiver() as portal:
        connection(portal.port, extra={"retry_for": 0.001})
        portal.mood = lambda _payload: answering(400)
        do_round()
        assert waiting() == 0
        states = {report.state for report in report_delivery.reports_of(workflow, ended_run).items}
        assert states == {"given up"}


@pytest.mark.parametrize("policy", ["Disabled", "Hidden", "nonsense", ""])
def test_a_test_report_is_sent_where_airflow_tests_connections(
    connection: Any, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", policy)
    with receiver() as portal:
        connection(portal.port)
        with pytest.raises(NotAllowed, match="test_connection = Enabled"):
            report_delivery.send_test_report(sees_answer=True)
        assert portal.reports == []


def test_a_ca_file_is_no_way_to_look_for_files(connection: Any, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("no certificate")
    messages = set()
    for name in ("secret", "missing", "."):
        connection(1, extra={"verify": str(tmp_path / name)})
        messages.add(
            str(report_delivery.send_test_report(sees_answer=True).message).replace(str(tmp_path / name), "FILE")
        )
    assert len(messages) == 1


def test_a_test_report_shows_the_answer_and_the_latency(connection: Any, pair: KeyPair) -> None:
    with receiver() as portal:
        portal.public_key = pair.public
        connection(portal.port, pair.private)
        result = report_delivery.send_test_report(sees_answer=True)
        assert (result.ok, result.status) == (True, 200)
        assert result.seconds > 0
        portal.mood = lambda _payload: answering(418, b"<b>teapot</b>")
        result = report_delivery.send_test_report(sees_answer=True)
        assert (result.ok, result.status, result.answer) == (False, 418, "<b>teapot</b>")
        result = report_delivery.send_test_report(sees_answer=False)
        assert (result.status, "teapot" in repr(result)) == (418, False)


def test_one_run_can_be_tried_again_now(
    connection: Any, do_round: Any, workflow: str, ended_run: str, long_pauses: None
) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(400)
        do_round()
        portal.mood = lambda _payload: None
        do_round()
        assert portal.reports == []
        report_delivery.retry_now(workflow, ended_run)
        do_round()
        assert portal.of_run(ended_run, "results")


def test_old_reports_are_removed_and_waiting_ones_kept(
    connection: Any, do_round: Any, workflow: str, ended_run: str
) -> None:
    from cwl_ui_plugin.reports import outbox

    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(500) if len(portal.reports) == 3 else None
        do_round()
        assert outbox.remove_old(days=7) == 0
        assert outbox.remove_old(days=0) == 3
        assert {report.state for report in report_delivery.reports_of(workflow, ended_run).items} == {"waiting"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("90", 90),
        (" 5 ", 5),
        ("0", 0),
        ("1" * 30, 111_111_111),
        ("²", None),
        ("soon", None),
        ("-5", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        (f"1 Jan {'9' * 20} 00:00 GMT", None),
    ],
)
def test_what_a_receiver_asks_for_as_a_pause(value: str | None, seconds: float | None) -> None:
    from cwl_ui_plugin.reports import delivery

    assert delivery._retry_after(value) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_pause_may_be_a_date(zone: str) -> None:
    from cwl_ui_plugin.reports import delivery

    asked = delivery._retry_after(f"Thu, 01 Jan 2099 00:00:00 {zone}")
    expected = datetime(2099, 1, 1, tzinfo=timezone.utc) - datetime.now(timezone.utc)
    assert asked == pytest.approx(expected.total_seconds(), abs=600)


@pytest.mark.parametrize(
    ("status", "is_busy"),
    [(400, False), (404, False), (500, False), (429, True), (502, True), (503, True), (504, True)],
)
def test_a_receiver_that_takes_nothing_now_is_told_from_one_that_refuses_this_report(
    connection: Any, status: int, is_busy: bool
) -> None:
    from cwl_ui_plugin.reports.delivery import Sender
    from cwl_ui_plugin.reports.errors import NotDelivered, Unreachable
    from cwl_ui_plugin.reports.target import ReportTarget

    with receiver() as portal:
        portal.mood = lambda _payload: answering(status, b"a\x00b\n  c" + b"d" * 1000, Retry_After="7")
        sender = Sender(ReportTarget(f"http://127.0.0.1:{portal.port}"))
        with pytest.raises(NotDelivered) as caught:
            sender.send("status", {"run_id": "r"})
        sender.close()
    error = caught.value
    assert isinstance(error, Unreachable) is is_busy
    assert (error.status, error.retry_after) == (status, 7)
    assert str(error) == f"http://127.0.0.1:{portal.port}/status answered {status}"
    assert error.answer.startswith("a b c")
    assert len(error.answer) < 300
