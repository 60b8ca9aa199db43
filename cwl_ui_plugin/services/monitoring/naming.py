"""Giving a run another title, other tags, another note, for interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cwl_ui_plugin.reports.tables import RunKey
from cwl_ui_plugin.services import labelling
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.labelling import Label
from cwl_ui_plugin.services.monitoring import queries


@dataclass(frozen=True)
class Naming:
    """What is to change of what people call a run; None stays as it is."""

    title: str | None = None
    tags: Sequence[str] | None = None
    note: str | None = None


def name_run(dag_id: str, run_id: str, naming: Naming, *, user: str) -> None:
    """Change what people call a run, in one transaction, and note in Airflow's audit log who did.

    Raises:
        BadRequest: the title, a tag or the note is too long, or has what it can't have.
        NotFound: there is no such run.

    """
    retry_on_database_lock(lambda: _name_once((dag_id, run_id), naming, user), f"the title of {dag_id} {run_id}")


def _name_once(key: RunKey, naming: Naming, user: str) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = queries.find_run(session, *key)
        before = labelling.labels_of(session, [key]).get(key, Label())
        title = before.title if naming.title is None else naming.title
        labelling.label_run(session, run, title, before.tags if naming.tags is None else naming.tags)
        if naming.note is not None:
            labelling.write_note(run, naming.note, user)
        session.add(Log(event="cwl_label", dag_id=key[0], run_id=key[1], owner=user))
