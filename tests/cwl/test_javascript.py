"""Expressions are evaluated by the Node.js that comes with the plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cwl_utils import sandboxjs

from cwl_ui_plugin.cwl import compiling, javascript


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The processes of Node.js that were started."""
    before = sandboxjs.get_js_engine()
    made: list[object] = []
    start = javascript.ShippedNodeEngine.new_js_proc

    def noted(engine: javascript.ShippedNodeEngine, *args: object, **kwargs: object) -> object:
        made.append(start(engine, *args, **kwargs))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(javascript.ShippedNodeEngine, "new_js_proc", noted)
    javascript.use_shipped_node()
    javascript.ShippedNodeEngine.localdata.__dict__.clear()
    yield made
    javascript.end_node()
    sandboxjs.set_js_engine(before)


def evaluate(expression: str) -> object:
    return sandboxjs.get_js_engine().eval(expression, "")  # type: ignore[union-attr]


def test_it_is_not_one_that_happens_to_be_on_the_path(started: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert evaluate("1 + 1") == 2


def test_threads_share_one(started: list[object]) -> None:
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: evaluate(f"{number} * 2"), range(50)))
    assert results == [number * 2 for number in range(50)]
    assert len(started) == 1


def test_after_it_was_ended_the_next_expression_starts_another(started: list[object]) -> None:
    assert evaluate("'a'") == "a"
    javascript.end_node()
    assert evaluate("'b'") == "b"
    assert len(started) == 2


def test_it_can_boot_before_the_first_expression(started: list[object]) -> None:
    javascript.start_node()
    javascript.start_node()
    assert evaluate("3") == 3
    assert len(started) == 1


def test_an_endless_loop_is_ended(started: list[object]) -> None:
    with pytest.raises(sandboxjs.JavascriptException):
        sandboxjs.get_js_engine().eval("{while(true){}}", "", timeout=1)  # type: ignore[union-attr]
    assert evaluate("2") == 2


@pytest.mark.parametrize(
    ("expression", "is_javascript"),
    [
        ("plain", False),
        ("$(inputs.file.path)", False),
        ("$(inputs.file.path)-$(inputs['a b'][0].size).txt", False),
        ("$(inputs.file.size * 2)", True),
        ("${return 1;}", True),
        ("$(inputs.a)$(1 + 1)", True),
    ],
)
def test_a_step_says_whether_it_will_evaluate_javascript(tmp_path: Path, expression: str, is_javascript: bool) -> None:
    (tmp_path / "source").mkdir()
    tool = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": {"InlineJavascriptRequirement": {"expressionLib": ["function f() {return $(1 + 1);}"]}},
        "inputs": [],
        "outputs": [],
        "baseCommand": "echo",
        "arguments": [{"valueFrom": expression}],
        "doc": "${not evaluated}",
    }
    (tmp_path / "source/main.cwl").write_text(json.dumps(tool))
    plan = compiling.compile_document(tmp_path / "source", "main.cwl", tmp_path / "compiled")
    assert plan.steps[0].javascript is is_javascript
