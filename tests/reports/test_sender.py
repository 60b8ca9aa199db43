"""What one report is over HTTP: its address, its body, what is made of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.receiver import answering, receiver

from cwl_ui_plugin.reports import delivery
from cwl_ui_plugin.reports.delivery import Sender
from cwl_ui_plugin.reports.errors import NotDelivered, NotSigned, Unreachable
from cwl_ui_plugin.reports.target import ReportTarget
from cwl_ui_plugin.signing.keys import KeyPair


def sent(text: str, *, mood: Any = None, **of_target: Any) -> tuple[int, Any]:
    """Send a recorded report to a receiver; return the status, and the receiver."""
    with receiver() as portal:
        portal.mood = lambda _payload: mood
        sender = Sender(ReportTarget(f"http://127.0.0.1:{portal.port}/v1", **of_target))
        try:
            return sender.send_text("status", text), portal
        finally:
            sender.close()


def test_a_recorded_report_is_posted_as_it_is() -> None:
    status, portal = sent('{"run_id": "r", "n": 1.50}')
    assert (status, portal.paths) == (200, ["/v1/status"])
    assert portal.reports == [("status", {"run_id": "r", "n": 1.5})]
    assert portal.headers[0]["Content-Type"] == "application/json"
    assert "Authorization" not in portal.headers[0]


def test_a_report_from_before_the_format_was_known_is_sent_in_it() -> None:
    known = {"state": "running", "dag_id": "d", "run_id": "r", "task_id": "t", "sequence": 3, "for_predecessors": {}}
    _status, portal = sent(json.dumps(known), form="1.2")
    assert portal.paths == ["/v1/airflow/status"]
    assert portal.reports[0][1] == {"state": "running", "dag_id": "d", "run_id": "r", "task_id": "t"}


def test_a_user_without_a_password_and_headers_of_ones_own() -> None:
    _status, portal = sent("{}", login="bot", headers={"X-Site": "one"})
    assert (portal.headers[0]["Authorization"], portal.headers[0]["X-Site"]) == ("Basic Ym90Og==", "one")


def test_what_can_not_be_signed_is_not_sent(pair: KeyPair) -> None:
    for of_target in ({"private_key": "no key"}, {"private_key": pair.private, "algorithm": "RS256"}):
        with receiver() as portal:
            sender = Sender(ReportTarget(f"http://127.0.0.1:{portal.port}", **of_target))  # type: ignore[arg-type]
            with pytest.raises(NotSigned, match=r"^Reports can't be signed: "):
                sender.send_text("status", "{}")
            assert portal.paths == []


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_each_status_of_success_is_one(status: int) -> None:
    assert sent("{}", mood=answering(status))[0] == status


@pytest.mark.parametrize("status", [300, 304, 400])
def test_what_is_neither_a_success_nor_a_redirect_is_a_refusal(status: int) -> None:
    with pytest.raises(NotDelivered) as caught:
        sent("{}", mood=answering(status))
    assert (caught.value.status, isinstance(caught.value, Unreachable)) == (status, False)


def test_an_answer_is_shown_as_one_line_of_text_and_not_all_of_it() -> None:
    with receiver() as portal:
        portal.mood = lambda _payload: answering(200, b" a\x00\xff\n\tb " + b"c" * 1000)
        sender = Sender(ReportTarget(f"http://127.0.0.1:{portal.port}"))
        status, answer = sender.send("status", {})
        sender.close()
    assert status == 200
    assert answer.startswith("a \N{REPLACEMENT CHARACTER} b ccc")
    assert answer.endswith("c")
    assert 200 < len(answer) < delivery.SHOWN_CHARACTERS


def broken(handler: BaseHTTPRequestHandler) -> None:
    """Say that it took it, and end amid the answer."""
    handler.send_response(202)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"taken")
    handler.close_connection = True


def test_the_status_counts_whatever_becomes_of_the_rest() -> None:
    assert sent("{}", mood=broken)[0] == 202


def test_a_connection_serves_one_report_after_the_other() -> None:
    with receiver() as portal:
        sender = Sender(ReportTarget(f"http://127.0.0.1:{portal.port}"))
        ports = set()

        def note(handler: BaseHTTPRequestHandler) -> None:
            ports.add(handler.client_address[1])
            answering(200, b"x" * 5000)(handler)

        portal.mood = lambda _payload: note
        for _report in range(3):
            sender.send_text("status", "{}")
        sender.close()
    assert len(ports) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_where_nobody_answers_the_address_is_named(url: str) -> None:
    sender = Sender(ReportTarget(url))
    with pytest.raises(Unreachable, match=f"^{url}/status can't be reached: .") as caught:
        sender.send_text("status", "{}")
    assert (caught.value.status, caught.value.retry_after, caught.value.answer) == (None, None, "")


def test_a_test_report_without_a_connection_says_so(airflow_home: object) -> None:
    result = delivery.send_test_report()
    assert (result.ok, result.status, result.seconds) == (False, None, 0)
    assert result.message == "There is no Connection process_report: save one first."


def test_a_test_report_to_nobody_says_why(connection: Callable[..., None]) -> None:
    connection(1)
    result = delivery.send_test_report()
    assert (result.ok, result.status, result.answer) == (False, None, "")
    assert "can't be reached" in result.message


def test_a_test_report_is_about_no_run(connection: Callable[..., None]) -> None:
    seen: list[dict[str, Any]] = []

    def welcome(payload: dict[str, Any]) -> Any:
        seen.append(payload)
        return answering(200, b"welcome")

    with receiver() as portal:
        connection(portal.port)
        portal.mood = welcome
        result = delivery.send_test_report()
    assert (result.ok, result.status, result.message) == (True, 200, "The receiver answered 200.")
    assert (result.answer, portal.paths) == ("welcome", ["/satellite/v1/status"])
    (told,) = seen
    fields = ("state", "dag_id", "run_id", "task_id", "map_index", "try_number", "sequence")
    assert [told[name] for name in fields] == ["test", "cwl_ui_plugin", "test", "test", -1, 1, 0]
    assert told["report_id"] == f"test-{told['timestamp']}"
