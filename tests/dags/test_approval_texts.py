"""What somebody who is asked is shown: names and sizes of what a step would read; values can fake nothing."""

from __future__ import annotations

from typing import Any

from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.dags.operators.approval_texts import MAX_FILES, MAX_VALUES, question

STEP = Step(id="s", full_id="#s", task_id="s", document="step-0", tool="CommandLineTool", tool_name="t.cwl", label="S")


def lines(values: dict[str, Any], message: str = "", page: str = "") -> list[str]:
    return question(STEP, message, {name: [value, "success"] for name, value in values.items()}, page).splitlines()


def file(name: str, size: int | None = None) -> dict[str, Any]:
    return {"class": "File", "location": f"file:///x/{name}", "size": size}


def test_files_are_shown_with_names_and_sizes_and_values_as_they_are() -> None:
    values = {
        "cwl:m.cwl#a/out": [file("one.txt", 1234), file("two.txt")],
        "cwl:m.cwl#dir": {"class": "Directory", "basename": "d", "listing": [file("in.txt", 5)]},
        "cwl:m.cwl#record": {"f": file("three.txt", 0), "n": 1},
        "cwl:m.cwl#n": {"x": [1, None]},
    }
    assert lines(values, page="http://x/run")[2:] == [
        "* `a/out`: `one.txt` (1.2 kB), `two.txt`",
        "* `dir`: `d/` (5 B)",
        "* `record`: `three.txt`",
        '* `n`: `{"x": [1, null]}`',
        "",
        "[All of this run: steps, values, files](http://x/run)",
    ]


def test_names_and_messages_make_no_markdown() -> None:
    shown = lines(
        {"#a": {**file("x"), "basename": "`](http://x)\n# big"}, "#b": "`\n* more"}, message="[x](http://y)\n# z"
    )
    assert shown[:3] == ["    [x](http://y)", "    # z", ""]
    assert shown[-2:] == ["* `a`: `'](http://x) # big`", '* `b`: `"\'\\n* more"`']


def test_there_is_an_end_to_it() -> None:
    values = {f"#{number}": [file(f"{place}.txt") for place in range(100)] for number in range(100)}
    shown = lines({**values, "#long": "x" * 10_000})
    assert f"and {100 - MAX_FILES} more" in shown[2]
    assert shown[-1] == f"* and {101 - MAX_VALUES} more values"
    assert len(lines({"#long": "x" * 10_000})[-1]) < 300
    assert lines({})[-1] == "* nothing"
