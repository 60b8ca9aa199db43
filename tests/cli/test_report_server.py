"""``cwl-ui-plugin report-server`` as somebody uses it who builds a receiver: a process, and requests to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cwl_ui_plugin.cli.main import main
from cwl_ui_plugin.signing.keys import generate_key_pair
from cwl_ui_plugin.signing.tokens import sign

PAYLOAD = {"run_id": "ü", "state": "running"}


class ReportServer:
    """A running report-server."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.lines = process.stdout
        self.url = self.lines.readline().split()[-1]

    def post(self, payload: Any = PAYLOAD, route: str = "status") -> int:
        body = {"payload": payload}
        return httpx.post(f"{self.url}/satellite/v1/{route}/", json=body, trust_env=False, timeout=30).status_code

    def printed(self) -> dict[str, Any]:
        return json.loads(self.lines.readline())  # type: ignore[no-any-return]


@pytest.fixture
def start() -> Iterator[Callable[..., ReportServer]]:
    """Start a report-server with options on a free port."""
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "report-server", "--port", "0"]
    processes: list[subprocess.Popen[str]] = []

    def started(*options: object) -> ReportServer:
        process = subprocess.Popen(
            [*command, *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        return ReportServer(process)

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def test_reports_are_printed_and_recorded_as_lines_of_json(start: Callable[..., ReportServer], tmp_path: Path) -> None:
    record = tmp_path / "reports.jsonl"
    record.write_text('{"an": "earlier one"}\n')
    server = start("--record", record)
    assert server.post() == 200
    assert server.post("a.jwt.here", "results") == 200
    wanted = [
        {"route": "status", "verified": "unsigned", "payload": PAYLOAD},
        {"route": "results", "verified": "not checked", "payload": "a.jwt.here"},
    ]
    assert [server.printed(), server.printed()] == wanted
    assert [json.loads(line) for line in record.read_text().splitlines()][1:] == wanted


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_signature_is_verified_with_the_algorithms_that_are_accepted(
    start: Callable[..., ReportServer], tmp_path: Path, algorithm: str
) -> None:
    pair, other = generate_key_pair(algorithm), generate_key_pair(algorithm)
    (tmp_path / "key.pub").write_text(pair.public)
    server = start("--public-key", tmp_path / "key.pub", "-a", "RS256,ES256")
    assert server.post(sign(PAYLOAD, pair.private, algorithm)) == 200
    assert server.printed() == {"route": "status", "verified": "yes", "payload": PAYLOAD}
    for wrong in (sign(PAYLOAD, other.private, algorithm), "no JWT"):
        assert server.post(wrong) == 403
        printed = server.printed()
        assert printed["verified"].startswith("no: ")
        assert printed["payload"] is None


def test_a_share_of_the_reports_fails_and_is_not_recorded(start: Callable[..., ReportServer], tmp_path: Path) -> None:
    record = tmp_path / "reports.jsonl"
    server = start("--fail-rate", "0.5", "--record", record)
    answers = [server.post() for _ in range(60)]
    assert set(answers) == {200, 503}
    assert len(record.read_text().splitlines()) == answers.count(200)
    assert start("--fail-rate", "1").post() == 503


def test_an_answer_takes_as_long_as_it_is_told_to(start: Callable[..., ReportServer]) -> None:
    server = start("--delay", "0.7")
    began = time.monotonic()
    assert server.post() == 200
    assert time.monotonic() - began >= 0.7


def test_what_is_no_report_is_refused_and_the_next_one_taken(start: Callable[..., ReportServer]) -> None:
    server = start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        for body in (b"", b"no JSON", b"[]", b"{}", b"\xff"):
            assert client.post("/status", content=body).status_code == 400
            assert server.printed()["verified"] == "no: not a report"
    address = httpx.URL(server.url)
    for length, status in ((str(10**12), b"413"), ("many", b"411")):
        with socket.create_connection((address.host, int(address.port or 0))) as connection:
            connection.sendall(f"POST /status HTTP/1.1\r\nContent-Length: {length}\r\n\r\nx".encode())
            answer = b"".join(iter(lambda connection=connection: connection.recv(4096), b""))
        assert answer.split()[1] == status
    assert server.post() == 200
    assert server.printed()["payload"] == PAYLOAD


def test_it_ends_quietly(start: Callable[..., ReportServer]) -> None:
    server = start()
    server.process.send_signal(signal.SIGINT)
    output, _ = server.process.communicate(timeout=30)
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fail-rate", "2"], "from 0 to 1"),
        (["--delay", "-1"], "from 0 to"),
        (["--delay", "nan"], "from 0 to"),
        (["--port", "70000"], "Can't listen on 127.0.0.1:70000"),
        (["--host", "nowhere.invalid"], "Can't listen on nowhere.invalid"),
        (["--record", "/proc/nothing/here"], "The record /proc/nothing/here can't be written"),
        (["--public-key", "/nowhere.pub"], "The key /nowhere.pub can't be read"),
        (["--public-key", "/dev/null"], "Nothing can be verified"),
        (["-a", "none"], "Nothing can be verified"),
    ],
)
def test_options_that_can_not_be_are_refused_at_once(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["report-server", "--port", "0", *options])
    except SystemExit as end:
        status = int(end.code or 0)
    assert status != 0
    assert told in capsys.readouterr().err
