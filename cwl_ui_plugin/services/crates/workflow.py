"""The workflow of a run in its crate: a CWL document with its parameters, steps, tools, and what is connected to what.

Terms are those of the Workflow Run RO-Crate profiles, https://www.researchobject.org/workflow-run-crate/profiles/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cwl_ui_plugin.cwl.plan import CwlObject, Plan, Step
from cwl_ui_plugin.services.crates.graph import CrateGraph, Reference

DOCUMENT = "packed.cwl"
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#cwl"
_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_WORKFLOW_TYPES = ["SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
_TYPES = {
    "File": "File",
    "Directory": "Dataset",
    "string": "Text",
    "boolean": "Boolean",
    "int": "Integer",
    "long": "Integer",
    "float": "Float",
    "double": "Float",
}
_SHA256 = "sha256:"


@dataclass(frozen=True)
class DescribedStep:
    """A step in the crate: the entities of it and of what it runs; ``ports`` are its packed inputs."""

    plan: Step
    step: Reference
    tool: Reference
    inputs: Mapping[str, Reference]
    """Formal parameters of what it runs, by short name."""
    outputs: Mapping[str, Reference]
    ports: tuple[CwlObject, ...] = ()
    image: Reference | None = None


@dataclass
class DescribedWorkflow:
    """The main document in the crate, with the steps of all depths in the order of the plan."""

    main: Reference
    inputs: Mapping[str, Reference]
    outputs: Mapping[str, Reference]
    steps: list[DescribedStep] = field(default_factory=list)


def describe_workflow(graph: CrateGraph, plan: Plan, packed: CwlObject, name: str, version: str) -> DescribedWorkflow:
    """Describe the document that a run used, as the crate has it: packed into one file."""
    graph.add(
        LANGUAGE,
        "ComputerLanguage",
        name="Common Workflow Language",
        alternateName="CWL",
        identifier={"@id": "https://w3id.org/cwl/"},
        url={"@id": "https://www.commonwl.org/"},
        version=plan.cwl_version,
    )
    is_workflow = plan.kind == "Workflow"
    inputs = _parameters(graph, DOCUMENT, packed.get("inputs", ()))
    outputs = _parameters(graph, DOCUMENT, packed.get("outputs", ()))
    # A tool alone is described as a workflow of itself: a workflow crate has a workflow as its main entity.
    main = graph.add_part(
        DOCUMENT,
        ["File", *_WORKFLOW_TYPES],
        name=plan.label or name,
        alternateName=name,
        description=plan.doc,
        version=version,
        encodingFormat="application/json",
        programmingLanguage={"@id": LANGUAGE},
        conformsTo={"@id": _WORKFLOW},
        input=list(inputs.values()),
        output=list(outputs.values()),
    )
    described = DescribedWorkflow(main, inputs, outputs)
    if is_workflow:
        _Workflow(graph, main, DOCUMENT, version, described.steps).describe(plan.steps, packed, inputs, outputs)
    else:
        _describe_alone(graph, plan, packed, described)
    return described


def _describe_alone(graph: CrateGraph, plan: Plan, packed: CwlObject, described: DescribedWorkflow) -> None:
    (step,) = plan.steps
    tool = graph.add(f"{DOCUMENT}#tool", "SoftwareApplication", name=step.tool_name, description=plan.doc)
    for name, side in (("input", described.inputs), ("output", described.outputs)):
        for reference in side.values():
            graph.append(tool, name, reference)
    how = graph.add(f"{DOCUMENT}#step", "HowToStep", position="0", workExample=tool)
    graph.append(described.main, "hasPart", tool)
    graph.append(described.main, "step", how)
    ports = tuple({"id": item["id"], "source": item["id"]} for item in packed.get("inputs", ()))
    image = _image(graph, step.container)
    described.steps.append(DescribedStep(step, how, tool, described.inputs, described.outputs, ports, image))


@dataclass
class _Workflow:
    """A workflow, or a subworkflow of it, with its entity; what it finds goes into ``found``."""

    graph: CrateGraph
    main: Reference
    identifier: str
    version: str
    found: list[DescribedStep]

    def describe(
        self,
        steps: Iterable[Step],
        packed: CwlObject,
        inputs: Mapping[str, Reference],
        outputs: Mapping[str, Reference],
    ) -> None:
        """Describe its steps and connections."""
        sources = {str(item["id"]): inputs[short_name(item["id"])] for item in packed.get("inputs", ())}
        documents = {short_name(item["id"]): item for item in packed.get("steps", ())}
        described = []
        for position, step in enumerate(steps):
            document = documents[short_name(step.id)]
            made = self._describe_step(step, document, position)
            sources |= {
                _id(out): made.outputs[short_name(_id(out))]
                for out in document.get("out", ())
                if short_name(_id(out)) in made.outputs
            }
            described.append(made)
        for made in described:
            for port in made.ports:
                self._connect(made.step, port.get("source"), made.inputs.get(short_name(port["id"])), sources)
        for item in packed.get("outputs", ()):
            self._connect(self.main, item.get("outputSource"), outputs.get(short_name(item["id"])), sources)

    def _describe_step(self, step: Step, document: CwlObject, position: int) -> DescribedStep:
        own = f"{self.identifier}{'/' if '#' in self.identifier else '#'}{short_name(step.id)}"
        process, runs = document["run"], f"{own}/run"
        inputs = _parameters(self.graph, runs, process.get("inputs", ()))
        outputs = _parameters(self.graph, runs, process.get("outputs", ()))
        is_workflow = process.get("class") == "Workflow"
        tool = self.graph.add(
            runs,
            _WORKFLOW_TYPES if is_workflow else "SoftwareApplication",
            name=step.tool_name or step.id,
            description=process.get("doc") if isinstance(process.get("doc"), str) else None,
            programmingLanguage={"@id": LANGUAGE} if is_workflow else None,
            version=self.version if is_workflow else None,
            softwareRequirements=_packages(self.graph, process),
            input=list(inputs.values()),
            output=list(outputs.values()),
        )
        how = self.graph.add(own, "HowToStep", position=str(position), name=step.label or step.id, workExample=tool)
        self.graph.append(self.main, "step", how)
        self.graph.append(self.main, "hasPart", tool)
        image = _image(self.graph, step.container)
        made = DescribedStep(step, how, tool, inputs, outputs, tuple(document.get("in", ())), image)
        self.found.append(made)
        if is_workflow and step.steps:
            _Workflow(self.graph, tool, runs, self.version, self.found).describe(step.steps, process, inputs, outputs)
        return made

    def _connect(
        self, owner: Reference, sources: object, target: Reference | None, known: Mapping[str, Reference]
    ) -> None:
        for source in sources if isinstance(sources, list) else [sources]:
            begin = known.get(str(source))
            if begin is None or target is None:
                continue
            connection = self.graph.add(
                f"#{begin['@id']}->{target['@id']}",
                "ParameterConnection",
                sourceParameter=begin,
                targetParameter=target,
            )
            self.graph.append(owner, "connection", connection)


def _parameters(graph: CrateGraph, owner: str, items: Iterable[CwlObject]) -> dict[str, Reference]:
    """Describe the inputs or outputs of a process; return them by short name."""
    return {short_name(item["id"]): _parameter(graph, owner, item) for item in items}


def _parameter(graph: CrateGraph, owner: str, item: CwlObject) -> Reference:
    name = short_name(item["id"])
    default, kind = item.get("default"), item.get("type")
    formats = item.get("format")
    return graph.add(
        f"{owner}{'/' if '#' in owner else '#'}{name}",
        "FormalParameter",
        name=name,
        conformsTo={"@id": _PARAMETER},
        additionalType=_type(kind),
        description=item.get("doc") if isinstance(item.get("doc"), str) else item.get("label"),
        valueRequired="False" if _is_optional(kind) or default is not None else "True",
        multipleValues="True" if _is_list(kind) else None,
        defaultValue=str(default) if isinstance(default, (str, int, float)) else None,
        encodingFormat=[text for text in (formats if isinstance(formats, list) else [formats]) if _is_plain(text)],
    )


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and "$(" not in text and "${" not in text


def _type(kind: object) -> str:
    """Return which type of schema.org a CWL type is; of a union the one that is not null."""
    if isinstance(kind, list):
        others = [item for item in kind if item != "null"]
        return _type(others[0]) if others else "PropertyValue"
    if isinstance(kind, dict):
        if kind.get("type") == "array":
            return _type(kind.get("items"))
        return "Text" if kind.get("type") == "enum" else "PropertyValue"
    return _TYPES.get(str(kind).removesuffix("[]").removesuffix("?"), "PropertyValue")


def _is_list(kind: object) -> bool:
    if isinstance(kind, list):
        return any(_is_list(item) for item in kind)
    return isinstance(kind, dict) and kind.get("type") == "array"


def _is_optional(kind: object) -> bool:
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _image(graph: CrateGraph, image: str | None) -> Reference | None:
    """Describe the container image of a tool; its digest where its name has it."""
    if not image or "$(" in image or "${" in image:
        return None
    name, _, digest = image.partition("@")
    name, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    first, _, rest = name.partition("/")
    has_registry = bool(rest) and ("." in first or ":" in first or first == "localhost")
    return graph.add(
        f"#image-{image}",
        "ContainerImage",
        additionalType={"@id": "https://w3id.org/ro/terms/workflow-run#DockerImage"},
        registry=first if has_registry else "docker.io",
        name=rest if has_registry else name,
        tag=tag or None,
        sha256=digest.removeprefix(_SHA256) if digest.startswith(_SHA256) else None,
    )


def _packages(graph: CrateGraph, process: CwlObject) -> list[Reference]:
    """Describe the packages of a SoftwareRequirement."""
    return [
        graph.add(f"#package-{name}-{shown}", "SoftwareApplication", name=name, softwareVersion=shown)
        for name, shown in packages_of(process)
    ]


def packages_of(process: CwlObject) -> Iterator[tuple[str, str]]:
    """Yield the packages of a SoftwareRequirement, each with its versions as text."""
    for item in (*process.get("requirements", ()), *process.get("hints", ())):
        if not isinstance(item, dict) or item.get("class") != "SoftwareRequirement":
            continue
        for package in item.get("packages") or ():
            versions = package.get("version") if isinstance(package, dict) else None
            if isinstance(package, dict) and package.get("package"):
                yield str(package["package"]), ", ".join(map(str, versions or ()))


def _id(port: object) -> str:
    return str(port["id"]) if isinstance(port, dict) else str(port)


def short_name(full_id: str) -> str:
    """Return the name of a parameter or step out of its full id."""
    return full_id.rpartition("#")[2].rpartition("/")[2]
