"""Expressions are evaluated in the process where Node.js would say the same, and else by the Node.js of the plugin."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cwl_utils import sandboxjs

from cwl_ui_plugin.cwl import quick_javascript
from cwl_ui_plugin.cwl.engine import javascript
from cwl_ui_plugin.cwl.engine.node import Node


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Node]]:
    """The processes of Node.js that were started."""
    before = sandboxjs.get_js_engine()
    made: list[Node] = []

    def noted() -> Node:
        made.append(Node())
        return made[-1]

    monkeypatch.setattr(javascript, "Node", noted)
    sandboxjs.set_js_engine(javascript.SandboxedEngine())
    yield made
    javascript.end_node()
    sandboxjs.set_js_engine(before)


def evaluate(expression: str) -> object:
    return sandboxjs.get_js_engine().eval(expression, "")  # type: ignore[union-attr]


def in_node(expression: str) -> object:
    """Evaluate what only Node.js may: dates."""
    return evaluate(f"[new Date(0), {expression}][1]")


@pytest.mark.parametrize(
    "expression",
    [
        "1 + 1",
        "{return null;}",
        "[NaN, -0, 1e21, 0.1 + 0.2, 1e-7, 123456789012345680000]",
        "({b: 1, a: undefined, 10: 'x', 9: [undefined, function() {}]})",
        "'\\u2028 \\ud83d\\ude00 \\\\ \"'",
        "'a1b22'.replace(/[0-9]+/g, function(found) {return '<' + found + '>';})",
        "['b', 'a', 'C'].sort().concat([10, 9, 1].sort())",
        "[1, [2, [3]]].toString() + ({}) + [] + null",
        "(function() {try {inputs.x;} catch (error) {return error.name;}})()",
        "{var found = []; for (var key in {z: 1, y: 2, 1: 3}) {found.push(key);} return found;}",
        "parseInt('12px') + (255).toString(16) + (1.005).toFixed(2) + (1234.5678).toExponential(2)",
        "typeof process + typeof require + typeof module",
    ],
)
def test_in_the_process_and_in_node_the_result_is_the_same(
    expression: str, started: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = evaluate(expression)
    assert not started
    monkeypatch.setattr(quick_javascript, "evaluate", lambda _code: None)
    assert json.dumps(here) == json.dumps(evaluate(expression))
    assert len(started) == 1


@pytest.mark.parametrize(
    "expression",
    ["(12345.6).toLocaleString()", "new Date(0).toString()", "new Intl.NumberFormat('en').format(12345)"],
)
def test_what_may_differ_is_for_node(expression: str, started: list[Node]) -> None:
    assert evaluate(expression)
    assert len(started) == 1


def test_an_expression_does_not_see_what_another_has_left(started: list[Node]) -> None:
    assert evaluate("{(0, eval)('var left = 1'); return left;}") == 1
    assert evaluate("typeof left") == "undefined"


def test_a_library_of_functions_is_there(started: list[Node]) -> None:
    engine = sandboxjs.get_js_engine()
    assert engine.eval("twice(4)", "function twice(x) {return x * 2;}") == 8  # type: ignore[union-attr]
    assert not started


@pytest.mark.parametrize("expression", ["missing.name", "{throw 'no';}", "1 +", "{var x = []; x[0].y;}"])
def test_a_failure_is_worded_by_node(expression: str, started: list[Node]) -> None:
    with pytest.raises(sandboxjs.JavascriptException):
        evaluate(expression)
    assert len(started) == 1


def test_what_quickjs_can_not_interrupt_is_for_node(started: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on beside; the thread that waits for it is not held up."""
    monkeypatch.setattr(quick_javascript, "_PATIENCE_SECONDS", 0.1)
    held = threading.Event()
    monkeypatch.setattr(quick_javascript, "_evaluate", lambda _code, _found: held.wait(60))
    assert evaluate("1 + 1") == 2
    held.set()
    assert len(started) == 1


def test_it_is_not_one_that_happens_to_be_on_the_path(started: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert in_node("1 + 1") == 2


def test_threads_share_one(started: list[Node]) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: in_node(f"{number} * 2"), range(50)))
    assert results == [number * 2 for number in range(50)]
    assert len(started) == 1


def test_after_it_was_ended_the_next_expression_starts_another(started: list[Node]) -> None:
    assert in_node("'a'") == "a"
    javascript.end_node()
    assert in_node("'b'") == "b"
    assert len(started) == 2


def test_an_endless_loop_is_ended(started: list[Node]) -> None:
    with pytest.raises(sandboxjs.JavascriptException):
        sandboxjs.get_js_engine().eval("{while(true){}}", "", timeout=0.2)  # type: ignore[union-attr]
    assert in_node("2") == 2


def test_a_long_expression_is_not_searched_letter_by_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searching took two seconds for 8,000 Files on a busy machine."""

    class Slow:
        def search(self, _code: str) -> object:
            pytest.fail("it is searched")

    monkeypatch.setattr(quick_javascript, "_FOR_NODE", Slow())
    code = json.dumps([{"class": "File", "basename": "a.txt", "checksum": "sha1$00"}] * 1000)
    assert quick_javascript.evaluate(f"({code}).length") == "1000"
