"""What a crate tells of a run: its description, its workflow, and the values between its tasks, from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeGuard

from cwl_ui_plugin.cwl.plan import CwlObject, read_packed
from cwl_ui_plugin.cwl.readers import Batches, batches_in
from cwl_ui_plugin.dags.handing_on import shown_values
from cwl_ui_plugin.dags.names import RETURN_KEY
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.outputs.output_files import output_place, sizes_in
from cwl_ui_plugin.services.outputs.stored_places import with_sizes
from cwl_ui_plugin.services.run_models import RunDetail, StepState
from cwl_ui_plugin.services.workflows.details import readable_documents, stored_version

if TYPE_CHECKING:
    from cwl_ui_plugin.opened import Place

MAX_EXECUTIONS = 5_000
"""Task instances whose own doings a crate tells; of a run with more it tells the run as a whole."""
_PAIR = 2

Values = dict[str, object]
"""By the full id of an input of the workflow or an output of a step."""


@dataclass(frozen=True)
class Execution:
    """One task instance that ran a step, or an element of it; ``outputs`` are by their full ids."""

    state: StepState
    outputs: Values = field(default_factory=dict)
    """Of a scattered step those of its elements, each a list in the order of the elements."""


@dataclass(frozen=True)
class RunFacts:
    """A run whose version is stored. ``values`` are those of the workflow's inputs and of all steps."""

    run: RunDetail
    version: StoredVersion
    packed: CwlObject
    place: Place
    """The folder of its outputs."""
    values: Values
    executions: Mapping[str, tuple[Execution, ...]]
    """By task id, in the order of the elements; nothing where the run has too many."""
    batches: Mapping[str, Batches] = field(default_factory=dict)
    """By the task that divides the elements of a scattered step, which elements each instance has run."""

    @property
    def is_whole(self) -> bool:
        """Whether it is told what each task did."""
        return bool(self.executions) or not self.run.steps


def facts_of(dag_id: str, run_id: str) -> RunFacts:
    """Return what is known of a run.

    Raises:
        NotFound: there is no such run, or the version of the workflow that it used is not stored.
        Unavailable: that version has to be compiled again first.

    """
    run = queries.get_run(dag_id, run_id)
    version = stored_version(dag_id, run.version) if run.version else None
    if version is None:
        raise NotFound(f"The version of {dag_id!r} that the run {run_id!r} used is not stored any more.")
    with readable_documents(dag_id):
        packed = read_packed(version.compiled)
        secret = {item.id for item in version.plan.inputs if item.is_secret}
    told = run.steps if len(run.steps) <= MAX_EXECUTIONS else ()
    handed_on, conf = _handed_on(dag_id, run_id, bool(told))
    outputs = {key: _outputs(value) for key, value in handed_on.items() if isinstance(value, dict)}
    executions: dict[str, list[Execution]] = {}
    for state in sorted(told, key=lambda state: state.map_index):
        made = Execution(state, outputs.get((state.task_id, state.map_index), {}))
        executions.setdefault(state.task_id, []).append(made)
    whole = (found for (_task_id, map_index), found in outputs.items() if map_index < 0)
    values = {name: value for found in whole for name, value in found.items()}
    place = output_place(dag_id, run_id, conf)
    return RunFacts(
        run=run,
        version=version,
        packed=packed,
        place=with_sizes(place, sizes_in(run.outputs, place)),
        values={name: value for name, value in values.items() if _short(name) not in secret},
        executions={task_id: tuple(found) for task_id, found in executions.items()},
        batches={
            task_id: batches_in(value) for (task_id, _index), value in handed_on.items() if isinstance(value, list)
        },
    )


def job_of(facts: RunFacts) -> dict[str, object]:
    """Return the values of a run's inputs, with defaults where the first task has filled them in, without secrets."""
    secret = {item.id for item in facts.version.plan.inputs if item.is_secret}
    named = {
        str(item["id"]).rpartition("#")[2].rpartition("/")[2]: str(item["id"])
        for item in facts.packed.get("inputs", ())
    }
    filled = {name: facts.values[full] for name, full in named.items() if full in facts.values}
    job = {name: value for name, value in facts.run.job.items() if name in named and name not in secret}
    return {**job, **filled}


def _handed_on(
    dag_id: str, run_id: str, with_values: bool
) -> tuple[dict[tuple[str, int], object], dict[str, object] | None]:
    """Return what the tasks of a run have handed on, by task id and map index, and the conf of the run."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.task_id, XComModel.map_index, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == RETURN_KEY
    )
    with create_session(scoped=False) as session:
        conf = queries.find_run(session, dag_id, run_id).conf
        found = {
            (row.task_id, row.map_index): shown_values((dag_id, run_id), XComModel.deserialize_value(row))
            for row in (session.execute(query) if with_values else ())
        }
    return found, conf if isinstance(conf, dict) else None


def _outputs(handed_on: Mapping[str, object]) -> Values:
    """Return values by full id out of ``{full id: [value, status]}``, or of the elements of a batch as lists."""
    own = {name: value for name, value in handed_on.items() if _is_pair(value)}
    if own and all(name.isdecimal() for name in own):  # {index: [outputs, status]}
        made: dict[str, list[object]] = {}
        for _index, (outputs, _status) in sorted(own.items(), key=lambda item: int(item[0])):
            for name, value in (outputs if isinstance(outputs, dict) else {}).items():
                made.setdefault(name, []).append(value)
        return dict(made)
    return {name: value for name, (value, _status) in own.items() if "#" in name}


def _is_pair(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list) and len(value) == _PAIR and isinstance(value[1], str)


def _short(full_id: str) -> str:
    return full_id.rpartition("#")[2]
