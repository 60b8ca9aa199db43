"""Removing, while a run goes on, its intermediate files that no task can read any more.

Airflow's database says which tasks have ended well; ``cwl.readers`` says what the others may read yet; and
``dags.folders.intermediate`` removes the rest so that a task that begins meanwhile finds all of its files, or is told.
What is not certain is kept: the end of the run removes it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl import task_names
from cwl_ui_plugin.cwl.files import local_paths
from cwl_ui_plugin.cwl.plan import read_plan, read_traits
from cwl_ui_plugin.cwl.readers import Batches, Flow, TaskNames, batches_in, flows, read_values, wanted
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.folders.intermediate import Live
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.handing_on import known_file, values_of
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.workflows.details import pinned_workflow

log = logging.getLogger(__name__)
TASK_NAMES = TaskNames(task_names.scatter_task, task_names.gather_task, task_names.inputs_task, names.GATHERER)
_PACE = 10
"""A run is looked at again after this many times the CPU time that a look takes: that is taken from the API server."""
_SUCCESS, _SKIPPED = "success", "skipped"
_ENDED_WELL = (_SUCCESS, _SKIPPED, "removed")
_ASKED_AT_ONCE = 200
MAX_LOOKED_AT = 64 * config.MEBIBYTE
"""Bytes of values that are looked at while a run goes on, again and again: they name some 200,000 files."""
Run = tuple[str, str]
HandedOn = dict[tuple[str, int], object]
"""By task and map index, what it has handed on."""


class Instance(NamedTuple):
    """A task instance that ended well."""

    task_id: str
    map_index: int
    try_number: int
    state: str


@dataclass(frozen=True)
class Standing:
    """How the tasks of a run stand: the instances that ended well, and the map indices of the others by task."""

    version: str | None
    ended: frozenset[Instance]
    unended: dict[str, list[int]]


@dataclass
class _Look:
    """What is known of a run from the last look: ``emptied`` are instances that have nothing left to remove."""

    ended: int = -1
    not_before: float = 0.0
    emptied: set[Instance] = field(default_factory=set)
    has_complained: bool = False


class UnreadFiles:
    """Looks at the runs that go on, again and again."""

    def __init__(self) -> None:
        self._looks: dict[Run, _Look] = {}

    def remove(self) -> int:
        """Remove what nobody can read any more; return how many files and folders."""
        if config.flag("keep_intermediate"):
            return 0
        running = dict(_running())
        self._looks = {run: self._looks.get(run, _Look()) for run in running}
        return sum(self._looked_at(run, ended) for run, ended in running.items())

    def _looked_at(self, run: Run, ended: int) -> int:
        look, began = self._looks[run], time.thread_time()
        if look.ended == ended or time.monotonic() < look.not_before or run_folder.real_run_tmp(*run) is None:
            return 0
        try:
            removed = _Removal(run, look.emptied).remove()
        except (OSError, ValueError, LibraryError) as error:
            if not look.has_complained:
                log.warning("Intermediate files of the run %s of %s stay until it has ended: %s", run[1], run[0], error)
            look.has_complained, removed = True, 0
        if removed is not None:
            look.ended = ended
        look.not_before = time.monotonic() + _PACE * (time.thread_time() - began)
        return removed or 0


class _Removal:
    """One look at one run."""

    def __init__(self, run: Run, emptied: set[Instance]) -> None:
        self._run = run
        self._emptied = emptied
        self._standing = standing_of(run)
        self._flow = _flow(run[0], self._standing.version)

    def remove(self) -> int | None:
        """Remove what nobody can read; return how many files and folders, or None where something came between."""
        ended = sorted(one for one in self._standing.ended - self._emptied if one.task_id in self._flow)
        tries = {one: place for one in ended if (place := intermediate.place_of_try(self._try(one)))}
        if not tries:
            return 0
        dead = self._dead(tries)
        removed = self._put_aside(dead, tries) if dead else 0
        for one, place in tries.items():
            intermediate.empty_bins(place)
            if removed is not None and not intermediate.has_folders(place):
                self._emptied.add(one)
        return removed

    def _dead(self, tries: dict[Instance, Place]) -> dict[Instance, list[str]]:
        live = self._live()
        found = {
            one: intermediate.dead_parts(place, self._try(one), live, partial(self._handed_on_by, one))
            for one, place in tries.items()
        }
        return {one: parts for one, parts in found.items() if parts}

    def _put_aside(self, dead: dict[Instance, list[str]], tries: dict[Instance, Place]) -> int | None:
        """Rename what is dead, if what was found when it was looked for still holds for every task."""
        moved = 0
        with intermediate.removing(*self._run) as holds:
            if not self._still_holds():
                return None
            for one, parts in dead.items():
                if not holds():
                    return None
                moved += intermediate.put_aside(tries[one], parts)
        return moved

    def _still_holds(self) -> bool:
        """Whether all that had ended well has, and no process of it is left; what has ended since reads nothing."""
        now = standing_of(self._run)
        ended = {(one.task_id, one.map_index) for one in self._standing.ended}
        leases = run_folder.leases(*self._run)
        is_left = any(
            lease.host == run_folder.UNKNOWN_HOST or (lease.task_id, lease.map_index) in ended for lease in leases
        )
        return now.version == self._standing.version and now.ended >= self._standing.ended and not is_left

    def _live(self) -> Live:
        """Return the files that may be read yet. Raise :class:`ValueError` where that can't be told."""
        paths = (path for _maker, path in read_yet(self._run, self._standing, self._flow, MAX_LOOKED_AT))
        named = run_folder.run_tmp(*self._run)
        return Live(run_folder.real_run_tmp(*self._run) or named, paths, named)

    def _handed_on_by(self, one: Instance) -> object:
        return dict(_handed_on(self._run, [one.task_id], MAX_LOOKED_AT)).get(one[:2])

    def _try(self, one: Instance) -> TaskTry:
        return TaskTry(*self._run, one.task_id, one.map_index, one.try_number)


