"""What is needed: files that confs of runs in Airflow's list, or schedules, name; and the versions of these runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.job_templates import before_templates
from cwl_ui_plugin.dags.names import BUNDLE
from cwl_ui_plugin.library.errors import DamagedManifest, UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.revisions import Revision, digest_of_revision
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import is_dag_id
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.inputs.access import named_paths

if TYPE_CHECKING:
    from sqlalchemy import Executable

log = logging.getLogger(__name__)
READ_AT_ONCE = 200
"""Confs that are in memory at a time: each may have some megabytes."""
MAX_REMEMBERED = 10_000
Version = tuple[str, str]
"""dag_id and digest."""


def named_by_runs(folders: Collection[Path]) -> set[Path]:
    """Return which folders the conf of a run in Airflow's list names, or a file in them, or a folder that they are in.

    So do the jobs of schedules, also of those that such runs were started by; of a template counts what is before it.
    And the jobs of rows of batches whose runs have not begun: what has begun meanwhile is in the list, read after them.
    Paths count as they are written and with their links resolved. ``folders`` have no links in them.
    """
    if not folders:
        return set()
    inside, above = set(folders), _by_folder_above(folders)
    found: set[Path] = set()
    real = lru_cache(maxsize=MAX_REMEMBERED)(_real)
    for conf in chain(_scheduled_jobs(), _waiting_jobs(), _confs()):
        for path in _paths(conf, real):
            found |= above.get(path, set())
            found.update(folder for folder in (path, *path.parents) if folder in inside)
    return found


def _by_folder_above(folders: Collection[Path]) -> dict[Path, set[Path]]:
    above: dict[Path, set[Path]] = {}
    for folder in folders:
        for parent in folder.parents:
            above.setdefault(parent, set()).add(folder)
    return above


def _paths(conf: object, real: Callable[[Path], Path]) -> Iterator[Path]:
    """Yield what a conf names, with and without links; whatever it looks like."""
    base = config.inputs_folder()
    for path in named_paths(conf):
        try:
            written = Path(os.path.normpath(base / path))
            yield written
            yield _real(real(written.parent) / written.name)
        except (OSError, ValueError):
            continue


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _confs() -> Iterator[object]:
    """Yield the confs of all runs in Airflow's list, a part at a time."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    last = -1
    while True:
        query = select(DagRun.id, DagRun.conf).where(DagRun.id > last).order_by(DagRun.id).limit(READ_AT_ONCE)
        with create_session(scoped=False) as session:
            rows = session.execute(query).all()
        yield from (conf for _id, conf in rows if conf)
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1][0]


def _waiting_jobs() -> Iterator[object]:
    """Yield the jobs of rows of batches that have no run, or not yet, a part at a time."""
    from sqlalchemy import select, tuple_

    from cwl_ui_plugin.reports.batch_tables import BatchRowRecord as Row

    last = ("", 0)
    while True:
        query = (
            select(Row.batch_id, Row.number, Row.job)
            .where(tuple_(Row.batch_id, Row.number) > last, Row.state.in_(("pending", "refused", "stopped")))
            .order_by(Row.batch_id, Row.number)
            .limit(READ_AT_ONCE)
        )
        rows = _rows(query)
        yield from (json.loads(row.job) for row in rows)
        if len(rows) < READ_AT_ONCE:
            return
        last = (rows[-1].batch_id, rows[-1].number)


def _scheduled_jobs() -> list[object]:
    """Return the jobs of schedules that workflows have, and of those that runs in Airflow's list were started by.

    These are all that a workflow ever had where a manifest does not tell by which: it is damaged.
    """
    store = site_store()
    revisions = set(store.manifest().items())
    pins, damaged = _pins(), set()
    for name in {name for _dag_id, name in pins}:
        manifest = _manifest(store, name)
        if manifest is None:
            damaged.add(name)
        else:
            revisions.update(manifest.items())
    wanted = {(dag_id, Revision.parse(text).schedule) for dag_id, text in revisions}
    for dag_id in {dag_id for dag_id, name in pins if name in damaged and is_dag_id(dag_id)}:
        wanted |= {(dag_id, digest) for digest in store.schedules(dag_id).digests()}
    jobs = []
    for dag_id, digest in wanted:
        if digest is not None:
            with suppress(UnknownSchedule, UnknownWorkflow):
                schedule = store.schedules(dag_id).kept(digest)
                jobs += [before_templates(schedule.job), _uploads_of(schedule)]
    return jobs


def _uploads_of(schedule: Schedule) -> list[object]:
    """Return the uploads that runs of a schedule may read, as a job names folders."""
    uploads = config.uploads_folder().resolve()
    return [{"location": root} for root in schedule.roots if Path(root).is_relative_to(uploads)]


def pinned_versions(store: WorkflowStore) -> set[Version]:
    """Return the versions that are needed: current ones, of runs in Airflow's list, of batches, and what starts next.

    A manifest may be of many workflows: of each run only its own counts. Where it is damaged, all of that workflow are.
    """
    pinned = set(_digests(store.manifest()).items()) | _versions_of_batches()
    manifests: dict[str, dict[str, str] | None] = {}
    for dag_id, name in _pins():
        if name not in manifests:
            manifests[name] = _digests_in(store, name)
        manifest = manifests[name]
        if manifest is None:
            pinned |= {(dag_id, digest) for digest in store.digests(dag_id)}
        elif dag_id in manifest:
            pinned.add((dag_id, manifest[dag_id]))
    return pinned


