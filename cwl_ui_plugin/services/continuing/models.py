"""What can be done about a run that has failed, and what was done."""

from __future__ import annotations

from dataclasses import asdict, dataclass

TAKEN, PARTLY, AGAIN = "taken", "partly", "again"


@dataclass(frozen=True)
class MissingFile:
    """A file that going on would need: ``task`` has made it, or none where it is an input."""

    name: str
    task: str | None


@dataclass(frozen=True)
class Continuation:
    """Whether a run can go on: ``tasks`` is how many would run; ``why_not`` says what keeps it from that."""

    tasks: int
    why_not: str | None
    missing: tuple[MissingFile, ...] = ()


@dataclass(frozen=True)
class ContinuedRun:
    """A run that goes on; ``cleared`` are its tasks that run again."""

    dag_id: str
    run_id: str
    state: str
    cleared: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class StepForecast:
    """What becomes of a step in a run that goes on from another one.

    ``outcome`` is ``taken``, ``partly`` (elements of a scattered step that had succeeded are taken over) or ``again``;
    ``reason`` says why it runs. ``elements`` is how many results there are of a scattered step.
    """

    task_id: str
    label: str
    outcome: str
    reason: str = ""
    elements: int | None = None


@dataclass(frozen=True)
class Forecast:
    """What a run of a version would take over from a failed one.

    ``gone`` are the tasks whose results are taken over without files, which were removed as no step reads them.
    """

    dag_id: str
    run_id: str
    version: str
    steps: tuple[StepForecast, ...]
    gone: tuple[str, ...] = ()

    @property
    def taken(self) -> tuple[StepForecast, ...]:
        """The steps that are not run again."""
        return tuple(step for step in self.steps if step.outcome == TAKEN)

    @property
    def again(self) -> tuple[StepForecast, ...]:
        """The steps that run, or of which elements do."""
        return tuple(step for step in self.steps if step.outcome != TAKEN)

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        steps = [asdict(step) for step in self.steps]
        return {"dag_id": self.dag_id, "run_id": self.run_id, "version": self.version, "steps": steps}
