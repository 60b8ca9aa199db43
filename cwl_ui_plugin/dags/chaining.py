"""Workflows that start when others have delivered: which outputs are given to which inputs.

The schedule of such a workflow maps inputs to assets. What is given comes from the runs that Airflow names as
sources of its events, and from what their last task has returned: an event that somebody else made brings nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs.types import fits
from cwl_ui_plugin.cwl.plan import CwlObject, Plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.assets import output_named

Outputs = Callable[[str, str], CwlObject | None]
"""The outputs of a run, by its dag_id and run_id; None where Airflow does not have them any more."""


class Event(Protocol):
    """An event of an asset, as Airflow's tasks have it."""

    source_dag_id: str | None
    source_run_id: str | None
    source_task_id: str | None


EVENTS = "triggering_asset_events"
"""What templates of a job call the events that started a run, as Airflow's own do."""
_MAX_EVENTS = 1000


def event_values(run: object) -> dict[str, object]:
    """Return what templates may name of the events that started a run.

    ``{"triggering_asset_events": {asset: [{"extra", "source_dag_id", "source_run_id", "timestamp"}]}}``, oldest first.
    """
    values: dict[str, list[dict[str, object]]] = {}
    for event in list(getattr(run, "consumed_asset_events", None) or ())[-_MAX_EVENTS:]:
        kept = {name: getattr(event, name, None) for name in ("extra", "source_dag_id", "source_run_id", "timestamp")}
        values.setdefault(event.asset.name, []).append(kept)
    return {EVENTS: values} if values else {}


def delivered_inputs(
    inputs: Mapping[str, str], plan: Plan, events: Mapping[str, Iterable[Event]], outputs: Outputs
) -> CwlObject:
    """Return what the events that started a run give to its inputs.

    ``inputs`` maps an input to the name of an asset, ``events`` has those of each asset, oldest first. An input that
    can take one delivery is given the newest; a list of what is delivered is given all of them. One for which there is
    no event stays as it is, as when any of several assets starts the workflow.

    Raises:
        JobError: with a problem for each input whose delivery can't be had.

    """
    kinds = {item.id: item.type for item in plan.inputs}
    given: CwlObject = {}
    problems: list[Problem] = []
    for name, asset in inputs.items():
        try:
            values = _values(asset, events.get(asset, ()), outputs)
        except JobError as error:
            problems.append(Problem(error.message, input=name))
            continue
        if values:
            given[name] = values[-1] if fits(kinds.get(name, "Any"), values[-1]) else values
    if problems:
        raise JobError("What started this run can't be read any more.", tuple(problems))
    return given


def _values(asset: str, events: Iterable[Event], outputs: Outputs) -> list[object]:
    """Return what the runs have delivered that events of an asset name, each run's once."""
    made = output_named(asset)
    if made is None:
        return []
    dag_id, output = made
    own = (event for event in events if (event.source_dag_id, event.source_task_id) == (dag_id, names.GATHERER))
    values = []
    for run_id in dict.fromkeys(event.source_run_id for event in own):
        delivered = outputs(dag_id, run_id or "")
        if delivered is None or delivered.get(output) is None:
            raise JobError(f"The run {run_id} of {dag_id} has no output {output!r} any more: was it deleted?")
        values.append(delivered[output])
    return values
