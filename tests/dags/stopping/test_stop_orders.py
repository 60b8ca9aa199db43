"""A stop and the machines of the workers hear each other, and nothing that is old, misplaced, or of another order."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl.processes.machine import this_machine
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest, TaskProcess

FRESH, OLD = stop_orders.FRESH_SECONDS - 5, stop_orders.FRESH_SECONDS + 1
ELSEWHERE = "another-1"


@pytest.fixture(autouse=True)
def _folders(folders: Path) -> None:
    """Control files of a test's own."""


def order(run_id: str = "r", **more: object) -> StopRequest:
    made = StopRequest("d", run_id, "ada", 1.5, 0.5, True, "7", ELSEWHERE, 0, (TaskProcess("t", "h", 1, 2.0),), ("x",))
    return replace(made, **more)  # type: ignore[arg-type]


def let_be_old(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def reply_file(given: StopRequest, machine: str) -> Path:
    return given.path.with_name(f"{given.path.stem}.{machine}.reply")


def test_an_order_is_read_as_it_was_given_by_whoever_asks_for_its_run() -> None:
    assert stop_orders.read_request("d", "r") is None
    stop_orders.write_request(order())
    assert stop_orders.read_request("d", "r") == order()
    assert stop_orders.read_request("d", "other") is None
    assert stop_orders.orders() == [order()]


def test_an_order_that_nobody_touches_is_of_the_past_and_goes() -> None:
    stop_orders.write_request(order())
    let_be_old(order().path, FRESH)
    assert stop_orders.read_request("d", "r") == order()
    assert stop_orders.orders() == [order()]
    let_be_old(order().path, OLD)
    assert stop_orders.read_request("d", "r") is None
    assert stop_orders.orders() == []
    assert not order().path.exists()


def test_an_order_that_is_touched_holds_and_one_that_was_withdrawn_is_given_again() -> None:
    stop_orders.write_request(order())
    let_be_old(order().path, OLD)
    stop_orders.touch_request(order())
    assert stop_orders.read_request("d", "r") == order()
    order().path.unlink()
    stop_orders.touch_request(order(left=("y",)))
    assert stop_orders.read_request("d", "r") == order(left=("y",))


def test_an_order_in_the_place_of_another_run_is_not_believed() -> None:
    stop_orders.write_request(order())
    order().path.rename(order("other").path)
    assert stop_orders.read_request("d", "other") is None
    assert stop_orders.orders() == []


def test_files_of_other_kinds_beside_the_orders_stay() -> None:
    stop_orders.write_request(order())
    other = order().path.with_name("note.txt")
    other.write_text("x")
    let_be_old(other, OLD)
    assert stop_orders.orders() == [order()]
    assert other.exists()


def test_an_answer_counts_for_the_order_that_it_answers() -> None:
    stop_orders.write_request(order())
    stop_orders.reply(order(), ("h1", "h2"), ["pid 1"])
    (heard,) = stop_orders.replies(order())
    assert (heard.machine, heard.hosts, heard.left) == (this_machine(), ("h1", "h2"), ("pid 1",))
    assert stop_orders.replies(order(number="8")) == []
    assert stop_orders.replies(order("other")) == []


def test_an_answer_in_the_name_of_another_machine_is_not_believed() -> None:
    stop_orders.write_request(order())
    stop_orders.reply(order(), ("h",), [])
    reply_file(order(), this_machine()).rename(reply_file(order(), ELSEWHERE))
    assert stop_orders.replies(order()) == []


def test_an_order_is_withdrawn_with_its_answers_and_no_others() -> None:
    for given in (order(), order("other")):
        stop_orders.write_request(given)
        stop_orders.reply(given, ("h",), [])
    stop_orders.withdraw(order())
    assert not order().path.exists()
    assert not reply_file(order(), this_machine()).exists()
    assert order("other").path.exists()
    assert len(stop_orders.replies(order("other"))) == 1


def test_a_janitor_is_there_by_its_machine_and_by_each_name_of_that() -> None:
    assert not stop_orders.has_janitor(machine=this_machine())
    stop_orders.announce_janitor(("h1", "h2"))
    assert stop_orders.has_janitor(machine=this_machine())
    assert stop_orders.has_janitor(host="h2")
    assert not stop_orders.has_janitor(host="h3")
    assert not stop_orders.has_janitor(machine=ELSEWHERE)
    (seen,) = stop_orders.janitors()
    assert (seen.hosts, seen.is_there) == (("h1", "h2"), True)
    stop_orders.dismiss_janitor()
    assert stop_orders.janitors() == []


def janitor_file() -> Path:
    return order().path.with_name(f"{this_machine()}.janitor")


def test_a_janitor_that_is_not_heard_of_is_not_there_and_is_forgotten() -> None:
    stop_orders.announce_janitor(("h",))
    let_be_old(janitor_file(), FRESH)
    assert stop_orders.has_janitor(host="h")
    stop_orders.forget_old_janitors()
    assert stop_orders.has_janitor(host="h")
    let_be_old(janitor_file(), OLD)
    assert not stop_orders.has_janitor(host="h")
    assert not stop_orders.has_janitor(machine=this_machine())
    assert [seen.is_there for seen in stop_orders.janitors()] == [False]
    stop_orders.forget_old_janitors()
    assert stop_orders.janitors() == []


def test_a_janitor_says_again_that_it_is_there_and_writes_only_other_names() -> None:
    stop_orders.announce_janitor(("h",))
    first = janitor_file().stat().st_ino
    let_be_old(janitor_file(), OLD)
    stop_orders.announce_janitor(("h",))
    assert janitor_file().stat().st_ino == first
    assert stop_orders.has_janitor(host="h")
    stop_orders.announce_janitor(("h", "other"))
    assert stop_orders.has_janitor(host="other")


def test_an_old_janitor_hides_none_that_is_there() -> None:
    gone = order().path.with_name("a-machine-before.janitor")
    stop_orders.announce_janitor(("h",))
    gone.write_text(json.dumps({"hosts": ["h"]}))
    let_be_old(gone, OLD)
    assert stop_orders.has_janitor(host="h")
    gone.write_text("no JSON")
    assert stop_orders.has_janitor(host="h")


def test_a_run_is_followed_here_by_its_stop_or_by_a_janitor() -> None:
    assert not stop_orders.is_followed_here("d", "r")
    stop_orders.write_request(order())
    assert not stop_orders.is_followed_here("d", "r")
    stop_orders.announce_janitor(("h",))
    assert stop_orders.is_followed_here("d", "r")
    stop_orders.dismiss_janitor()
    stop_orders.write_request(order(machine=this_machine()))
    assert stop_orders.is_followed_here("d", "r")


def test_files_that_are_not_what_they_should_be_are_no_orders_answers_or_janitors() -> None:
    stop_orders.write_request(order())
    reply_file(order(), ELSEWHERE).write_text(json.dumps({**asdict(order()), "hosts": "h"}))
    janitor_file().write_text("[]")
    order("other").path.write_text("{}")
    assert stop_orders.orders() == [order()]
    assert stop_orders.replies(order()) == []
    assert stop_orders.janitors() == []
    assert not stop_orders.has_janitor(machine=this_machine())


def test_each_order_has_a_number_of_its_own() -> None:
    assert stop_orders.new_number() != stop_orders.new_number()


def test_only_janitors_of_some_machines_are_forgotten() -> None:
    folder = order().path.parent
    for name, age in (("a", OLD), ("relayed-b", OLD), ("relayed-c", FRESH)):
        stop_orders.announce_janitor((name,), machine=name)
        let_be_old(folder / f"{name}.janitor", age)
    stop_orders.forget_old_janitors(stop_orders.RELAYED)
    assert sorted(path.name for path in folder.glob("*.janitor")) == ["a.janitor", "relayed-c.janitor"]
    stop_orders.forget_old_janitors()
    assert [path.name for path in folder.glob("*.janitor")] == ["relayed-c.janitor"]
