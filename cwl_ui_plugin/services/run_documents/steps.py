"""The steps of a run for its report: with which tool and container each was run, for how long, by which command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cwl_ui_plugin.cwl.plan import CwlObject, Step
from cwl_ui_plugin.services.crates.facts import RunFacts
from cwl_ui_plugin.services.crates.workflow import packages_of, short_name
from cwl_ui_plugin.services.monitoring.step_groups import StepGroup, group_steps

MAX_COMMAND = 4_000
MAX_ERROR = 2_000


@dataclass(frozen=True)
class DocumentedStep:
    """A step as it was run: ``count`` is how many times, once for each element if it is scattered.

    ``image`` is the container image as the document names it, ``digest`` that of it, as far as that name has one;
    ``packages`` are those of its SoftwareRequirement. ``command`` is the first one that was run.
    """

    name: str
    tool: str
    depth: int
    state: str
    count: int
    image: str = ""
    digest: str = ""
    packages: tuple[str, ...] = ()
    started_at: str | None = None
    seconds: float | None = None
    command: str = ""
    error: str = ""

    @property
    def software(self) -> str:
        """What the step ran, in a few words."""
        packages = f" ({', '.join(self.packages)})" if self.packages else ""
        return f"{self.tool}{packages}"


def steps_of(facts: RunFacts) -> list[DocumentedStep]:
    """Return the steps of a run in the order of the workflow, those of a subworkflow after it."""
    groups = {group.task_id: group for group in group_steps(facts.run.steps)}
    packages = dict(_packages(facts.version.plan.steps, facts.packed))
    return [
        _step(step, depth, groups.get(step.task_id), packages.get(step.task_id, ()))
        for depth, step in facts.version.plan.all_steps()
    ]


def _step(step: Step, depth: int, group: StepGroup | None, packages: tuple[str, ...]) -> DocumentedStep:
    image, _, digest = (step.container or "").partition("@")
    name, tool = step.label or step.id, step.tool_name or step.tool
    planned = DocumentedStep(name, tool, depth, "not run", 0, image, digest, packages)
    if group is None:
        return planned
    command = next((state.command for state in group.members if state.command), None)
    error = next((state.error for state in group.members if state.error), None)
    return replace(
        planned,
        state=group.state.replace("_", " "),
        count=len(group.members),
        started_at=group.started_at,
        seconds=group.seconds,
        command=shlex.join(command)[:MAX_COMMAND] if command else "",
        error=(error or "")[:MAX_ERROR],
    )


def _packages(steps: tuple[Step, ...], process: CwlObject) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield by task id the packages that the tools of a workflow name, with their versions."""
    documents = {short_name(item["id"]): item.get("run") for item in process.get("steps", ())}
    for step in steps:
        run = documents.get(short_name(step.id), process if process.get("class") != "Workflow" else None)
        if isinstance(run, dict):
            yield step.task_id, tuple(" ".join(filter(None, found)) for found in packages_of(run))
            yield from _packages(step.steps, run)
