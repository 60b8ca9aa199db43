"""The client with httpx: what is tried again and what is not, errors in the server's words, logins, time limits."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from cwl_ui_client import (
    AsyncClient,
    Client,
    Conflict,
    CwlUiError,
    Forbidden,
    Invalid,
    NotFound,
    NotLoggedIn,
    RunFailed,
    RunStopped,
    ServerError,
    Unavailable,
    Unreachable,
    UnsupportedWorkflow,
    UsageError,
    WaitTimeout,
    http,
)
from cwl_ui_client.running import Key

from cwl_ui_plugin.signing.keys import generate_key_pair

URL = "http://server.example"
RUN = {"dag_id": "d", "run_id": "r", "state": "running", "shown_state": "running", "progress": 40}
Answering = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers one after the other; the last one stays."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits; how long it would have been is in the list."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("cwl_ui_client.client.time.sleep", pauses.append)
    monkeypatch.setattr("cwl_ui_client.async_client.asyncio.sleep", sleep)
    return pauses


def sync(server: Server, use: Callable[[Client], Any]) -> Any:
    with Client(URL, token="t", transport=httpx.MockTransport(server)) as client:
        return use(client)


def asynchronous(server: Server, use: Callable[[Any], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with AsyncClient(URL, token="t", transport=httpx.MockTransport(server)) as client:
            return await use(client)

    return asyncio.run(main())


both = pytest.mark.parametrize("call", [sync, asynchronous])
OK = httpx.Response(200, json=RUN)
BUSY = httpx.Response(503, json={"detail": "Not now."}, headers={"Retry-After": "7"})


@both
def test_what_was_put_off_is_asked_again_when_the_server_says(call: Any, no_pauses: list[float]) -> None:
    server = Server(BUSY, BUSY, OK)
    assert call(server, lambda client: client.get_run("d", "r")).progress == 40
    assert no_pauses == [7.0, 7.0]
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer t"}


@both
def test_nothing_is_tried_for_ever(call: Any) -> None:
    server = Server(BUSY)
    with pytest.raises(Unavailable, match="Not now"):
        call(server, lambda client: client.get_run("d", "r"))
    assert len(server.requests) == http.RETRIES + 1


@both
@pytest.mark.parametrize("problem", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")])
def test_reading_is_tried_again_whatever_broke(call: Any, problem: Exception) -> None:
    server = Server(problem, OK)
    assert call(server, lambda client: client.get_run("d", "r")).run_id == "r"


@both
def test_a_run_whose_answer_got_lost_is_looked_for_and_not_started_twice(call: Any) -> None:
    server = Server(httpx.ReadError("broken"), OK)
    assert call(server, lambda client: client.trigger("d", {}, run_id="r")).run_id == "r"
    assert [request.method for request in server.requests] == ["POST", "GET"]


@both
def test_a_run_that_is_not_there_either_is_an_error(call: Any) -> None:
    server = Server(httpx.ReadError("broken"), httpx.Response(404, json={"detail": "none"}))
    with pytest.raises(Unreachable, match="can't be reached"):
        call(server, lambda client: client.trigger("d", {}, run_id="r"))


@both
def test_a_run_that_never_got_to_the_server_is_started_again(call: Any) -> None:
    server = Server(httpx.ConnectError("refused"), httpx.Response(201, json=RUN))
    assert call(server, lambda client: client.trigger("d", {}, run_id="r")).run_id == "r"
    assert [request.method for request in server.requests] == ["POST", "POST"]


@both
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (401, NotLoggedIn), (403, Forbidden), (404, NotFound), (409, Conflict), (500, ServerError)],
)
def test_each_refusal_has_its_error_and_the_words_of_the_server(call: Any, status: int, kind: type[Exception]) -> None:
    server = Server(httpx.Response(status, json={"detail": "Because.", "problems": []}))
    with pytest.raises(kind) as caught:
        call(server, lambda client: client.stop("d", "r"))
    assert (type(caught.value), caught.value.status) == (kind, status)  # type: ignore[attr-defined]
    assert "Not logged in" in str(caught.value) if status == 401 else "Because." in str(caught.value)
    assert isinstance(caught.value, CwlUiError)


@both
def test_problems_are_told_by_input(call: Any) -> None:
    problems = [{"message": "it is missing", "input": "reads"}]
    server = Server(httpx.Response(422, json={"detail": "It does not fit.", "problems": problems}))
    with pytest.raises(Invalid, match="reads: it is missing") as caught:
        call(server, lambda client: client.trigger("d", {}))
    assert list(caught.value.problems) == problems


@both
def test_what_is_no_json_and_what_leads_elsewhere_are_errors(call: Any) -> None:
    with pytest.raises(ServerError, match="Bad Gateway"):
        call(Server(httpx.Response(502, text="<html>")), lambda client: client.trigger("d", {}))
    away = Server(httpx.Response(302, headers={"Location": "http://elsewhere.example/"}))
    with pytest.raises(ServerError, match="302"):
        call(away, lambda client: client.get_run("d", "r"))
    assert [request.url.host for request in away.requests] == ["server.example"], "the login would go with it"


@both
@pytest.mark.parametrize(
    ("end", "kind", "told"),
    [
        ({"state": "failed", "shown_state": "failed", "error": "align failed"}, RunFailed, "align failed"),
        ({"state": "failed", "shown_state": "stopped", "stopped_by": "ada"}, RunStopped, "stopped by ada"),
    ],
)
def test_waiting_ends_with_how_the_run_ended(call: Any, end: dict[str, Any], kind: type[RunFailed], told: str) -> None:
    server = Server(OK, OK, httpx.Response(200, json={**RUN, **end}))
    seen = []
    with pytest.raises(kind, match=told) as caught:
        call(server, lambda client: client.wait("d", "r", progress=lambda item: seen.append(item.fraction)))
    assert caught.value.run is not None and caught.value.run.has_ended
    assert seen == [0.4, 0.4], "told when something has changed"


@both
@pytest.mark.parametrize(("seconds", "pauses"), [(0.9, [0.0, 0.0]), (0.0, [0.1, 0.13])])
def test_the_server_waits_and_where_it_does_not_the_client_does(
    call: Any, seconds: float, pauses: list[float], no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count()
    monkeypatch.setattr("cwl_ui_client.flows.time", SimpleNamespace(monotonic=lambda: next(now) * seconds))
    server = Server(OK, OK, httpx.Response(200, json={**RUN, "state": "success", "shown_state": "success"}))
    call(server, lambda client: client.wait("d", "r"))
    assert [request.url.params["wait"] for request in server.requests] == ["1"] * 3
    assert no_pauses == pytest.approx(pauses)


@both
def test_a_workflow_that_can_not_be_run_is_told_as_such(call: Any) -> None:
    step = {"task_id": "a", "label": "a", "map_index": -1, "state": "failed", "error_kind": "unsupported"}
    end = {**RUN, "state": "failed", "shown_state": "failed", "error": "no such feature", "steps": [step]}
    with pytest.raises(UnsupportedWorkflow, match="no such feature") as caught:
        call(Server(httpx.Response(200, json=end)), lambda client: client.wait("d", "r"))
    assert caught.value.code == 33


@both
def test_waiting_has_its_time(call: Any) -> None:
    with pytest.raises(WaitTimeout, match="The run r of d has not ended") as caught:
        call(Server(OK), lambda client: client.wait("d", "r", timeout=-1))
    assert caught.value.run is not None and caught.value.run.progress == 40


@both
def test_waiting_asks_for_no_longer_than_its_time(
    call: Any, no_pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count()
    monkeypatch.setattr("cwl_ui_client.flows.time", SimpleNamespace(monotonic=lambda: next(now) * 0.02))
    server = Server(OK, OK, httpx.Response(200, json={**RUN, "state": "success", "shown_state": "success"}))
    call(server, lambda client: client.wait("d", "r", timeout=0.1))
    assert [request.url.params.get("wait") for request in server.requests] == ["0.08", "0.04", None]
    assert no_pauses == pytest.approx([0.06, 0.02])


def test_a_run_is_watched_as_it_gets_on() -> None:
    states = [OK, OK, httpx.Response(200, json={**RUN, "state": "success", "shown_state": "success", "progress": 100})]
    assert sync(Server(*states), lambda client: [run.progress for run in client.watch("d", "r")]) == [40, 100]

    async def watched(client: AsyncClient) -> list[int]:
        return [run.progress async for run in client.watch("d", "r")]

    assert asynchronous(Server(*states), watched) == [40, 100]


def test_a_signed_trigger_is_what_the_server_verifies() -> None:
    from cwl_ui_plugin.signing.triggers import TriggerPolicy, verify_trigger

    pair = generate_key_pair("ES256")
    server = Server(httpx.Response(201, json=RUN))
    key = Key(pair.private, "ES256", lifetime=60, bind_dag=True)
    sync(server, lambda client: client.trigger("d", {"n": 1}, run_id="r", key=key))
    body = json.loads(server.requests[0].content)
    assert json.loads(body["conf"]) == {"job": {"n": 1}}
    policy = TriggerPolicy(pair.public, ("ES256",), require_exp=True, require_dag_id=True)
    verify_trigger(body["check_payload"], policy, run_id="r", conf=body["conf"], dag_id="d")


def test_keys_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        Key.read(tmp_path / "none.pem")
    with pytest.raises(UsageError, match="can't sign with RS256"):
        sync(Server(OK), lambda client: client.trigger("d", {}, key=Key("no key")))


@pytest.mark.parametrize("made", [Client, AsyncClient])
def test_the_environment_says_where_and_who(monkeypatch: pytest.MonkeyPatch, made: Any) -> None:
    for name, value in {"CWL_UI_URL": f"{URL}/", "CWL_UI_TOKEN": "t", "CWL_UI_USER": "", "CWL_UI_PASSWORD": ""}.items():
        monkeypatch.setenv(name, value)
    assert made.from_env().url == URL
    monkeypatch.delenv("CWL_UI_TOKEN")
    monkeypatch.setenv("CWL_UI_USER", "ada")
    with pytest.raises(UsageError, match="CWL_UI_PASSWORD is not set"):
        made.from_env()


def test_secrets_are_in_no_text_of_an_object() -> None:
    login = http.Login(URL, "a-token", "ada", "a-password")
    assert not [word for word in ("a-token", "a-password", "a-key") if word in f"{login!r} {Key('a-key')!r}"]


def test_a_login_is_a_token_or_an_error() -> None:
    server = Server(httpx.Response(201, json={"access_token": "fresh"}), OK)
    with Client(URL, user="ada", password="secret", transport=httpx.MockTransport(server)) as client:
        client.get_run("d", "r")
    assert json.loads(server.requests[0].content) == {"username": "ada", "password": "secret"}
    assert server.requests[1].headers["Authorization"] == "Bearer fresh"
    for answer, kind in ((httpx.Response(401), NotLoggedIn), (httpx.Response(200, text="hello"), ServerError)):
        with pytest.raises(kind):
            Client(URL, user="ada", password="wrong", transport=httpx.MockTransport(Server(answer)))


@pytest.mark.parametrize("url", ["no url", "ftp://server.example"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(UsageError), Client(url, token="t") as client:
        client.get_run("d", "r")


def test_jobs_are_objects_or_files(tmp_path: Path) -> None:
    from cwl_ui_client.flows import read_job

    (tmp_path / "job.yml").write_text("n: 1\n")
    (tmp_path / "job.json").write_text('{"n": 2}')
    (tmp_path / "list.yml").write_text("[1]")
    assert read_job(tmp_path / "job.yml", None) == ({"n": 1}, tmp_path)
    assert read_job(str(tmp_path / "job.json"), "/data") == ({"n": 2}, Path("/data"))
    assert read_job(None, tmp_path) == ({}, tmp_path)
    for name, told in (("list.yml", "is no job"), ("none.yml", "can't be read")):
        with pytest.raises(UsageError, match=told):
            read_job(tmp_path / name, None)


def test_yaml_that_refers_to_others_takes_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_client.closure import closure

    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    alone, other = tmp_path / "alone.cwl", tmp_path / "other.cwl"
    alone.write_text("class: CommandLineTool\n")
    other.write_text("class: Workflow\nsteps: {a: {run: alone.cwl}}\n")
    assert closure(alone) == [alone]
    with pytest.raises(UsageError, match=r"pip install cwl-ui-client\[yaml\]"):
        closure(other)
    other.write_text(json.dumps({"class": "Workflow", "steps": {"a": {"run": "alone.cwl"}}}))
    assert closure(other) == [alone, other]


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, str]:
        named = {name: getattr(kind, name) for name in vars(kind) if not name.startswith("_")}
        return {name: str(inspect.signature(item)).replace("Async", "") for name, item in named.items()}

    assert methods(Client) == methods(AsyncClient)
    assert len(methods(Client)) > 20


class Transport(httpx.MockTransport):
    """Notes that it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_login_that_fails_leaves_no_connection_open() -> None:
    async def enter(made: AsyncClient) -> None:
        async with made:
            pytest.fail("nobody is logged in")

    transports = [Transport(Server(httpx.Response(401))), Transport(Server(httpx.Response(401)))]
    with pytest.raises(NotLoggedIn):
        Client(URL, user="ada", password="x", transport=transports[0])
    with pytest.raises(NotLoggedIn):
        asyncio.run(enter(AsyncClient(URL, user="ada", password="x", transport=transports[1])))
    assert [transport.is_closed for transport in transports] == [True, True]


