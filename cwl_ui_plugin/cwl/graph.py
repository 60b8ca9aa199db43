"""The graph of a workflow for people to look at: plain JSON made from its plan and its packed document.

The id of a step that is a task is its task id, so states of tasks are states of nodes. Ids are unique in the whole of
it; those of steps that are no tasks (in a scattered subworkflow), of inputs and of outputs hold a ``/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, TypedDict

from cwl_ui_plugin.cwl.containers.policy import ANYTHING, ContainerPolicy, complaint_of
from cwl_ui_plugin.cwl.plan import CwlObject, Plan, Step
from cwl_ui_plugin.cwl.requirements import in_force
from cwl_ui_plugin.cwl.task_names import approval_task

MAX_TEXT = 2000
Parameter = Literal["input", "output"]
Edge = TypedDict("Edge", {"from": str, "to": str, "links": list[str]})
"""``from`` and ``to`` are ids of nodes; ``links`` says which output is read as which input."""
Requirement = TypedDict("Requirement", {"class": str, "hint": bool, "text": str | None})
_Read = TypedDict("_Read", {"name": str, "type": str | None, "from": list[str]})


class StepInput(_Read, total=False):
    """An input of a step, and what it reads: ``step/output``, or an input of the workflow."""

    scattered: bool
    value_from: str | None
    link_merge: str | None
    pick_value: str | None
    default: str | None


class StepOutput(TypedDict):
    """An output of a step."""

    name: str
    type: str


class Node(TypedDict):
    """What all nodes have."""

    id: str
    name: str
    label: str | None
    doc: str | None


class ParameterNode(Node):
    """An input or output of the workflow."""

    kind: Parameter
    type: str


class _Planned(Node):
    kind: Literal["step"]
    tool_name: str | None
    """The file of its process; None for a step that is no task."""
    scatter: list[str]
    scatter_method: str | None
    when: str | None
    tasks: list[str]
    """All tasks of the step."""


class _Tool(TypedDict):
    tool: str
    container: str | None
    needs_container: bool
    refused: str | None
    command: str | None
    requirements: list[Requirement]
    outputs: list[StepOutput]
    graph: Graph | None
    """That of a subworkflow."""


class StepNode(_Planned, _Tool):
    """A step of the workflow."""

    inputs: list[StepInput]


class Graph(TypedDict):
    """The graph of a workflow."""

    nodes: list[ParameterNode | StepNode]
    edges: list[Edge]


def graph_of(plan: Plan, packed: CwlObject, policy: ContainerPolicy = ANYTHING) -> Graph:
    """Return the graph of a compiled workflow; ``packed`` is its packed document, ``policy`` the site's."""
    if plan.is_tool:
        return _tool_graph(plan, packed, policy)
    return _workflow_graph(packed, plan.steps, "", (), policy)


def _workflow_graph(
    document: CwlObject, steps: Iterable[Step], prefix: str, inherited: tuple[CwlObject, ...], policy: ContainerPolicy
) -> Graph:
    """Return the graph of a (sub)workflow; ``steps`` are those of its steps that are tasks."""
    inherited = in_force(document, inherited)
    planned = {step.full_id: step for step in steps}
    # Steps that are tasks come in the order of the plan, in which each follows those that it reads from.
    positions = {full_id: number for number, full_id in enumerate(planned)}
    raw = sorted(document["steps"], key=lambda item: positions.get(item["id"], len(positions)))
    given = {item["id"] for item in document["inputs"]}
    inputs = [_parameter_node(item, "input", prefix) for item in document["inputs"]]
    nodes = [_step_node(item, planned.get(item["id"]), prefix, inherited, given, policy) for item in raw]
    outputs = [_parameter_node(item, "output", prefix) for item in document["outputs"]]
    made_by = {item["id"]: node["id"] for item, node in zip(document["inputs"], inputs, strict=True)}
    for item, step in zip(raw, nodes, strict=True):
        made_by.update({_id_of(output): step["id"] for output in item["out"]})
    edges = _Edges(made_by)
    for item, step in zip(raw, nodes, strict=True):
        for port in item["in"]:
            edges.add(port.get("source"), step["id"], short_name(port["id"]))
    for item, output in zip(document["outputs"], outputs, strict=True):
        edges.add(item.get("outputSource"), output["id"], output["name"])
    return {"nodes": [*inputs, *nodes, *outputs], "edges": edges.as_json()}