def read_yet(
    run: Run, standing: Standing, flow: Mapping[str, Flow], most: float = math.inf
) -> Iterator[tuple[tuple[str, int], Path]]:
    """Yield the files that tasks which have not ended well may read, each with the instance that has handed it on.

    Raise :class:`ValueError` where that can't be told, or a value of theirs has more than ``most`` bytes.
    """
    unended = {task: standing.unended.get(task) for task in flow}
    known = {one.task_id for one in standing.ended}
    waiting = {task: indices or [-1] for task, indices in unended.items() if indices is not None or task not in known}
    read = wanted(flow, waiting, partial(batches_of, run))
    makers = {task for task, found in flow.items() if not found.makes.isdisjoint(read)}
    handed_on: HandedOn = dict(_handed_on(run, sorted(makers), most))
    for ended in standing.ended:
        if ended.task_id in makers and ended.state == _SUCCESS and ended[:2] not in handed_on:
            raise ValueError(f"what {ended.task_id} has handed on is not known")
    for one, value in handed_on.items():
        for found in read_values(value, flow[one[0]].makes, read):
            yield from ((one, path) for path in local_paths(found))


def batches_of(run: Run, scatter: str) -> Batches:
    """Return how the task ``scatter`` has divided the elements of its step; nothing where that is not known."""
    return batches_in(dict(_handed_on(run, [scatter])).get((scatter, -1)))


@lru_cache(maxsize=64)
def _flow_of(compiled: Path) -> dict[str, Flow]:
    """Return who reads what in a compiled workflow; nothing where its files may not be removed before the end."""
    plan = read_plan(compiled)
    return {} if plan.is_tool or read_traits(compiled).changes_in_place else flows(plan, TASK_NAMES)


def _flow(dag_id: str, bundle_version: str | None) -> dict[str, Flow]:
    """Return who reads what in a run; nothing for one of a Dag file of a user's, whose tasks may change under it."""
    version = pinned_workflow(dag_id, bundle_version)
    return _flow_of(version.compiled) if version else {}


def _running() -> Iterator[tuple[Run, int]]:
    """Yield the runs that go on and have files, with the number of their task instances that ended well.

    Of all other runs of the site, however many tasks they have, only the names are looked at.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Task
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import func, select, tuple_

    going_on = select(DagRun.dag_id, DagRun.run_id).where(DagRun.state == DagRunState.RUNNING)
    counted = (
        select(Task.dag_id, Task.run_id, func.count())
        .where(Task.state.in_(_ENDED_WELL))
        .group_by(Task.dag_id, Task.run_id)
    )
    with create_session(scoped=False) as session:
        runs = [(dag_id, run_id) for dag_id, run_id in session.execute(going_on)]
    runs = [run for run in runs if run_folder.run_tmp(*run).exists()]
    for start in range(0, len(runs), _ASKED_AT_ONCE):
        asked = runs[start : start + _ASKED_AT_ONCE]
        with create_session(scoped=False) as session:
            rows = session.execute(counted.where(tuple_(Task.dag_id, Task.run_id).in_(asked))).all()
        yield from (((dag_id, run_id), ended) for dag_id, run_id, ended in rows)


def standing_of(run: Run) -> Standing:
    """Return how the tasks of a run stand, as Airflow's database has it."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Task
    from airflow.utils.session import create_session
    from sqlalchemy import select

    of_run = select(DagRun.bundle_version).where(DagRun.dag_id == run[0], DagRun.run_id == run[1])
    tasks = select(Task.task_id, Task.map_index, Task.try_number, Task.state)
    with create_session(scoped=False) as session:
        version = session.scalar(of_run)
        rows = session.execute(tasks.where(Task.dag_id == run[0], Task.run_id == run[1])).all()
    instances = [Instance(row.task_id, row.map_index, row.try_number, str(row.state)) for row in rows]
    unended: dict[str, list[int]] = {}
    for one in instances:
        if one.state not in _ENDED_WELL:
            unended.setdefault(one.task_id, []).append(one.map_index)
    return Standing(version, frozenset(one for one in instances if one.state in _ENDED_WELL), unended)


def _handed_on(run: Run, tasks: list[str], most: float = math.inf) -> Iterator[tuple[tuple[str, int], object]]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(XComModel.task_id, XComModel.map_index, XComModel.value).where(
        XComModel.dag_id == run[0], XComModel.run_id == run[1], XComModel.key == names.RETURN_KEY
    )
    for start in range(0, len(tasks), _ASKED_AT_ONCE):
        asked = tasks[start : start + _ASKED_AT_ONCE]
        with create_session(scoped=False) as session:
            rows = session.execute(query.where(XComModel.task_id.in_(asked))).all()
        for row in rows:
            xcom = XComModel.deserialize_value(row)
            known = known_file(xcom)
            if known is not None and known.size > most:
                raise ValueError(f"what {row.task_id} has handed on names too many files")
            yield (row.task_id, row.map_index), values_of(run, xcom)


_FILES = UnreadFiles()


def remove_unread() -> int:
    """Do one round; return how many files and folders were removed."""
    return _FILES.remove()