def _versions_of_batches() -> set[Version]:
    """Return the versions that rows of batches would use whose runs have not begun, or could be started again."""
    from sqlalchemy import select

    from cwl_ui_plugin.reports.batch_tables import BatchRecord

    return {(str(dag_id), str(digest)) for dag_id, digest in _rows(select(BatchRecord.dag_id, BatchRecord.version))}


def dags_in_use() -> set[str]:
    """Return the Dags of runs in Airflow's list, of batches and of presets."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    from cwl_ui_plugin.reports.batch_tables import BatchRecord
    from cwl_ui_plugin.reports.tables import PresetRow

    columns = (DagRun.dag_id, BatchRecord.dag_id, PresetRow.dag_id)
    return {str(dag_id) for column in columns for (dag_id,) in _rows(select(column).distinct())}


def pinned_manifests() -> set[str]:
    """Return the names of the manifests that runs, Dags and the bundle itself refer to."""
    return {name for _dag_id, name in _pins()} | _bundle_versions()


def known_manifests(store: WorkflowStore) -> set[str]:
    """Return the names of manifests by which Airflow knows a version that is still there: runs of it can be started.

    And of those which are damaged: somebody may have them in a backup.
    """
    from airflow.models.dag_version import DagVersion
    from sqlalchemy import select

    found = set()
    rows = select(DagVersion.dag_id, DagVersion.bundle_version).where(DagVersion.bundle_name == BUNDLE).distinct()
    for dag_id, name in _rows(rows):
        manifest = _digests_in(store, name) if name else {}
        if manifest is None or (dag_id in manifest and store.has_version(dag_id, manifest[dag_id])):
            found.add(name)
    return found


def _digests_in(store: WorkflowStore, name: str) -> dict[str, str] | None:
    manifest = _manifest(store, name)
    return None if manifest is None else _digests(manifest)


def _manifest(store: WorkflowStore, name: str) -> dict[str, str] | None:
    """Return a manifest; an empty one for one that is another bundle's, or was removed, None for a damaged one."""
    try:
        return store.kept_manifest(name)
    except UnknownWorkflow:
        return {}
    except DamagedManifest as error:
        log.warning("What the runs use that are pinned to it is kept, the rest is cleaned: %s", error)
        return None


def _digests(manifest: dict[str, str]) -> dict[str, str]:
    digests = ((dag_id, digest_of_revision(revision)) for dag_id, revision in manifest.items())
    return {dag_id: digest for dag_id, digest in digests if digest}


def _pins() -> set[tuple[str, str]]:
    """Return which Dag is needed of which version of a bundle."""
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import func, select

    used = select(TaskInstance.dag_version_id).where(TaskInstance.dag_version_id.is_not(None)).distinct()
    newest = select(func.max(DagVersion.version_number), DagVersion.dag_id).group_by(DagVersion.dag_id).subquery()
    version = select(DagVersion.dag_id, DagVersion.bundle_version).distinct()
    queries: list[Executable] = [
        select(DagRun.dag_id, DagRun.bundle_version).distinct(),
        version.join(DagRun, DagRun.created_dag_version_id == DagVersion.id),
        version.where(DagVersion.id.in_(used)),
        version.join(newest, (newest.c.dag_id == DagVersion.dag_id) & (newest.c[0] == DagVersion.version_number)).join(
            DagModel, (DagModel.dag_id == DagVersion.dag_id) & DagModel.is_stale.is_(False)
        ),
        select(DagModel.dag_id, DagModel.bundle_version).where(
            DagModel.bundle_name == BUNDLE, DagModel.is_stale.is_(False)
        ),
    ]
    return {(str(dag_id), str(name)) for query in queries for dag_id, name in _rows(query) if name}


def _bundle_versions() -> set[str]:
    from airflow.models.dagbundle import DagBundleModel
    from sqlalchemy import select

    return {str(name) for (name,) in _rows(select(DagBundleModel.version)) if name}


def _rows(query: Executable) -> list[Any]:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return list(session.execute(query))


def needed_since() -> float:
    """Return since when what was used may still be needed: the creation of the oldest run that may go on.

    That is one that has started and not ended, or whose intermediate files are there, so that its tasks can be cleared.
    Seconds since 1970; infinite where there is none.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from sqlalchemy import func, select

    unfinished = select(func.min(DagRun.run_after)).where(
        DagRun._state.in_([DagRunState.RUNNING, DagRunState.QUEUED]), DagRun.start_date.is_not(None)
    )
    times = [moment for (moment,) in _rows(unfinished)]
    times += _created(list(cleanup.runs_with_folders()))
    return min((moment.timestamp() for moment in times if moment), default=float("inf"))


def _created(runs: list[cleanup.Run]) -> Iterable[datetime | None]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func, select, tuple_

    for start in range(0, len(runs), READ_AT_ONCE):
        asked = tuple_(DagRun.dag_id, DagRun.run_id).in_(runs[start : start + READ_AT_ONCE])
        yield from (moment for (moment,) in _rows(select(func.min(DagRun.run_after)).where(asked)))