def _tool_graph(plan: Plan, document: CwlObject, policy: ContainerPolicy) -> Graph:
    step = plan.steps[0]
    inputs = [_parameter_node(item, "input", "") for item in document["inputs"]]
    outputs = [_parameter_node(item, "output", "") for item in document["outputs"]]
    node: StepNode = {
        **_planned(step),
        **_tool(document, (), policy),
        "inputs": [{"name": item["name"], "type": item["type"], "from": [item["name"]]} for item in inputs],
    }
    edges: list[Edge] = [{"from": item["id"], "to": node["id"], "links": [item["name"]]} for item in inputs]
    edges += [{"from": node["id"], "to": item["id"], "links": [item["name"]]} for item in outputs]
    return {"nodes": [*inputs, node, *outputs], "edges": edges}


class _Edges:
    """The links of a workflow, those between the same two nodes together."""

    def __init__(self, made_by: dict[str, str]) -> None:
        self._made_by = made_by
        self._links: dict[tuple[str, str], list[str]] = {}

    def add(self, sources: object, target: str, port: str) -> None:
        for source in _list(sources):
            if maker := self._made_by.get(source):
                name = short_name(source)
                self._links.setdefault((maker, target), []).append(name if name == port else f"{name} → {port}")

    def as_json(self) -> list[Edge]:
        return [{"from": maker, "to": target, "links": links} for (maker, target), links in self._links.items()]


def _parameter_node(item: CwlObject, kind: Parameter, prefix: str) -> ParameterNode:
    name = short_name(item["id"])
    return {
        "id": f"{prefix}{kind}s/{name}",
        "kind": kind,
        "name": name,
        "label": _text(item.get("label")),
        "doc": _text(item.get("doc")),
        "type": _type(item.get("type")),
    }


def _step_node(
    item: CwlObject,
    step: Step | None,
    prefix: str,
    inherited: tuple[CwlObject, ...],
    given: set[str],
    policy: ContainerPolicy,
) -> StepNode:
    run = item["run"]
    scatter = {short_name(port) for port in _list(item.get("scatter"))}
    inherited = in_force(item, inherited)
    node: StepNode = {
        **(_planned(step) if step else _unplanned(item, scatter, prefix)),
        **_tool(run, inherited, policy),
        "inputs": _step_inputs(item, scatter, given),
    }
    if step is not None:
        node["container"], node["needs_container"] = step.container, step.needs_container
    if run["class"] == "Workflow":
        inner = step.steps if step is not None else ()
        node["graph"] = _workflow_graph(run, inner, f"{node['id']}/", inherited, policy)
    return node


def _planned(step: Step) -> _Planned:
    """Return what the plan knows of a step."""
    return {
        "id": step.task_id,
        "kind": "step",
        "name": step.id,
        "label": step.label,
        "doc": _text(step.doc),
        "tool_name": step.tool_name,
        "scatter": list(step.scatter),
        "scatter_method": step.scatter_method,
        "when": _text(step.when),
        "tasks": step.tasks if step.approval else [approval_task(step.task_id), *step.tasks],
    }


def _unplanned(item: CwlObject, scatter: Iterable[str], prefix: str) -> _Planned:
    """Return the same of a step that has no task, in a scattered subworkflow."""
    name = short_name(item["id"])
    return {
        "id": f"{prefix}steps/{name}",
        "kind": "step",
        "name": name,
        "label": _text(item.get("label")),
        "doc": _text(item.get("doc")),
        "tool_name": None,
        "scatter": sorted(scatter),
        "scatter_method": item.get("scatterMethod"),
        "when": _text(item.get("when")),
        "tasks": [],
    }


