"""What people call a run besides its id: a title, tags, a note. The note is Airflow's own, the others are a table's.

Nothing here asks who is calling: callers check the rights.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cwl_ui_plugin.reports.stops import stop_line
from cwl_ui_plugin.reports.tables import RunKey, RunLabel
from cwl_ui_plugin.services.errors import BadRequest

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

MAX_TITLE = 200
MAX_TAGS = 20
MAX_TAG = 50
MAX_NOTE = 1000
"""As long as Airflow keeps one."""
_AT_ONCE = 200
_BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Controls, halves of characters, and what begins a new line."""


@dataclass(frozen=True)
class Label:
    """The title of a run, if it has one, and its tags."""

    title: str | None = None
    tags: tuple[str, ...] = ()


def label_run(session: Session, run: DagRun, title: str | None = None, tags: Sequence[str] = ()) -> Label:
    """Give a run a title and tags instead of those that it has; nothing takes them away.

    Raises:
        BadRequest: a title or tag is too long, has line breaks or, a tag, a comma; or there are too many tags.

    """
    label = Label(_checked_title(title), checked_tags(tags))
    row = session.get(RunLabel, (run.dag_id, run.run_id))
    if label == Label():
        if row is not None:
            session.delete(row)
        return label
    if row is None:
        row = RunLabel(dag_id=run.dag_id, run_id=run.run_id)
        session.add(row)
    row.run_key, row.title, row.tags = run.id, label.title, json.dumps(label.tags, ensure_ascii=False)
    now = datetime.now(timezone.utc)
    row.labelled_at = max(now, run.created_at or now)  # clocks of two machines differ
    return label


def write_note(run: DagRun, text: str, user: str | None = None) -> None:
    """Write Airflow's note of a run, instead of what it says; who stopped the run stays in it.

    Raises:
        BadRequest: it is too long.

    """
    lines = [line for line in (stop_line(run.note), text.strip().replace("\r\n", "\n")) if line]
    note = "\n".join(lines)
    if len(note) > MAX_NOTE:
        raise BadRequest(f"A note has {MAX_NOTE} characters at most; this one has {len(note)}.")
    if run.dag_run_note is None:
        if note:
            run.note = (note, user)
    else:
        run.dag_run_note.content, run.dag_run_note.user_id = note or None, user


def labels_of(session: Session, keys: Collection[RunKey]) -> dict[RunKey, Label]:
    """Return the labels of those of some runs that have any, with one query."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select, tuple_

    query = (
        select(RunLabel.dag_id, RunLabel.run_id, RunLabel.title, RunLabel.tags)
        .join(DagRun, labels_run())
        .where(tuple_(RunLabel.dag_id, RunLabel.run_id).in_(list(keys)))
    )
    return {
        (dag_id, run_id): Label(title, tuple(json.loads(tags)))
        for dag_id, run_id, title, tags in session.execute(query)
    }


def title_of(dag_id: str, run_id: str) -> str | None:
    """Return the title of a run; None where it has none, or is not there."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return labels_of(session, [(dag_id, run_id)]).get((dag_id, run_id), Label()).title


def labels_run() -> ColumnElement[bool]:
    """Return the condition that a label is of a run as it is, and not of an earlier one with its id."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import and_, or_

    return and_(
        RunLabel.dag_id == DagRun.dag_id,
        RunLabel.run_id == DagRun.run_id,
        RunLabel.run_key == DagRun.id,
        or_(DagRun.created_at.is_(None), RunLabel.labelled_at >= DagRun.created_at),
    )


def exists_label(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a run has a label of which something is true."""
    from sqlalchemy import exists

    return exists().where(labels_run(), condition)


def forget_gone() -> int:
    """Forget the labels of runs that are gone; return how many."""
    from airflow.utils.session import create_session
    from sqlalchemy import delete, exists, select, tuple_

    key = (RunLabel.dag_id, RunLabel.run_id)
    forgotten = 0
    while True:
        with create_session(scoped=False) as session:
            query = select(*key).where(~exists().where(labels_run()).correlate(RunLabel)).limit(_AT_ONCE)
            some = [tuple(row) for row in session.execute(query)]
            if some:
                session.execute(delete(RunLabel).where(tuple_(*key).in_(some)))
        forgotten += len(some)
        if len(some) < _AT_ONCE:
            return forgotten


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags without spaces around them, each once, in their order; raise :class:`BadRequest`."""
    found = tuple(dict.fromkeys(stripped for tag in tags if (stripped := tag.strip())))
    if len(found) > MAX_TAGS:
        raise BadRequest(f"A run has {MAX_TAGS} tags at most; these are {len(found)}.")
    for tag in found:
        if len(tag) > MAX_TAG or "," in tag or not is_line(tag):
            raise BadRequest(
                f"{tag[:MAX_TAG]!r} is no tag: it has {MAX_TAG} characters at most, no comma, and is one line."
            )
    return found


def _checked_title(title: str | None) -> str | None:
    stripped = (title or "").strip()
    if len(stripped) > MAX_TITLE or not is_line(stripped):
        raise BadRequest(f"A title is one line of {MAX_TITLE} characters at most.")
    return stripped or None


def is_line(text: str) -> bool:
    """Whether a text is one line of whole characters: a name, a title, a tag."""
    return not any(unicodedata.category(character) in _BREAKS for character in text)
