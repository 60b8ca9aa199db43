"""What the runs of a schedule may read: what its author might, when saving it.

Airflow creates these runs, and gives them no grant. So the service that saves the schedule signs it, roots and job and
all, for its Dag, with the key for grants (``grants``); each task verifies that.
"""

from __future__ import annotations

from pathlib import Path

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.access.grants import ALGORITHM, public_key
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.contents import digest
from cwl_ui_plugin.signing.errors import SigningError

_SAVE_AGAIN = "Save the schedule again on the page of its workflow."


def claims(dag_id: str, schedule: Schedule) -> dict[str, object]:
    """Return what is signed to grant the runs of a schedule what it says."""
    return {"dag_id": dag_id, "schedule": digest(schedule.content())}


def granted_roots(dag_id: str, schedule: Schedule) -> tuple[Path, ...]:
    """Return the folders, not everybody's, that runs of a schedule may read.

    Raises:
        JobError: it is not signed for this Dag and content by an API server of this Airflow.

    """
    if schedule.grant is None:
        return ()
    try:
        found = tokens.verify(schedule.grant, public_key(schedule.grant), [ALGORITHM])
    except SigningError as error:
        raise JobError(f"The grant of this workflow's schedule does not hold: {error} {_SAVE_AGAIN}") from error
    if {name: found.get(name) for name in ("dag_id", "schedule")} != claims(dag_id, schedule):
        raise JobError(f"The grant of this workflow's schedule is for another schedule or Dag. {_SAVE_AGAIN}")
    return tuple(Path(root) for root in schedule.roots)
