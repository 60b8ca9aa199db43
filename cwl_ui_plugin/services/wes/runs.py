"""Runs as WES lists them: newest first, with states and tags; and how many there are in each state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.conf import WES
from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.services.wes import states
from cwl_ui_plugin.services.wes.requests import texts_of
from cwl_ui_plugin.services.wes.run_ids import page_token, run_id_of
from cwl_ui_plugin.services.workflows.details import cwl_dag_ids

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row

MAX_PAGE = 500
DEFAULT_PAGE = 50
COUNTED = 10_000
"""Of how many of the newest runs the states are counted."""
_TAG_CHARACTERS = 100


@dataclass(frozen=True)
class RunSummary:
    """A run in a list of WES."""

    run_id: str
    state: states.State
    start_time: str | None
    end_time: str | None
    tags: dict[str, str]


@dataclass(frozen=True)
class Page:
    """Some runs, and the token of the next page: empty at the end."""

    runs: tuple[RunSummary, ...]
    next_page_token: str


def list_runs(
    dag_ids: Iterable[str],
    *,
    size: int = DEFAULT_PAGE,
    before: int | None = None,
    state: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Page:
    """Return runs of the CWL Dags among ``dag_ids``, newest first; raise :class:`BadRequest`.

    ``before`` is what a page token stands for: runs that have begun since the first page are on none of the next ones.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    size = min(size, MAX_PAGE)
    where: list[ColumnElement[bool]] = [DagRun.dag_id.in_(cwl_dag_ids(dag_ids))]
    where += [DagRun.id < before] if before is not None else []
    where += [states.in_state(state)] if state else []
    where += [_tagged(name, text) for name, text in (tags or {}).items()]
    columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.start_date, DagRun.end_date)
    query = select(*columns, states.state_column().label("state"), DagRun.conf[WES]["tags"].label("tags"))
    with create_session(scoped=False) as session:
        rows = session.execute(query.where(*where).order_by(DagRun.id.desc()).limit(size + 1)).all()
    token = page_token(rows[size - 1].id) if len(rows) > size else ""
    return Page(tuple(_summary(row) for row in rows[:size]), token)


def state_of(dag_id: str, run_id: str) -> states.State:
    """Return the state of a run; raise :class:`NotFound`."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(states.state_column()).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    with create_session(scoped=False) as session:
        found = session.scalar(query)
    if found is None or not cwl_dag_ids([dag_id]):
        raise NotFound(f"There is no run {run_id_of(dag_id, run_id)!r}.")
    return states.shown(found, dag_id, run_id)


def state_counts(dag_ids: Iterable[str]) -> dict[str, int]:
    """Return how many of the newest :data:`COUNTED` runs of these Dags are in each state."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    newest = select(DagRun.id).where(DagRun.dag_id.in_(cwl_dag_ids(dag_ids))).order_by(DagRun.id.desc()).limit(COUNTED)
    told = select(states.state_column().label("state")).where(DagRun.id.in_(newest)).subquery()
    with create_session(scoped=False) as session:
        rows = session.execute(select(told.c.state, func.count()).group_by(told.c.state)).all()
    counts = {row[0]: int(row[1]) for row in rows}
    return {state: counts.get(state, 0) for state in states.STATES}


def time_text(moment: datetime | str | None) -> str | None:
    """Return a moment as WES has it: UTC, in whole seconds."""
    if moment is None:
        return None
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _summary(row: Row[object]) -> RunSummary:
    return RunSummary(
        run_id=run_id_of(row.dag_id, row.run_id),
        state=states.shown(row.state, row.dag_id, row.run_id),
        start_time=time_text(row.start_date),
        end_time=time_text(row.end_date),
        tags=texts_of(row.tags),
    )


def _tagged(name: str, text: str) -> ColumnElement[bool]:
    from airflow.models.dagrun import DagRun

    if not name or len(name) > _TAG_CHARACTERS or not all(letter.isalnum() or letter in "_-. " for letter in name):
        raise BadRequest("Runs are found by tags whose names have letters, digits, spaces, '_', '-' and '.'.")
    return DagRun.conf[WES]["tags"][name].as_string() == text  # type: ignore[no-any-return]
