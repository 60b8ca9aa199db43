"""Hints that ask for somebody's word: read on steps, and refused where they would ask nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.compiled_run import upload

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.cwl.plan import Approval, Plan, read_plan

HEAD = """
cwlVersion: v1.2
class: Workflow
$namespaces: {cwl-ui: "https://w3id.org/cwl-ui-plugin#"}
requirements: {SubworkflowFeatureRequirement: {}, ScatterFeatureRequirement: {}}
inputs: {texts: "string[]"}
outputs: []
steps:
"""
STEP = """
  %s:
    %s
    run: {class: CommandLineTool, baseCommand: ls, inputs: {texts: Any}, outputs: []}
    in: {texts: texts}
    out: []
"""


def plan_of(tmp_path: Path, text: str) -> Plan:
    return compiling.compile_document(upload(tmp_path / "upload", main=text), "main.cwl", tmp_path / "compiled")


def hint(fields: str) -> str:
    return HEAD + STEP % ("ask", f"hints: {{cwl-ui:Approval: {{{fields}}}}}")


@pytest.mark.parametrize(
    ("fields", "approval"),
    [
        ("", Approval()),
        ("message: Go on?, assignees: [ada, 7]", Approval("Go on?", ("ada", "7"))),
        ("assignees: ada", Approval(assignees=("ada",))),
        ("timeout: 60", Approval(timeout=60)),
        ("timeout: 60, on_timeout: approve", Approval(timeout=60, on_timeout="approve")),
    ],
)
def test_a_step_says_what_it_asks_and_whom(tmp_path: Path, fields: str, approval: Approval) -> None:
    plan = plan_of(tmp_path, hint(fields) + STEP % ("other", ""))
    assert plan == read_plan(tmp_path / "compiled")
    asked = {step.id: (step.approval, step.tasks) for step in plan.steps}
    assert asked == {"ask": (approval, ["ask.approval", "ask"]), "other": (None, ["other"])}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("message: [1]", "a message of at most"),
        ("assignees: [{}]", "assignees as a list"),
        ("assignees: ['']", "assignees as a list"),
        ("timeout: soon", "a timeout in seconds"),
        ("timeout: 0", "a timeout in seconds"),
        ("timeout: .inf", "a timeout in seconds"),
        ("timeout: 5, on_timeout: maybe", "approve or reject as on_timeout"),
        ("on_timeout: approve", "on_timeout, but no timeout"),
        ("mesage: x", "no field 'mesage'; it has message, assignees, timeout, on_timeout"),
    ],
)
def test_what_can_not_be_followed_is_refused_in_words(tmp_path: Path, fields: str, words: str) -> None:
    with pytest.raises(DocumentError, match=f"Step ask: cwl-ui:Approval .*{words}"):
        plan_of(tmp_path, hint(fields))


WITHIN = """
  outer:
    %s
    in: {texts: texts}
    out: []
    run:
      class: Workflow
      inputs: {texts: Any}
      outputs: []
      steps:
        inner:
          hints: {cwl-ui:Approval: {}}
          run: {class: CommandLineTool, baseCommand: ls, inputs: {texts: Any}, outputs: []}
          in: {texts: texts}
          out: []
"""


def test_a_step_of_a_subworkflow_asks_too(tmp_path: Path) -> None:
    (outer,) = plan_of(tmp_path, HEAD + WITHIN % "label: x").steps
    assert outer.steps[0].tasks == ["outer.inner.approval", "outer.inner"]


def test_a_step_that_is_no_task_can_not_ask(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        plan_of(tmp_path, HEAD + WITHIN % "scatter: texts")
    (problem,) = caught.value.problems
    assert "runs within another task" in problem.message


@pytest.mark.parametrize("place", ["workflow", "tool"])
def test_an_approval_elsewhere_than_on_a_step_is_refused(tmp_path: Path, place: str) -> None:
    text = HEAD.replace("steps:", "hints: {cwl-ui:Approval: {}}\nsteps:") if place == "workflow" else HEAD
    step = STEP % ("ask", "")
    step = step.replace("outputs: []}", "outputs: [], hints: {cwl-ui:Approval: {}}}") if place == "tool" else step
    with pytest.raises(DocumentError) as caught:
        plan_of(tmp_path, text + step)
    assert "belongs in the hints of a step" in caught.value.problems[0].message


def test_no_step_has_the_name_of_a_task_that_asks(tmp_path: Path) -> None:
    text = hint("") + WITHIN.replace("outer", "x").replace("inner", "approval") % "label: x"
    plan = plan_of(tmp_path, text)
    tasks = [task for _depth, step in plan.all_steps() for task in step.tasks]
    assert len(tasks) == len(set(tasks))
    assert "x.approval_" in tasks
