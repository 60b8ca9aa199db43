"""Batches on a database, without a scheduler: made of a table, their runs created and ended as a test wants it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from support.stored import set_run, set_task

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.batches import batches, rounds, sheets, starts
from cwl_ui_plugin.services.batches.models import Batch
from cwl_ui_plugin.services.batches.submitting import Submission, Wanted, submit
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.run_models import StopReport

INPUTS = (Parameter("text", "string"), Parameter("file", ["null", "File"]))
"""Of a workflow for batches."""
_TASKS = ("CWLJobDispatcher", "sort", "count", "CWLJobGatherer")


def submission(dag_id: str, text: str, files: InputAccess | None = None, user: str = "ada", **more: Any) -> Submission:
    """Submit a table."""
    return submit(Wanted(dag_id, sheets.read_text(text), **more), user=user, files=files or shared_only())


def made_batch(dag_id: str, names: Iterable[str], user: str = "the-admin", **more: Any) -> Batch:
    """Make a batch of a workflow that needs ``text``."""
    table = "sample\ttext\n" + "".join(f"{name}\tt{number}\n" for number, name in enumerate(names, start=1))
    batch = submission(dag_id, table, user=user, **more).batch
    assert batch is not None
    return batch


def make(dag_id: str, count: int = 3, user: str = "ada", **more: Any) -> Batch:
    """Make a batch of the samples S1, S2, and so on."""
    return made_batch(dag_id, [f"S{number}" for number in range(1, count + 1)], user, **more)


def go_on(batch: Batch) -> Batch:
    """Do a round for a batch; return how it stands."""
    starts.start_some(batch.id)
    rounds.note_end(batch.id)
    return batches.get(batch.dag_id, batch.id)


def states_of(batch: Batch) -> dict[str, str]:
    """Return the states of the rows of a batch by their names."""
    return {row.name: row.state for row in batches.rows(batch.dag_id, batch.id).items}


def runs_of(dag_id: str) -> dict[str, Any]:
    """Return the runs of a workflow by their ids."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {run.run_id: run for run in session.scalars(select(DagRun).where(DagRun.dag_id == dag_id))}


def end(dag_id: str, run_id: str | None, state: str = "success") -> None:
    """End a run, with all of its tasks."""
    assert run_id is not None
    for task_id in _TASKS:
        set_task(dag_id, run_id, task_id, state=state)
    set_run(dag_id, run_id, state)


def end_all(dag_id: str, state: str = "success") -> None:
    """End all runs of a workflow that have not ended."""
    for run_id, run in runs_of(dag_id).items():
        if run.state in ("queued", "running"):
            end(dag_id, run_id, state)


def end_row(batch: Batch, name: str, state: str = "success", failed: str = "") -> str:
    """End the run of a row; with ``failed`` that step has failed, and what follows was not run. Return its run_id."""
    [row] = [row for row in batches.rows(batch.dag_id, batch.id).items if row.name == name]
    assert row.run_id is not None
    is_after = False
    for task_id in _TASKS:
        own = "failed" if task_id == failed else "upstream_failed" if is_after else "success"
        is_after = is_after or task_id == failed
        set_task(batch.dag_id, row.run_id, task_id, state=own if state in ("failed", "success") else state)
    set_run(batch.dag_id, row.run_id, state)
    return row.run_id


def delete(dag_id: str, run_id: str) -> None:
    """Delete a run."""
    from cwl_ui_plugin.services.stopping.database_state import delete_run

    delete_run(dag_id, run_id, "ada")


def stop_in_database(dag_id: str, run_id: str, *, user: str) -> StopReport:
    """Stop a run in the database alone, as ``stops.stop_run`` does where there are no processes."""
    from cwl_ui_plugin.services.stopping.database_state import fail_unfinished

    found = fail_unfinished(dag_id, run_id, user)
    return StopReport(dag_id=dag_id, run_id=run_id, stopped=found.stopped, seconds=0, message="")
