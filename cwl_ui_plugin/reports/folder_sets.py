"""Which runs were started by sets of files in watched folders."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.jobs.file_sets import RUN_PREFIX
from cwl_ui_plugin.reports.tables import RunKey

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def started_by_folders(session: Session, runs: Collection[RunKey]) -> frozenset[RunKey]:
    """Return those of some runs that a watched folder has started, with one query at most."""
    from sqlalchemy import select, tuple_

    from cwl_ui_plugin.reports.tables import FolderSet

    named = [(dag_id, run_id) for dag_id, run_id in runs if run_id.startswith(RUN_PREFIX)]
    if not named:
        return frozenset()
    query = select(FolderSet.dag_id, FolderSet.run_id).where(tuple_(FolderSet.dag_id, FolderSet.run_id).in_(named))
    return frozenset((dag_id, run_id) for dag_id, run_id in session.execute(query))
