"""What was done in a run, in its crate: by whom, when, on which values, with which outcome."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

from cwl_ui_plugin.cwl.files import handed_on, outer_objects
from cwl_ui_plugin.cwl.readers import chosen_values, elements_of
from cwl_ui_plugin.cwl.task_names import scatter_task
from cwl_ui_plugin.cwl.value_files import beginning
from cwl_ui_plugin.services.crates.facts import Execution, RunFacts, job_of
from cwl_ui_plugin.services.crates.files import CrateFiles
from cwl_ui_plugin.services.crates.graph import CrateGraph, Reference
from cwl_ui_plugin.services.crates.workflow import DescribedStep, DescribedWorkflow, short_name
from cwl_ui_plugin.services.run_models import STARTERS, StepState

_STATUS = {"success": "Completed", "skipped": "Completed", "failed": "Failed", "upstream_failed": "Failed"}
_WAITING = ("queued", "scheduled", "no_status")


@dataclass
class Actions:
    """Describes actions in a graph."""

    graph: CrateGraph
    facts: RunFacts
    files: CrateFiles
    workflow: DescribedWorkflow
    agent: Reference | None = None
    collections: dict[str, Reference] = field(default_factory=dict)
    _known: dict[tuple[str, str], list[Reference]] = field(default_factory=dict)
    """By source and parameter, what is handed on to all tasks of a step."""
    _examples: set[tuple[str, str]] = field(default_factory=set)

    def describe(self) -> list[Reference]:
        """Describe the run, and what its tasks did; return the run, these, and collections of files."""
        run, summary = self.facts.run, self.facts.run.summary
        self.agent = agent = self._agent()
        outputs = run.outputs or {}
        made = self.graph.add(
            f"#run-{quote(summary.run_id, safe='')}",
            "CreateAction",
            name=f"Run {summary.run_id} of {summary.dag_id}",
            description=summary.title or f"The workflow {summary.dag_id} was run once.",
            instrument=self.workflow.main,
            agent=agent,
            startTime=_moment(summary.started_at or summary.queued_at),
            endTime=_moment(summary.ended_at),
            actionStatus=_status(summary.state),
            error=run.error if summary.state == "failed" else None,
            object=self._values(job_of(self.facts), self.workflow.inputs),
            result=self._values(outputs, self.workflow.outputs),
        )
        orchestration = self._orchestration(made, agent)
        tasks = [task for step in self.workflow.steps for task in self._describe_step(step, orchestration)]
        return [made, *tasks, *self.collections.values()]

    def _agent(self) -> Reference | None:
        """Describe who has started the run: a person, with the key that signed it, or a schedule of theirs."""
        summary, signature = self.facts.run.summary, self.facts.run.signature
        if not summary.user:
            name = STARTERS.get(summary.run_type)
            return self.graph.add(f"#{quote(name)}", "SoftwareApplication", name=f"Airflow: {name}") if name else None
        return self.graph.add(
            f"#user-{quote(summary.user, safe='')}",
            "Person",
            name=summary.user,
            identifier=f"{signature.algorithm} key {signature.fingerprint}" if signature else None,
        )

    def _orchestration(self, run: Reference, agent: Reference | None) -> Reference:
        """Describe what has run the workflow: this plugin, on Airflow and cwltool."""
        engines = [self._software(name, package) for name, package in ENGINES]
        summary = self.facts.run.summary
        return self.graph.add(
            "#orchestration",
            "OrganizeAction",
            name=f"Running {summary.dag_id} in Airflow",
            instrument=engines[0],
            agent=agent,
            startTime=_moment(summary.started_at or summary.queued_at),
            endTime=_moment(summary.ended_at),
            result=run,
        )

    def _software(self, name: str, package: str) -> Reference:
        from importlib.metadata import version

        needs = [self._software(*other) for other in ENGINES[1:]] if package == ENGINES[0][1] else []
        return self.graph.add(
            f"#{package}",
            "SoftwareApplication",
            name=name,
            softwareVersion=version(package),
            url={"@id": f"https://pypi.org/project/{package}/"},
            softwareRequirements=needs,
        )

    def _describe_step(self, step: DescribedStep, orchestration: Reference) -> list[Reference]:
        executions = [item for item in self.facts.executions.get(step.plan.task_id, ()) if item.state.started_at]
        if not executions:
            return []
        done = [self._describe_execution(step, item) for item in executions]
        control = self.graph.add(
            f"#control-{quote(step.plan.task_id)}",
            "ControlAction",
            name=f"Step {step.plan.id}",
            instrument=step.step,
            object=done,
        )
        self.graph.append(orchestration, "object", control)
        return done

    def _describe_execution(self, step: DescribedStep, execution: Execution) -> Reference:
        state = execution.state
        outputs = {short_name(name): value for name, value in execution.outputs.items()}
        return self.graph.add(
            action_of(state),
            "CreateAction",
            name=f"{step.plan.label or step.plan.id}{f' ({state.element})' if state.element else ''}",
            description=shlex.join(state.command) if state.command else f"The step {step.plan.id} was run.",
            agent=self.agent,
            instrument=step.tool,
            containerImage=step.image,
            startTime=_moment(state.started_at),
            endTime=_moment(state.ended_at),
            actionStatus=_status(state.state),
            error=state.error,
            object=self._inputs(step, execution),
            result=self._values(outputs, step.outputs),
        )

    def _inputs(self, step: DescribedStep, execution: Execution) -> list[Reference]:
        """Describe what a task was given, as far as it is handed on as it is: expressions make other values of some.

        Of lists over which its step is scattered, these are the elements that it ran, where that is known.
        """
        found: dict[str, Reference] = {}
        scattered = {short_name(item) for item in step.plan.scatter}
        chosen = elements_of(self.facts.batches.get(scatter_task(step.plan.task_id), []), execution.state.map_index)
        for port in step.ports:
            source, name = port.get("source"), short_name(port["id"])
            source = source[0] if isinstance(source, list) and len(source) == 1 else source
            if port.get("valueFrom") or not isinstance(source, str) or source not in self.facts.values:
                continue
            if name not in scattered:
                described = self._shared(source, step.inputs.get(name), name)
            elif chosen and source in step.plan.by_element:
                elements = chosen_values({source: [self.facts.values[source]]}, (source,), chosen)[source]
                one = elements[0] if isinstance(elements, list) and len(elements) == 1 else elements
                described = self._value(one, step.inputs.get(name), name)
            else:
                continue
            found |= {reference["@id"]: reference for reference in described}
        return list(found.values())

    def _shared(self, source: str, parameter: Reference | None, name: str) -> list[Reference]:
        """Describe a value that all tasks of a step read: once, and many files as one collection of them."""
        key = (source, parameter["@id"] if parameter else name)
        if key not in self._known:
            described = self._value(self.facts.values[source], parameter, name)
            if len(described) > MAX_NAMED:
                identifier = f"#collection-{quote('-'.join(key), safe='')}"
                described = [self._collection(identifier, name=name, hasPart=described, exampleOfWork=parameter)]
            self._known[key] = described
        return self._known[key]

    def _values(self, values: Mapping[str, object], parameters: Mapping[str, Reference]) -> list[Reference]:
        """Describe values, each with the parameter that it is of."""
        found: dict[str, Reference] = {}
        for name, value in values.items():
            found |= {reference["@id"]: reference for reference in self._value(value, parameters.get(name), name)}
        return list(found.values())

    def _value(self, value: object, parameter: Reference | None, name: str) -> list[Reference]:
        if next(outer_objects(value), None) is not None:
            described = [found for item in outer_objects(value) if (found := self._file(item))]
            for reference in described if parameter else ():
                self._is_example(reference, parameter)  # type: ignore[arg-type]
            return described
        if value is None or parameter is None:
            return []
        text = value if isinstance(value, (str, int, float, bool)) else beginning(value, MAX_TEXT)
        shown = str(text)
        short = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}-{sha256(shown.encode(*_ANY_TEXT)).hexdigest()}"
        identifier = f"#value-{quote(parameter['@id'], safe='')}-{quote(short, safe='', errors='surrogatepass')}"
        made = self.graph.add(identifier, "PropertyValue", name=name, value=shown, exampleOfWork=parameter)
        return [made]

    def _file(self, item: dict[str, object]) -> Reference | None:
        """Describe a File or Directory; one with secondary files as a collection of which it is the main entity."""
        main = self.files.described(self.graph, item)
        others = [self.files.described(self.graph, one) for one in handed_on(item.get("secondaryFiles"))]
        parts = [main, *(one for one in others if one)]
        if main is None or len(parts) == 1:
            return main
        identifier = f"#with-secondary-files-{quote(main['@id'], safe='')}"
        name = f"{item.get('basename') or 'file'} with its secondary files"
        return self._collection(identifier, name=name, mainEntity=main, hasPart=parts)

    def _collection(self, identifier: str, **properties: object) -> Reference:
        made = self.graph.add(identifier, "Collection", **properties)
        self.collections[made["@id"]] = made
        return made

    def _is_example(self, reference: Reference, parameter: Reference) -> None:
        """Say, once, of which parameter a file is a value."""
        pair = (reference["@id"], parameter["@id"])
        if pair not in self._examples:
            self._examples.add(pair)
            self.graph.append(reference, "exampleOfWork", parameter)


MAX_NAMED = 50
"""Files that each task names which reads them all; more are named together: 10,000 tasks may share 10,000 files."""
MAX_TEXT = 1_000_000
"""Characters of a value that is compound."""
_SHOWN = 60
_ANY_TEXT = ("utf-8", "surrogatepass")
ENGINES = (("CWL for Airflow", "cwl-ui-plugin"), ("Apache Airflow", "apache-airflow"), ("cwltool", "cwltool"))


def action_of(state: StepState) -> str:
    """Return the id of what a task instance has done."""
    return f"#task-{quote(state.task_id)}{f'-{state.map_index}' if state.map_index >= 0 else ''}"


def _status(state: str) -> str:
    """Return what an action's state is in schema.org, https://schema.org/ActionStatusType."""
    name = _STATUS.get(state, "Potential" if state in _WAITING else "Active")
    return f"http://schema.org/{name}ActionStatus"


def _moment(text: str | None) -> str | None:
    return datetime.fromisoformat(text).isoformat(timespec="milliseconds") if text else None
