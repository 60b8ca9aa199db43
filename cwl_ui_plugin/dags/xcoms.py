"""What the tasks of a run left in Airflow's database, as the API server reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from cwl_ui_plugin.dags.handing_on import shown_values
from cwl_ui_plugin.dags.names import ERROR_KEY, GATHERER, RETURN_KEY, STATISTICS_KEY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class TaskError(TypedDict, total=False):
    """The XCom ``cwl_error`` of a task that failed."""

    message: str
    kind: str
    """``permanentFail``, ``temporaryFail`` or ``stopped``."""
    exit_code: int | None
    stderr: str
    """The end of what its command wrote there."""
    command: list[str] | None
    used: dict[str, object]
    """What its command used and had asked for, see :class:`cwl.errors.StepError`."""


class TaskStatistics(TypedDict):
    """What a step used: a part of what it hands on. Seconds, and bytes."""

    command: list[str] | None
    exit_code: int | None
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    output_bytes: int
    reused: bool
    taken_over: bool
    asked_cores: float | None
    asked_ram: float | None
    """Mebibytes."""


Xcoms = dict[tuple[str, int, str], Any]
"""By task, map index and key: errors, statistics, and the output object as the gatherer's return value."""


def read_xcoms(session: Session, dag_id: str, run_id: str) -> Xcoms:
    """Return errors, statistics and the output object of a run, with one query.

    Statistics are a part of what a step hands on; the rest of that may be large and is left in the database.
    """
    from airflow.models.xcom import XComModel
    from sqlalchemy import case, or_, select

    is_wanted = or_(XComModel.key == ERROR_KEY, XComModel.task_id == GATHERER)
    query = select(
        XComModel.task_id,
        XComModel.map_index,
        XComModel.key,
        case((is_wanted, XComModel.value)).label("value"),
        XComModel.value[STATISTICS_KEY].label("statistics"),
    ).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.key.in_((ERROR_KEY, RETURN_KEY)),
    )
    found: Xcoms = {}
    for row in session.execute(query):
        if row.value is not None:
            found[row.task_id, row.map_index, row.key] = XComModel.deserialize_value(row)
        if row.statistics is not None:
            found[row.task_id, row.map_index, STATISTICS_KEY] = row.statistics
    return found


def output_object(xcoms: Xcoms, dag_id: str, run_id: str) -> Any:
    """Return the CWL output object of a run, or None while there is none; long lists may be ``LongList`` objects."""
    return shown_values((dag_id, run_id), xcoms.get((GATHERER, -1, RETURN_KEY)))
