"""Creating a run as Airflow's own ``trigger_dag`` does, without reading the whole Dag from the database for each.

Airflow reads a Dag anew for each run, which for a workflow of some hundred steps is megabytes of JSON. Here what was
read is kept with its hash, and asked for is only which hash the newest version has.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.orm import Session

MAX_KEPT = 16
"""Dags; one of 10,000 steps takes some dozen megabytes."""


class _Newest(NamedTuple):
    """Which Dag is the newest of its name, and which kinds of runs it takes."""

    version: str
    digest: str
    run_types: list[str] | None


class _KeptDags:
    """The Dags that were triggered last, as Airflow has stored them. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dags: OrderedDict[tuple[str, str], SerializedDAG] = OrderedDict()

    def get(self, session: Session, dag_id: str, newest: _Newest) -> SerializedDAG | None:
        """Return the newest version of a Dag, read from the database if another one is kept."""
        key = (newest.version, newest.digest)
        with self._lock:
            if key in self._dags:
                self._dags.move_to_end(key)
                return self._dags[key]
        from airflow.models.serialized_dag import SerializedDagModel

        stored = SerializedDagModel.get(dag_id, session=session)
        if stored is None:
            return None
        dag = stored.dag
        with self._lock:
            self._dags[str(stored.dag_version_id), stored.dag_hash] = dag  # it may be a newer one meanwhile
            while len(self._dags) > MAX_KEPT:
                self._dags.popitem(last=False)
        return dag


_kept = _KeptDags()


def create_run(
    session: Session,
    dag_id: str,
    *,
    run_id: str | None,
    conf: dict[str, object],
    user: str,
    source: DagRunTriggeredByType,
    run_after: datetime | None,
) -> DagRun:
    """Return a new run of the newest version of a Dag, queued, which the session has flushed.

    Raises:
        DagNotFound: there is no such Dag, or Airflow has not stored it.
        IntegrityError: it has a run of that name.
        ValueError, ParamValidationError: Airflow does not accept the name, or the conf.

    """
    import pendulum
    from airflow.exceptions import DagNotFound
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    newest = _newest(session, dag_id)
    dag = _kept.get(session, dag_id, newest) if newest else None
    if newest is None or dag is None:
        raise DagNotFound(f"Dag id {dag_id} not found")
    if newest.run_types is not None and DagRunType.MANUAL not in newest.run_types:
        raise ValueError(f"Dag with dag_id: '{dag_id}' does not allow {DagRunType.MANUAL} runs")
    after = pendulum.instance(run_after or datetime.now(timezone.utc))
    return dag.create_dagrun(
        run_id=run_id or dag.timetable.generate_run_id(run_type=DagRunType.MANUAL, run_after=after, data_interval=None),
        run_after=after,
        conf=conf,
        run_type=DagRunType.MANUAL,
        triggered_by=source,
        triggering_user_name=user,
        state=DagRunState.QUEUED,
        session=session,
    )


def _newest(session: Session, dag_id: str) -> _Newest | None:
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.serialized_dag import SerializedDagModel
    from sqlalchemy import select

    query = (
        select(SerializedDagModel.dag_version_id, SerializedDagModel.dag_hash, DagModel.allowed_run_types)
        .join(DagVersion, SerializedDagModel.dag_version_id == DagVersion.id)
        .join(DagModel, DagModel.dag_id == DagVersion.dag_id)
        .where(DagVersion.dag_id == dag_id)
        .order_by(DagVersion.version_number.desc())
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    return _Newest(str(row[0]), row[1], row[2]) if row else None
