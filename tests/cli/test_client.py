"""The command says clearly what a server answers, and sends its login to nobody else."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import CliError, ServerError, UnsupportedWorkflow


class Handler(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
    seen: list[dict[str, Any]] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append({"path": self.path, "headers": dict(self.headers), "body": body})
        status, headers, content = self.answers[self.path.partition("?")[0]]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    do_GET = do_POST

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.answers, Handler.seen = {}, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def refused(client: Client, path: str = "/x") -> ServerError:
    with pytest.raises(ServerError) as caught:
        client.request("POST", path, json={})
    return caught.value


def test_json_streams_and_forms_arrive(server: str, tmp_path: Path) -> None:
    Handler.answers["/x"] = (200, {}, b"{}")
    client = Client(server)
    client.request("POST", "/x", json={"a": "\u00e4"}, params={"wait": "false", "b": "c d"})
    client.request("POST", "/x", content=iter([b"one", b"two"]))
    client.request("POST", "/x", form={"dag_id": "d", "files": ("w.cwl", b"cwlVersion")})
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    with (tmp_path / "large").open("rb") as file:
        client.request("POST", "/x", form={"dag_id": "\u00e4", "file": ('a"b.zip', file)})
    first, second, third, fourth = Handler.seen
    assert (json.loads(first["body"]), first["path"]) == ({"a": "\u00e4"}, "/x?wait=false&b=c+d")
    assert second["body"] == b"onetwo"
    assert b'name="files"; filename="w.cwl"' in third["body"]
    assert b"cwlVersion" in third["body"]
    assert (len(fourth["body"]), "Transfer-Encoding" in fourth["headers"]) == (
        int(fourth["headers"]["Content-Length"]),
        False,
    )
    sent = message_from_bytes(b"Content-Type: " + fourth["headers"]["Content-Type"].encode() + b"\n\n" + fourth["body"])
    name, content = (part.get_payload(decode=True) for part in sent.get_payload())
    assert (name, content) == ("\u00e4".encode(), bytes(3 << 20))


def test_a_refusal_is_told_with_its_problems(server: str) -> None:
    problems = [{"message": "wrong type", "input": "reads"}]
    Handler.answers["/x"] = (422, {}, json.dumps({"detail": "It does not fit.", "problems": problems}).encode())
    error = refused(Client(server))
    assert str(error) == "It does not fit. (HTTP 422)\n  reads: wrong type"
    assert error.status == 422


def test_what_is_no_json_is_told_by_its_status(server: str) -> None:
    Handler.answers["/x"] = (502, {}, b"<html>proxy</html>")
    assert "Bad Gateway (HTTP 502)" in str(refused(Client(server)))


def test_an_unsupported_workflow_is_one_for_the_exit_code(server: str) -> None:
    Handler.answers["/x"] = (422, {}, b'{"detail": "no", "unsupported": true}')
    with pytest.raises(UnsupportedWorkflow):
        Client(server).request("POST", "/x", json={})


def test_the_login_does_not_follow_a_redirect(server: str) -> None:
    Handler.answers["/x"] = (302, {"Location": f"{server}/elsewhere"}, b"")
    Handler.answers["/elsewhere"] = (200, {}, b"{}")
    assert "HTTP 302" in str(refused(Client(server, {"Authorization": "Bearer secret"})))
    assert [request["path"] for request in Handler.seen] == ["/x"]


def test_an_answer_that_breaks_off_is_an_error(server: str, tmp_path: Path) -> None:
    Handler.answers["/cwl/api/v1/file"] = (200, {"Content-Length": "100"}, b"short")
    with pytest.raises(ServerError, match="broke off"):
        Client(server).get("/file")
    with pytest.raises(ServerError, match="95 bytes are missing"):
        Client(server).download("/file", tmp_path / "file")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no url", "http://[", "ftp://127.0.0.1:1"])
def test_a_server_that_is_none_can_not_be_reached(url: str) -> None:
    assert "can't be reached" in str(refused(Client(url)))


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_server_arguments(parser)
    return parser.parse_args(list(words))


def test_a_user_and_a_password_may_both_be_in_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.answers["/auth/token"] = (201, {}, b'{"access_token": "t"}')
    monkeypatch.setenv("CWL_UI_USER", "ada")
    monkeypatch.setenv("CWL_UI_PASSWORD", "secret")
    Client.of(arguments("--url", server))
    assert json.loads(Handler.seen[0]["body"]) == {"username": "ada", "password": "secret"}


@pytest.mark.parametrize(
    ("words", "variables", "told"),
    [
        (["--password", "p"], {}, "--password is of no use without a user"),
        (["--user", "ada"], {}, "The login of ada needs a password"),
        ([], {"CWL_UI_PASSWORD": "p"}, "CWL_UI_PASSWORD is set, but no user"),
        ([], {}, "Not logged in, or the login has expired"),
        (["--user", "ada", "--password", "wrong"], {}, "refuses the login of ada: wrong user or password"),
    ],
)
def test_what_is_missing_of_a_login_is_named(
    server: str, monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, str], told: str
) -> None:
    Handler.answers = {"/auth/token": (401, {}, b"{}"), "/x": (401, {}, b"{}")}
    for name in ("CWL_UI_USER", "CWL_UI_PASSWORD", "CWL_UI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CliError, match=told):
        Client.of(arguments("--url", server, *words)).request("POST", "/x", json={})
