"""What a task instance of a step has read: its values, and which step has made each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.files import CLASSES, local_path
from cwl_ui_plugin.cwl.plan import Plan, Step, read_plan
from cwl_ui_plugin.cwl.readers import chosen_values, elements_of, flows
from cwl_ui_plugin.cwl.task_names import scatter_task
from cwl_ui_plugin.cwl.value_files import LongList
from cwl_ui_plugin.dags.handing_on import shown_values
from cwl_ui_plugin.dags.names import DISPATCHER, RETURN_KEY
from cwl_ui_plugin.services.cleaning.unread_files import TASK_NAMES, batches_of
from cwl_ui_plugin.services.monitoring.queries import find_run
from cwl_ui_plugin.services.workflows.details import pinned_workflow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_TEXT = 2000
MAX_ITEMS = 50
HIDDEN = "(secret)"


@dataclass(frozen=True)
class StepInput:
    """A value that a step has read. ``name`` is the input of the workflow, or the output of the step ``made_by``.

    ``items`` are the names of its files, or other values as text; ``more`` is how many there are besides.
    """

    name: str
    items: tuple[str, ...]
    more: int = 0
    made_by: str | None = None


def step_inputs(dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> tuple[StepInput, ...]:
    """Return what a task instance has read, as far as Airflow's database has it; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        version = pinned_workflow(dag_id, run.bundle_version)
        plan = read_plan(version.compiled) if version else None
        step = next((step for _depth, step in plan.all_steps() if step.task_id == task_id), None) if plan else None
        if plan is None or step is None:
            return ()
        makers = _makers(plan)
        values = _values(session, (dag_id, run_id), step, makers)
    batches = batches_of((dag_id, run_id), scatter_task(task_id)) if step.by_element else []
    chosen = elements_of(batches, map_index)
    read = chosen_values(values, step.by_element if chosen else (), chosen)
    secrets = {item.id for item in plan.inputs if item.is_secret}
    return tuple(_shown(name, value, makers.get(name), secrets) for name, value in read.items())


def _makers(plan: Plan) -> dict[str, str]:
    """Return by id which task hands on a value; those of the workflow's inputs are the first task's."""
    return {name: task for task, flow in flows(plan, TASK_NAMES).items() for name in flow.makes}


def _values(
    session: Session, run: tuple[str, str], step: Step, makers: Mapping[str, str]
) -> dict[str, Sequence[object]]:
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    tasks = {makers.get(name, DISPATCHER) for name in step.sources}
    query = select(XComModel.value).where(
        XComModel.dag_id == run[0],
        XComModel.run_id == run[1],
        XComModel.key == RETURN_KEY,
        XComModel.task_id.in_(tasks),
        XComModel.map_index == -1,
    )
    known: dict[str, object] = {}
    for row in session.execute(query):
        found = shown_values(run, XComModel.deserialize_value(row))
        known |= found if isinstance(found, dict) else {}
    values = {name: known.get(name) for name in step.sources}
    return {name: value for name, value in values.items() if isinstance(value, (list, tuple)) and value}


def _shown(name: str, value: object, made_by: str | None, secrets: set[str]) -> StepInput:
    short = name.rpartition("#")[2]
    if made_by is None and short in secrets:
        return StepInput(short, (HIDDEN,))
    items = value if isinstance(value, (list, LongList)) else [value]
    texts = tuple(_text(item) for item in items[:MAX_ITEMS])
    return StepInput(short, texts, max(0, len(items) - MAX_ITEMS), made_by)


def _text(value: object) -> str:
    if isinstance(value, dict) and value.get("class") in CLASSES:
        path = local_path(value)
        return str(value.get("basename") or (path.name if path else value.get("location") or value["class"]))
    return str(value)[:MAX_TEXT]
