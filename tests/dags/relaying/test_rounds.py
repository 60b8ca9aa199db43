"""What a relay makes of the answers of an API server: here, one whose every answer a test gives."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.relaying import relay as relaying
from cwl_ui_plugin.dags.relaying.errors import RelayError
from cwl_ui_plugin.dags.relaying.relay import Relay
from cwl_ui_plugin.dags.relaying.server_calls import ServerCalls
from cwl_ui_plugin.dags.relaying.told_tasks import ToldTask, ToldTasks
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone

TASK = TaskTry("d", "r", "t", -1, 1)
STONE = Tombstone("d", "r", "eve", 1.0)
NOTHING = {"shares_folders": False, "stopped": None, "order": None, "is_leased": True}
Answer = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers by ``METHOD /path``, and has what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.answers: dict[str, Answer] = {}
        self.say("POST /look", NOTHING)
        self.say("PUT /lease", NOTHING)
        self.answers["DELETE /lease"] = lambda _request: httpx.Response(204)
        self.answers["POST /logs/stderr.log"] = lambda request: httpx.Response(200, json={"size": len(request.content)})

    def say(self, call: str, content: object, status: int = 200) -> None:
        self.answers[call] = lambda _request: httpx.Response(status, json=content)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers[f"{request.method} {request.url.path}"](request)

    def count(self, call: str) -> int:
        return [f"{one.method} {one.url.path}" for one in self.asked].count(call)


@pytest.fixture
def server(folders: Path) -> Server:
    return Server()


@pytest.fixture
def told(server: Server) -> ToldTask:
    """A task, told of and held, whose process is this one."""
    calls = ServerCalls(httpx.Client(transport=httpx.MockTransport(server)), "http://server", "token")
    made = ToldTask(TASK, "an-id", os.getpid(), time.time(), calls, has_asked=True, is_held=True)
    TASK.lease_file.parent.mkdir(parents=True)
    TASK.lease_file.write_text("{}")
    return made


@pytest.fixture
def relay(told: ToldTask, monkeypatch: pytest.MonkeyPatch) -> Relay:
    for name in ("LOOK_SECONDS", "LOG_SECONDS", "FIRST_PAUSE", "MOST_PAUSE", "AWAY_SECONDS"):
        monkeypatch.setattr(relaying, name, 0.0)
    tasks = ToldTasks()
    tasks.add(told)
    return Relay(tasks, lambda: None)


def end(told: ToldTask) -> None:
    """Let nothing be left of a task."""
    told.has_asked = told.is_told = told.is_held = False


def test_files_of_a_stop_are_left_alone_where_they_are_the_servers_own(server, relay, told):
    tombstones.write(STONE)
    server.say("POST /look", {"shares_folders": True, "stopped": None, "order": None, "is_leased": False})
    relay.round()
    assert told.shares_folders
    assert not relay.is_apart  # so that nothing of its tasks is removed
    relay.round()
    assert tombstones.find("d", "r") == STONE
    assert server.count("PUT /lease") == 0


def test_files_of_a_stop_are_left_alone_where_the_server_has_said_nothing(server, relay, told):
    tombstones.write(STONE)
    server.say("POST /look", {}, 503)
    relay.round()
    end(told)
    relay.round()
    assert tombstones.find("d", "r") == STONE


def test_a_tombstone_that_was_mirrored_goes_with_the_last_task(server, relay, told):
    server.say("POST /look", {**NOTHING, "stopped": asdict(STONE)})
    relay.round()
    assert relay.is_apart
    assert tombstones.find("d", "r") == STONE
    end(told)
    relay.round()
    assert tombstones.find("d", "r") is None
    assert not relay._looks


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", '{"detail": "Not Found"}'])
def test_a_proxy_that_says_no_ends_nothing(server, relay, told, monkeypatch, body):
    monkeypatch.setattr(relaying, "LOST_SECONDS", -1.0)
    server.answers["POST /look"] = lambda _request: httpx.Response(404, text=body)
    for _round in range(3):
        relay.round()
    assert not told.is_lost
    server.say("POST /look", {**NOTHING, "stopped": asdict(STONE)})
    relay.round()
    assert tombstones.find("d", "r") == STONE


def test_a_task_is_given_up_once_the_server_has_said_no_for_a_while_and_nothing_else(server, relay, told, monkeypatch):
    server.say("POST /look", {"detail": "The token has expired.", "problems": []}, 403)
    relay.round()
    relay.round()
    assert not told.is_lost
    monkeypatch.setattr(relaying, "LOST_SECONDS", -1.0)
    server.say("POST /look", NOTHING)
    relay.round()
    server.say("POST /look", {"detail": "The token has expired.", "problems": []}, 403)
    relay.round()
    assert not told.is_lost  # it begins anew
    relay.round()
    assert told.is_lost


def test_a_proxy_that_says_no_lets_a_task_wait(server, relay, told):
    answers = [httpx.Response(404, text="a proxy's page"), httpx.Response(200, json=NOTHING)]
    server.answers["PUT /lease"] = lambda _request: answers.pop(0)
    relay.hold(told)
    assert not answers
    server.say("PUT /lease", {"detail": "It does not run.", "problems": []}, 403)
    with pytest.raises(RelayError, match="does not run"):
        relay.hold(told)


def test_a_lease_that_can_not_be_told_again_keeps_no_task_from_hearing_of_stops(server, relay, told, eventually):
    server.say("POST /look", {**NOTHING, "is_leased": False})
    server.say("PUT /lease", {"detail": "It does not run.", "problems": []}, 403)

    def is_told_again() -> bool:
        relay.round()  # one in which its logs are just being sent leaves that to the next
        return server.count("PUT /lease") > 0

    eventually(is_told_again)
    server.say("POST /look", {**NOTHING, "is_leased": False, "stopped": asdict(STONE)})
    relay.round()
    assert tombstones.find("d", "r") == STONE


def test_a_lease_is_told_again_and_given_back_one_after_the_other(server, relay, told, eventually):
    """What the server hears of a task last is that it has ended."""
    telling, go_on = threading.Event(), threading.Event()

    def slowly(_request: httpx.Request) -> httpx.Response:
        telling.set()
        assert go_on.wait(60)
        return httpx.Response(200, json=NOTHING)

    server.say("POST /look", {**NOTHING, "is_leased": False})
    server.answers["PUT /lease"] = slowly
    looking = threading.Thread(target=relay._look, args=(told,))
    looking.start()
    assert telling.wait(60)
    TASK.lease_file.unlink()
    ending = threading.Thread(target=relay.settle, args=(told,))
    ending.start()
    ending.join(0.3)  # it may not have come so far yet, which then proves less
    assert server.count("DELETE /lease") == 0
    go_on.set()
    looking.join(60)
    ending.join(60)
    assert server.count("DELETE /lease") == 1
    assert server.asked[-1].url.params["pid"] == str(os.getpid())


def test_the_end_of_a_task_is_not_waited_for_while_something_of_it_is_left(relay, told):
    waiting = threading.Thread(target=relay.settle, args=(told,), daemon=True)
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()
    assert told.is_held


def test_an_answer_from_before_a_stop_does_not_undo_what_another_has_said_of_it(server, relay, told):
    def late(_request: httpx.Request) -> httpx.Response:
        server.say("PUT /lease", {**NOTHING, "stopped": asdict(STONE)})
        relay.hold(told)
        assert tombstones.find("d", "r") == STONE
        return httpx.Response(200, json=NOTHING)

    server.answers["POST /look"] = late
    relay.round()
    assert tombstones.find("d", "r") == STONE
    server.say("POST /look", NOTHING)
    relay.round()
    assert tombstones.find("d", "r") is None


def test_a_task_that_comes_while_its_run_is_forgotten_keeps_what_it_was_told(server, relay, told):
    relay.round()
    server.say("PUT /lease", {**NOTHING, "stopped": asdict(STONE)})
    relay.hold(told)
    relay._forget(told.run)  # decided by what was told before
    assert tombstones.find("d", "r") == STONE


def test_a_log_that_takes_long_to_be_sent_keeps_no_stop_waiting(server, relay, told, eventually):
    sending, go_on = threading.Event(), threading.Event()

    def slowly(request: httpx.Request) -> httpx.Response:
        sending.set()
        assert go_on.wait(60)
        return httpx.Response(200, json={"size": len(request.content)})

    server.answers["POST /logs/stderr.log"] = slowly
    TASK.folder.mkdir(parents=True)
    (TASK.folder / "stderr.log").write_text("much")
    relay.round()
    assert sending.wait(60)
    server.say("POST /look", {**NOTHING, "stopped": asdict(STONE)})
    relay.round()
    relay.round()
    assert tombstones.find("d", "r") == STONE
    assert server.count("POST /logs/stderr.log") == 1
    go_on.set()
    eventually(lambda: told.sent == {"stderr.log": 4})
