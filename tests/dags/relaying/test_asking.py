"""A task's process finds the agent that comes after one that was killed, however long it has waited by then."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from cwl_ui_plugin.dags.relaying import asking, local_socket
from cwl_ui_plugin.dags.relaying.errors import Away

MUCH = 10 * asking.AGENT_SECONDS


class Clock:
    """Stands still, but where a test moves it on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(asking, "time", made)
    return made


def agents(monkeypatch: pytest.MonkeyPatch, clock: Clock, *answers: Any) -> list[Any]:
    """Let agents be there one after the other: None for none; else how long it takes, and what it answers."""
    left = list(answers)
    lines: list[Any] = []

    class Lines:
        def __init__(self, _connection: socket.socket) -> None:
            pass

        def receive(self) -> Any:
            seconds, answer = lines.pop()
            clock.now += seconds
            return answer

    def connect(_timeout: float | None) -> socket.socket:
        found = left.pop(0) if len(left) > 1 else left[0]
        if found is None:
            raise ConnectionRefusedError
        lines.append(found)
        return socket.socket()

    monkeypatch.setattr(local_socket, "connect", connect)
    monkeypatch.setattr(local_socket, "send", lambda _connection, _message: None)
    monkeypatch.setattr(local_socket, "Lines", Lines)
    return left


def test_an_agent_may_be_killed_after_a_task_has_waited_for_the_api_server_for_long(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    agents(monkeypatch, clock, (MUCH, None), None, None, (MUCH, None), None, (1.0, {"is_held": True}))
    assert asking._ask({"ask": "hold"}, None) == {"is_held": True}


@pytest.mark.parametrize("agent", [None, (0.0, None)], ids=["none", "one that answers nothing"])
def test_a_machine_without_an_agent_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, agent: Any
) -> None:
    agents(monkeypatch, clock, agent)
    with pytest.raises(Away, match="has no agent"):
        asking._ask({"ask": "hold"}, None)
    assert clock.now < 2 * asking.AGENT_SECONDS