def _tool(document: CwlObject, inherited: tuple[CwlObject, ...], policy: ContainerPolicy) -> _Tool:
    """Return what the process of a step is."""
    requirements = in_force(document, inherited)
    docker: CwlObject = next((item for item in requirements if item["class"] == "DockerRequirement"), {})
    return {
        "tool": document["class"],
        "container": docker.get("dockerPull") or docker.get("dockerImageId"),
        "needs_container": bool(docker) and not docker.get("is_hint"),
        "refused": complaint_of(requirements, policy) if document["class"] == "CommandLineTool" else None,
        "command": _command(document),
        "requirements": [_requirement(item) for item in requirements],
        "outputs": [{"name": short_name(item["id"]), "type": _type(item.get("type"))} for item in document["outputs"]],
        "graph": None,
    }


def _step_inputs(item: CwlObject, scatter: set[str], given: set[str]) -> list[StepInput]:
    types = {short_name(port["id"]): _type(port.get("type")) for port in item["run"]["inputs"]}
    found = []
    for port in item["in"]:
        name = short_name(port["id"])
        shown: StepInput = {
            "name": name,
            "type": types.get(name),
            "from": [_source_name(source, given) for source in _list(port.get("source"))],
        }
        if name in scatter:
            shown["scattered"] = True
        if port.get("valueFrom"):
            shown["value_from"] = _text(port["valueFrom"])
        if port.get("linkMerge"):
            shown["link_merge"] = _text(port["linkMerge"])
        if port.get("pickValue"):
            shown["pick_value"] = _text(port["pickValue"])
        if "default" in port:
            shown["default"] = _text(json.dumps(port["default"], ensure_ascii=False, default=str))
        found.append(shown)
    return found


def _requirement(item: CwlObject) -> Requirement:
    fields = {key: value for key, value in item.items() if key not in ("class", "is_hint")}
    text = ", ".join(f"{key}: {_value(value)}" for key, value in fields.items())
    return {"class": _fragment(item["class"]), "hint": bool(item.get("is_hint")), "text": _text(text)}


def _command(document: CwlObject) -> str | None:
    if document["class"] == "ExpressionTool":
        return _text(document.get("expression"))
    parts = [str(part) for part in _list(document.get("baseCommand"))]
    for argument in _list(document.get("arguments")):
        parts.append(str(argument.get("valueFrom", "")) if isinstance(argument, dict) else str(argument))
    return _text(" ".join(parts)) if parts else None


def short_name(full_id: str) -> str:
    """Return the last part of an id."""
    return _fragment(full_id).rsplit("/", 1)[-1]


def _source_name(source: str, given: set[str]) -> str:
    """Return ``step/output``, or the name of an input of the workflow; ``given`` are the ids of its inputs."""
    return short_name(source) if source in given else "/".join(_fragment(source).split("/")[-2:])


def _fragment(name: str) -> str:
    return str(name).rsplit("#", 1)[-1]


def _id_of(output: object) -> str:
    return str(output["id"] if isinstance(output, dict) else output)


def _type(declared: object) -> str:
    """Return a type as people write it."""
    if isinstance(declared, list):
        names = [_type(part) for part in declared if part != "null"]
        text = " or ".join(names) or "null"
        return text if "null" not in declared or not names else f"{text}?" if len(names) == 1 else f"{text} or null"
    if isinstance(declared, dict):
        kind = declared.get("type")
        if kind == "array":
            inner = _type(declared.get("items"))
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        if kind == "enum":
            return _text("one of " + ", ".join(short_name(symbol) for symbol in declared["symbols"])) or ""
        return "record" if kind == "record" else _type(kind)
    return short_name(str(declared))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: object) -> str | None:
    """Return a text of bounded length: a document may hold lines of megabytes."""
    if value is None:
        return None
    text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
