"""``cwl-ui-plugin trigger`` sends what the predecessors' trigger.py sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cwl_ui_plugin.cli.main import main
from cwl_ui_plugin.signing.keys import generate_key_pair

CONF = '{"job": {"text": "ü"}}'


class Recorder(HTTPServer):
    """A server that takes every trigger."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, Any]]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
        answer = b'{"run_id": "r"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Recorder]:
    with Recorder() as recorder:
        threading.Thread(target=recorder.serve_forever, daemon=True).start()
        yield recorder
        recorder.shutdown()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CWL_UI_URL", "CWL_UI_TOKEN", "CWL_UI_USER", "CWL_UI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def trigger(server: Recorder, *more: object) -> dict[str, Any]:
    words = ["trigger", "-u", f"http://127.0.0.1:{server.server_port}", "-d", "a b", "-r", "r", *map(str, more)]
    if "-c" not in words:
        words += ["-c", CONF]
    assert main(words) == 0
    path, body = server.requests[-1]
    assert path == "/api/experimental/dags/a%20b/dag_runs"
    return body


def test_an_unsigned_trigger_has_the_conf_as_text(server: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    assert trigger(server) == {"run_id": "r", "conf": CONF}
    assert json.loads(capsys.readouterr().out) == {"run_id": "r"}


def test_the_conf_can_be_in_a_file(server: Recorder, tmp_path: Path) -> None:
    (tmp_path / "conf.json").write_text(CONF)
    assert trigger(server, "-c", f"@{tmp_path / 'conf.json'}")["conf"] == CONF


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_signed_trigger_has_a_token_over_exactly_run_id_and_conf(
    server: Recorder, tmp_path: Path, algorithm: str
) -> None:
    pair = generate_key_pair(algorithm)
    (tmp_path / "key.pem").write_text(pair.private)
    options = ["-k", tmp_path / "key.pem", *([] if algorithm == "RS256" else ["-a", algorithm])]
    body = trigger(server, *options)
    assert jwt.decode(body["check_payload"], pair.public, algorithms=[algorithm]) == {"run_id": "r", "conf": CONF}
    bound = trigger(server, *options, "--bind-dag")
    assert jwt.decode(bound["check_payload"], pair.public, algorithms=[algorithm])["dag_id"] == "a b"
    expiring = trigger(server, *options, "--expires", 60)
    claims = jwt.decode(expiring["check_payload"], pair.public, algorithms=[algorithm])
    assert set(claims) == {"run_id", "conf", "exp"}


def test_a_weak_key_is_used_with_a_warning(
    server: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key.pem").write_bytes(old)
    assert jwt.decode(trigger(server, "-k", tmp_path / "key.pem")["check_payload"], key.public_key(), ["RS256"])
    assert "allow_weak_keys" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-c", "{"], "no JSON"),
        (["-c", "[1]"], "JSON object"),
        (["-c", "@/nowhere"], "can't be read"),
        (["-k", "/nowhere"], "can't be read"),
        (["-k", "KEY"], "-a"),
        (["-k", "KEY", "-a", "none"], "no signature algorithm"),
    ],
)
def test_what_can_not_be_sent_is_explained(
    server: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    (tmp_path / "key.pem").write_text(generate_key_pair("ES256").private)
    words = [str(tmp_path / "key.pem") if word == "KEY" else word for word in options]
    conf = [] if "-c" in words else ["-c", CONF]
    url = f"http://127.0.0.1:{server.server_port}"
    assert main(["trigger", "-u", url, "-d", "d", "-r", "r", *conf, *words]) != 0
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said
    assert server.requests == []
