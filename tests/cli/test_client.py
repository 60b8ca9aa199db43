"""The command says clearly what a server answers, and sends its login to nobody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cli.client import Client
from cwl_ui_plugin.cli.errors import ServerError, UnsupportedWorkflow


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


def test_json_streams_and_forms_arrive(server: str) -> None:
    Handler.answers["/x"] = (200, {}, b"{}")
    client = Client(server)
    client.request("POST", "/x", json={"a": "\u00e4"}, params={"wait": "false", "b": "c d"})
    client.request("POST", "/x", content=iter([b"one", b"two"]))
    client.request("POST", "/x", form={"dag_id": "d", "files": ("w.cwl", b"cwlVersion")})
    first, second, third = Handler.seen
    assert (json.loads(first["body"]), first["path"]) == ({"a": "\u00e4"}, "/x?wait=false&b=c+d")
    assert second["body"] == b"onetwo"
    assert b'name="files"; filename="w.cwl"' in third["body"]
    assert b"cwlVersion" in third["body"]


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
