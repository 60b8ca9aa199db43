"""Before which steps of a workflow somebody is asked: as its document says, and as is chosen on its page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import BadRequest, Unavailable
from cwl_ui_plugin.services.stored_workflows import library_errors, open_store
from cwl_ui_plugin.services.workflows.upload_state import finishing

EVENT = "cwl_approvals"
"""In Airflow's audit log."""


@dataclass(frozen=True)
class Approvals:
    """Task ids of steps: ``chosen`` on the page, ``documented`` by hints; ``gone`` are chosen, but not there now.

    ``problem`` says why it can't be told which are chosen: no run starts then until somebody has chosen anew.
    """

    chosen: tuple[str, ...]
    documented: tuple[str, ...]
    gone: tuple[str, ...]
    problem: str | None = None


def approvals_of(dag_id: str) -> Approvals:
    """Return before which steps runs from now on ask; raise :class:`NotFound`."""
    with library_errors():
        store = open_store()
        steps = [step for _depth, step in store.current(dag_id).plan.all_steps()]
    chosen, problem = _chosen(store, dag_id)
    there = {step.task_id for step in steps}
    return Approvals(
        chosen=tuple(task_id for task_id in chosen if task_id in there),
        documented=tuple(step.task_id for step in steps if step.approval),
        gone=tuple(task_id for task_id in chosen if task_id not in there),
        problem=problem,
    )


def choose(dag_id: str, task_ids: Collection[str], *, user: str) -> Approvals:
    """Ask before these steps, besides those that the document names, from now on; runs on their way go on as they are.

    Raises:
        NotFound: there is no such workflow.
        BadRequest: it has no such step.
        Unavailable: Airflow does not take it; nothing has changed then.

    """
    with library_errors():
        store = open_store()
        known = [step.task_id for _depth, step in store.current(dag_id).plan.all_steps()]
    before, problem = _chosen(store, dag_id)
    unknown = sorted(set(task_ids) - set(known))
    if unknown:
        raise BadRequest(
            f"The workflow has no step {', '.join(map(repr, unknown))}; it has {', '.join(known) or 'none'}."
        )
    _change(store, dag_id, task_ids, task_ids if problem else before)
    _record(dag_id, task_ids, user)
    return approvals_of(dag_id)


def _chosen(store: WorkflowStore, dag_id: str) -> tuple[tuple[str, ...], str | None]:
    """Return which steps are chosen, and why that can't be told."""
    try:
        return store.approvals(dag_id).current(), None
    except UnknownWorkflow as error:
        return (), str(error)


def _change(store: WorkflowStore, dag_id: str, task_ids: Collection[str], before: Collection[str]) -> None:
    store.uploads.mkdir(parents=True, exist_ok=True)
    with finishing(store.uploads), library_errors():
        store.set_approvals(dag_id, task_ids)
        try:
            retry_on_database_lock(lambda: registration.register(dag_id), f"registering {dag_id}")
        except BaseException as error:
            store.set_approvals(dag_id, before)
            if isinstance(error, RegistrationError):
                raise Unavailable(str(error)) from error
            raise


def _record(dag_id: str, task_ids: Collection[str], user: str) -> None:
    """Write who has chosen what into Airflow's audit log."""
    import json

    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        session.add(Log(event=EVENT, owner=user, dag_id=dag_id, extra=json.dumps({"steps": sorted(task_ids)})))
