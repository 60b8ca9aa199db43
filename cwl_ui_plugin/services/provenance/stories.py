"""Where a file comes from and where it went: the runs that made it and those that used it, by what is noted of them.

Two files are the same if they have the same checksum. Where one of them has none yet, or is too large to be read for
it, they are the same if they are at the same place. Whoever asks learns of runs only that they may see. Of a file that
they may not open they learn nothing by its content, not even that it is the same as theirs: it is the same as what is
at its place, which the jobs of these runs tell them anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.tables import NotedRun, RunFile, RunKey
from cwl_ui_plugin.services import labelling
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring.queries import find_run
from cwl_ui_plugin.services.provenance.run_files import IN, OUT, key_of

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

MAX_USES = 50
"""Runs that are told of a file in each direction, the newest first."""
MAX_PAGE = 100
_READ_AT_MOST = 5000
WAITING, NOTED, PARTLY = "waiting", "noted", "partly"


@dataclass(frozen=True)
class Use:
    """A run that a file was given to, or that has made it: as its input or output ``port``, where it was ``name``."""

    dag_id: str
    run_id: str
    port: str
    name: str
    ended_at: str | None
    title: str | None = None


@dataclass(frozen=True)
class FileStory:
    """A file of a run: which runs made it, which used it. ``is_cut``: there are more than are told.

    ``size`` and ``checksum`` are None where they are not known, or not for whoever asks. ``is_read_later`` tells that
    the checksum will be known.
    """

    direction: str
    port: str
    name: str
    size: int | None
    checksum: str | None
    made_by: tuple[Use, ...] = ()
    used_by: tuple[Use, ...] = ()
    is_cut: bool = False
    is_read_later: bool = False


@dataclass(frozen=True)
class RunStories:
    """The files of a run. ``state`` is waiting before they are noted, and partly where not all of them are."""

    state: str
    files: tuple[FileStory, ...]
    total: int


@dataclass(frozen=True)
class _Known:
    """What is known of a file: ``checksum`` only for those who may open it."""

    direction: str
    port: str
    name: str
    location_key: str
    size: int | None = None
    checksum: str | None = None
    is_read_later: bool = False


def stories_of_run(
    dag_id: str,
    run_id: str,
    access: InputAccess,
    readable: Collection[str],
    *,
    direction: str | None = None,
    offset: int = 0,
    limit: int = MAX_PAGE,
) -> RunStories:
    """Return a part of the files of a run with the runs that made and used them; raise :class:`NotFound`.

    ``readable`` are the dag_ids of Dags that whoever asks may see; of the run itself callers have asked.
    """
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        noted = _noted(session, run)
        if noted is None:
            return RunStories(WAITING, (), 0)
        where = [RunFile.run_key == run.id, *([RunFile.direction == direction] if direction else [])]
        total = session.scalar(select(func.count()).select_from(RunFile).where(*where)) or 0
        page = select(RunFile).where(*where).order_by(RunFile.number).offset(offset).limit(min(limit, MAX_PAGE))
        known = [_known(row, access) for row in session.scalars(page)]
        uses = _uses(session, known, readable)
    stories = tuple(_story(file, uses, access) for file in known)
    return RunStories(NOTED if noted.is_whole else PARTLY, stories, total)


def story_of_file(
    dag_id: str,
    run_id: str,
    direction: str,
    location: str,
    name: str,
    access: InputAccess,
    readable: Collection[str],
) -> tuple[FileStory, bool]:
    """Return the story of the file of a run at a location, and whether it is noted; raise :class:`NotFound`."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        where = (RunFile.run_key == run.id, RunFile.direction == direction, RunFile.location_key == key_of(location))
        of_run = select(RunFile).join(NotedRun, NotedRun.run_key == RunFile.run_key).where(NotedRun.run_id == run_id)
        row = session.scalars(of_run.where(*where).limit(1)).first()
        known = _known(row, access) if row is not None else _Known(direction, "", name, key_of(location))
        uses = _uses(session, [known], readable)
    return _story(known, uses, access), row is not None


def is_noted(dag_id: str, run_id: str) -> bool:
    """Whether the files of a run are noted, as it ended last; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        return _noted(session, run) is not None


def _noted(session: Session, run: DagRun) -> NotedRun | None:
    noted = session.get(NotedRun, run.id)
    return noted if noted and (noted.run_id, noted.noted_end) == (run.run_id, run.end_date) else None


def _known(row: RunFile, access: InputAccess) -> _Known:
    is_open = _is_open(row, access)
    size, checksum = (row.size, row.checksum) if is_open else (None, None)
    return _Known(row.direction, row.port, row.name, row.location_key, size, checksum, row.waits and is_open)


def _uses(session: Session, files: Sequence[_Known], readable: Collection[str]) -> list[tuple[RunFile, Use]]:
    """Return the files of all readable runs that may be one of these, the newest runs first."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    query = (
        select(RunFile, DagRun.dag_id, DagRun.run_id, DagRun.end_date)
        .join(NotedRun, NotedRun.run_key == RunFile.run_key)
        .join(DagRun, _is_of(DagRun))
        .where(DagRun.dag_id.in_(readable), _may_be(files))
        .order_by(DagRun.id.desc(), RunFile.number)
        .limit(_READ_AT_MOST)
    )
    rows = [(file, (dag_id, run_id), ended) for file, dag_id, run_id, ended in session.execute(query)]
    labels = labelling.labels_of(session, {key for _file, key, _ended in rows})
    return [(file, _use(file, key, ended, labels.get(key))) for file, key, ended in rows]


def _is_of(run: type) -> ColumnElement[bool]:
    """Return the condition that files are those of a run as it ended: it may have been made anew, or cleared."""
    from sqlalchemy import and_

    same = ((NotedRun.run_key, "id"), (NotedRun.run_id, "run_id"), (NotedRun.dag_id, "dag_id"))
    return and_(NotedRun.noted_end == run.end_date, *(column == getattr(run, name) for column, name in same))  # type: ignore[attr-defined]


def _may_be(files: Iterable[_Known]) -> ColumnElement[bool]:
    from sqlalchemy import or_

    known = list(files)
    checksums = {file.checksum for file in known if file.checksum}
    return or_(RunFile.checksum.in_(checksums), RunFile.location_key.in_({file.location_key for file in known}))


def _use(file: RunFile, run: RunKey, ended: datetime | None, label: labelling.Label | None) -> Use:
    return Use(*run, file.port, file.name, iso(ended), label.title if label else None)


def _story(file: _Known, uses: Sequence[tuple[RunFile, Use]], access: InputAccess) -> FileStory:
    same = [(row, use) for row, use in uses if _is_same(file, row, access)]
    made = [use for row, use in same if row.direction == OUT]
    used = [use for row, use in same if row.direction == IN]
    return FileStory(
        file.direction,
        file.port,
        file.name,
        file.size,
        file.checksum,
        tuple(made[:MAX_USES]),
        tuple(used[:MAX_USES]),
        len(made) > MAX_USES or len(used) > MAX_USES or len(uses) == _READ_AT_MOST,
        file.is_read_later,
    )


def _is_same(file: _Known, row: RunFile, access: InputAccess) -> bool:
    if file.checksum and row.checksum and file.checksum != row.checksum:
        return False
    if file.location_key == row.location_key:
        return True
    return file.checksum is not None and file.checksum == row.checksum and _is_open(row, access)


def _is_open(row: RunFile, access: InputAccess) -> bool:
    """Whether somebody may open a file of a run that they may see."""
    return row.direction == OUT or (row.location.startswith("/") and access.allows(Path(row.location)))
