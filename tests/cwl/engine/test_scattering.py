"""A scattered step in parts gives what cwltool gives in one."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import run_settings, scattering
from cwl_ui_plugin.cwl.errors import StepError, StoppedError
from cwl_ui_plugin.cwl.plan import read_plan

SETTINGS = run_settings.RunSettings(engine="none", tag="test/scatter/task/-1/1")


def compiled(folder: Path, method: str, tool: str, inputs: dict[str, str]) -> Path:
    (folder / "source").mkdir()
    document = {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {"ScatterFeatureRequirement": {}, "InlineJavascriptRequirement": {}},
        "inputs": {name: f"{kind}[]" for name, kind in inputs.items()},
        "outputs": {"all": {"type": "Any", "outputSource": "step/out"}},
        "steps": {
            "step": {
                "scatter": list(inputs),
                "scatterMethod": method,
                "in": {name: name for name in inputs},
                "out": ["out"],
                "run": json.loads(tool),
            }
        },
    }
    (folder / "source/main.cwl").write_text(json.dumps(document))
    compiling.compile_document(folder / "source", "main.cwl", folder / "compiled")
    return folder / "compiled"


def expression(inputs: dict[str, str], text: str) -> str:
    return json.dumps(
        {"class": "ExpressionTool", "inputs": inputs, "outputs": {"out": "string"}, "expression": f"$({{out: {text}}})"}
    )


TWO = {"a": "string", "b": "int"}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("dotproduct", ["x1", "y2"]),
        ("nested_crossproduct", [["x1", "x2"], ["y1", "y2"]]),
        ("flat_crossproduct", ["x1", "x2", "y1", "y2"]),
    ],
)
def test_batches_of_elements_go_together_as_the_method_says(tmp_path: Path, method: str, expected: object) -> None:
    folder = compiled(tmp_path, method, expression(TWO, "inputs.a + inputs.b"), TWO)
    outputs = run_compiled(folder, tmp_path / "source", {"a": ["x", "y"], "b": [1, 2]}, tmp_path / "run")
    assert outputs == {"all": expected}


@pytest.mark.parametrize(("method", "expanded"), [("dotproduct", 3), ("flat_crossproduct", 36)])
def test_a_batch_has_cwltool_expand_its_own_elements_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, expanded: int
) -> None:
    counted = []
    expand = scattering.expand

    def counting(workflow: Any) -> Any:
        calls, gathered = expand(workflow)
        counted.append(len(calls))
        return calls, gathered

    monkeypatch.setattr(scattering, "expand", counting)
    folder = compiled(tmp_path, method, expression(TWO, "inputs.a + inputs.b"), TWO)
    (step,) = read_plan(folder).steps
    texts, numbers = [f"t{number}-" for number in range(6)], list(range(6))
    by_name = {"a": texts, "b": numbers}
    values = {name: [by_name[name.rpartition("/")[2].rpartition("#")[2]], "success"] for name in step.sources}
    made = scattering.run_elements(folder, tmp_path / "source", step, values, range(2, 5), tmp_path / "task", SETTINGS)
    pairs = zip(texts, numbers, strict=True) if method == "dotproduct" else itertools.product(texts, numbers)
    wanted = [f"{text}{number}" for text, number in pairs]
    found = {index: next(iter(outputs.values())) for index, (outputs, _status) in made.results.items()}
    assert found == {str(index): wanted[index] for index in (2, 3, 4)}
    assert counted == [expanded]


def test_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    folder = compiled(tmp_path, "dotproduct", expression(TWO, "inputs.a"), TWO)
    with pytest.raises(StepError, match=r"[Ll]ength"):
        run_compiled(folder, tmp_path / "source", {"a": ["x", "y"], "b": [1]}, tmp_path / "run")


def test_labels_name_the_elements(tmp_path: Path) -> None:
    folder = compiled(tmp_path, "dotproduct", expression(TWO, "inputs.a"), TWO)
    step = read_plan(folder).steps[0]
    names = {key: key.rsplit("#", 1)[-1].rsplit("/", 1)[-1] for key in step.sources}
    files = [{"class": "File", "location": f"file:///{name}", "basename": name} for name in ("one.fq", "two.fq")]
    values = {key: [files if name == "a" else [1, 2], "success"] for key, name in names.items()}
    assert scattering.element_labels(folder, tmp_path / "source", step, values) == ["one.fq, 1", "two.fq, 2"]


def shell(text: str) -> str:
    """A tool of one string input; ``text`` is what its shell runs."""
    return json.dumps(
        {
            "class": "CommandLineTool",
            "requirements": {"ShellCommandRequirement": {}, "ResourceRequirement": {"coresMin": 0.1}},
            "arguments": [{"shellQuote": False, "valueFrom": text}],
            "inputs": {"a": "string"},
            "outputs": {"out": {"type": "string?", "outputBinding": {"outputEval": "$(null)"}}},
        }
    )


def run_batch(folder: Path, tool: str, elements: list[str], settings: run_settings.RunSettings = SETTINGS) -> Path:
    """Run all elements as one batch; return the folder with its logs."""
    document = compiled(folder, "dotproduct", tool, {"a": "string"})
    step = read_plan(document).steps[0]
    values = {key: [elements, "success"] for key in step.sources}
    place = folder / "batch"
    scattering.run_elements(document, folder / "source", step, values, range(len(elements)), place, settings)
    return place


def test_what_the_commands_of_a_batch_print_is_kept_apart(tmp_path: Path) -> None:
    # Each prints, waits until the other has printed, too, and prints again: side by side, their lines would mix.
    wait = "touch ../$(inputs.a).seen; until [ -e ../one.seen -a -e ../two.seen ]; do :; done"
    text = f"printf 'from $(inputs.a)\\n'; printf x-$(inputs.a) >&2; {wait}; printf 'still $(inputs.a)'"
    place = run_batch(tmp_path, shell(text), ["one", "two"])
    parts = sorted((place / "stdout.log").read_text().split("==> ")[1:])
    assert parts == [
        "element 0, one <==\nfrom one\nstill one\n",
        "element 1, two <==\nfrom two\nstill two\n",
    ]
    assert sorted((place / "stderr.log").read_text().splitlines()) == [
        "==> element 0, one <==",
        "==> element 1, two <==",
        "x-one",
        "x-two",
    ]
    assert not list(place.glob("*.part"))


def test_an_error_names_the_element_of_a_batch_and_tells_what_that_one_printed(tmp_path: Path) -> None:
    text = "if [ $(inputs.a) = bad ]; then echo broken >&2; exit 3; fi; echo fine >&2"
    with pytest.raises(StepError, match="the command of element 1, bad ended with exit code 3") as raised:
        run_batch(tmp_path, shell(text), ["good", "bad"])
    assert raised.value.stderr == "broken"
    assert "==> element 1, bad <==\nbroken\n" in (tmp_path / "batch/stderr.log").read_text()


def test_a_single_element_writes_to_the_log_while_it_runs(tmp_path: Path) -> None:
    place = run_batch(tmp_path, shell("echo x"), ["one"])
    assert (place / "stdout.log").read_text() == "x\n"


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_no_further_element_starts_its_command_once_the_run_is_stopped(tmp_path: Path, looks: int) -> None:
    """There is a look before the inputs of a command are staged, which can take long, and one after it."""
    looked: list[int] = []

    def look() -> None:
        looked.append(len(looked))
        if len(looked) > looks:
            raise StoppedError("Stopped by ada.")

    settings = replace(SETTINGS, before_command=look)
    with pytest.raises(StoppedError, match=r"^Stopped by ada\.$"):
        run_batch(tmp_path, shell(f"touch {tmp_path}/$(inputs.a).ran"), ["one", "two", "three"], settings)
    assert len(list(tmp_path.glob("*.ran"))) <= looks // 2