def running_workflow(request: httpx.Request) -> httpx.Response:
    """Answer as a server that takes a workflow, and whose runs never end."""
    if request.url.path.endswith("/workflows"):
        return httpx.Response(202, json={"id": "u", "state": "done", "message": "", "dag_id": "words"})
    return httpx.Response(201, json=RUN)


@both
@pytest.mark.parametrize(
    ("named", "replaces"), [({"dag_id": "words"}, False), ({"dag_id": "words", "replace": True}, True), ({}, True)]
)
def test_a_workflow_of_that_name_is_replaced_only_if_that_is_said(
    call: Any, named: dict[str, Any], replaces: bool, tmp_path: Path
) -> None:
    document, asked = tmp_path / "words.cwl", []
    document.write_text("class: CommandLineTool\n")

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return running_workflow(request)

    with pytest.raises(WaitTimeout):
        call(server, lambda client: client.run(document, {}, timeout=0, **named))
    assert (b'name="replace"' in asked[0].content) == replaces


def test_whoever_cancels_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, asked = tmp_path / "words.cwl", []
    document.write_text("class: CommandLineTool\n")

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return running_workflow(request)

    async def sleep_for_ever(_seconds: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("cwl_ui_client.async_client.asyncio.sleep", sleep_for_ever)

    async def main() -> None:
        async with AsyncClient(URL, token="t", transport=httpx.MockTransport(server)) as client:
            task = asyncio.create_task(client.run(document, {}))
            while not any(path.endswith("/r") for path in asked):
                await asyncio.wait([task], timeout=0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert asked[-1] == "/cwl/api/v1/workflows/d/runs/r/stop"
