"""Presets: saved, listed, changed, deleted.

Nobody's rights are looked at but these: a preset that is not shared is there for its owner alone, and who may not
change all of them (``may_change_all``) changes their own. What a preset names is not checked: that is done when a run
starts with it, with the rights of whoever starts it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.database import in_session, written
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotAllowed, NotFound, Unavailable
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.presets.kept_jobs import fitted_job, kept_job
from cwl_ui_plugin.services.presets.models import FittedPreset, Preset, PresetSummary, SavedPreset
from cwl_ui_plugin.services.presets.names import checked_name, name_key
from cwl_ui_plugin.services.stored_workflows import stored

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Row
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.reports.tables import PresetRow

T = TypeVar("T")
MAX_PRESETS = 200
"""Most presets that a user has of a workflow, shared ones included."""
NOT_YOURS = (
    "This preset is shared by {owner}: they change it, and whoever may edit the Dag of the workflow. "
    "Save it under a name of your own instead."
)
CHANGED = "The preset was changed, or deleted, by somebody meanwhile. Look at it, and try again."
MAX_LISTED = 1000


@dataclass(frozen=True)
class Changes:
    """What is to be changed of a preset; None leaves it as it is. ``version`` is what ``job`` was written for."""

    name: str | None = None
    is_shared: bool | None = None
    job: Mapping[str, object] | None = None
    version: str | None = None


def list_presets(dag_id: str, user: str) -> tuple[PresetSummary, ...]:
    """Return the presets of a workflow that a user has, their own first, by name."""
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import PresetRow

    columns = [getattr(PresetRow, item.name) for item in fields(PresetSummary)]
    query = select(*columns).where(PresetRow.dag_id == dag_id, _is_seen_by(user))
    query = query.order_by(PresetRow.is_shared, PresetRow.name).limit(MAX_LISTED)
    found = in_session(lambda session: [_summary(row) for row in session.execute(query)])
    return tuple(sorted(found, key=lambda item: (item.is_shared, item.name.casefold(), item.name)))


def get_preset(dag_id: str, preset_id: str, user: str) -> Preset:
    """Return a preset; raise :class:`NotFound` where the user has none of that id."""
    return in_session(lambda session: _preset(_row(session, dag_id, preset_id, user)))


def fitted(preset: Preset, version: str | None = None) -> FittedPreset:
    """Return a preset for a version of its workflow, the current one by default; raise :class:`NotFound`."""
    wanted = stored(preset.dag_id, version)
    if wanted.digest == preset.version:
        job, left_out = fitted_job(preset.job, wanted.plan, wanted.plan)
    else:
        job, left_out = fitted_job(preset.job, _plan_of(preset), wanted.plan)
    return FittedPreset(**{**vars(preset), "job": job}, fitted_to=wanted.digest, left_out=left_out)


def save_preset(
    dag_id: str,
    name: str | None,
    job: Mapping[str, object],
    *,
    user: str,
    is_shared: bool = False,
    version: str | None = None,
) -> SavedPreset:
    """Keep inputs under a name, for the user or for all who may run the workflow.

    ``version`` is that which they were written for, the current one by default.

    Raises:
        BadRequest: the name can't be one, or the inputs can't be kept.
        TooLarge: the inputs are too large.
        Conflict: there is a preset of that name, or the user has too many.
        NotFound: no such workflow or version.

    """
    plain, workflow = checked_name(name), stored(dag_id, version)
    text, not_kept = kept_job(job, workflow.plan)

    def write(session: Session) -> Preset:
        _check_count(session, dag_id, user)
        row = _new_row(dag_id, plain, text, user=user, is_shared=is_shared, version=workflow.digest)
        session.add(row)
        _flush(session, plain)
        return _preset(row)

    saved = _written(write, f"the preset {plain!r}")
    _check_still_there(dag_id)
    return SavedPreset(saved, not_kept)


def _new_row(dag_id: str, name: str, job: str, *, user: str, is_shared: bool, version: str) -> PresetRow:
    from cwl_ui_plugin.reports.tables import PresetRow

    now = datetime.now(timezone.utc)
    return PresetRow(
        id=uuid.uuid4().hex,
        dag_id=dag_id,
        name_key=name_key(dag_id, None if is_shared else user, name),
        name=name,
        is_shared=is_shared,
        owner=user,
        version=version,
        job=job,
        created_at=now,
        updated_at=now,
        updated_by=user,
    )


def change_preset(
    dag_id: str,
    preset_id: str,
    changes: Changes,
    *,
    user: str,
    may_change_all: bool = False,
    revision: int | None = None,
) -> SavedPreset:
    """Change a preset. ``revision`` is that which the user has seen: what was changed since is not overwritten.

    Raises:
        NotFound: the user has no such preset, or no such version of the workflow is there.
        NotAllowed: it is somebody else's.
        BadRequest: the name can't be one, or the inputs can't be kept.
        TooLarge: the inputs are too large.
        Conflict: there is a preset of that name, or it was changed meanwhile.

    """
    name = None if changes.name is None else checked_name(changes.name)
    workflow = None if changes.job is None else stored(dag_id, changes.version)
    kept = None if changes.job is None or workflow is None else kept_job(changes.job, workflow.plan)

    def write(session: Session) -> Preset:
        row = _row(session, dag_id, preset_id, user, lock=True)
        _check_may_change(row, user, may_change_all)
        _check_revision(row, revision)
        row.name = row.name if name is None else name
        row.is_shared = row.is_shared if changes.is_shared is None else changes.is_shared
        row.name_key = name_key(dag_id, None if row.is_shared else row.owner, row.name)
        if kept is not None and workflow is not None:
            row.job, row.version = kept[0], workflow.digest
        row.updated_at, row.updated_by = datetime.now(timezone.utc), user
        _flush(session, row.name)
        return _preset(row)

    changed = _written(write, f"the preset {preset_id}")
    return SavedPreset(changed, kept[1] if kept else ())


def delete_preset(dag_id: str, preset_id: str, *, user: str, may_change_all: bool = False) -> None:
    """Delete a preset; raise :class:`NotFound` or :class:`NotAllowed`."""

    def write(session: Session) -> None:
        row = _row(session, dag_id, preset_id, user, lock=True)
        _check_may_change(row, user, may_change_all)
        session.delete(row)

    _written(write, f"deleting the preset {preset_id}")


def forget_workflow(dag_id: str) -> None:
    """Delete all presets of a workflow that was deleted."""
    from sqlalchemy import delete

    from cwl_ui_plugin.reports.tables import PresetRow

    query = delete(PresetRow).where(PresetRow.dag_id == dag_id)
    written(lambda session: session.execute(query), f"the presets of {dag_id}")


# --- what is checked


def _check_count(session: Session, dag_id: str, user: str) -> None:
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import PresetRow

    query = select(func.count()).select_from(PresetRow).where(PresetRow.dag_id == dag_id, PresetRow.owner == user)
    if (session.scalar(query) or 0) >= MAX_PRESETS:
        raise Conflict(f"You have {MAX_PRESETS} presets of this workflow. Delete some first.")


def _check_may_change(row: PresetRow, user: str, may_change_all: bool) -> None:
    if row.owner != user and not may_change_all:
        raise NotAllowed(NOT_YOURS.format(owner=row.owner))


def _check_revision(row: PresetRow, revision: int | None) -> None:
    if revision is not None and row.revision != revision:
        raise Conflict(CHANGED)


def _check_still_there(dag_id: str) -> None:
    """Keep no preset of a workflow that was deleted meanwhile: whoever deletes one looks for presets afterwards."""
    try:
        stored(dag_id)
    except NotFound:
        forget_workflow(dag_id)
        raise


# --- the store and the database


def _plan_of(preset: Preset) -> Plan | None:
    """Return the plan that a preset was saved for; None where that version is gone."""
    try:
        return stored(preset.dag_id, preset.version).plan
    except (NotFound, BadRequest, Unavailable):
        return None


def _is_seen_by(user: str) -> ColumnElement[bool]:
    from sqlalchemy import or_

    from cwl_ui_plugin.reports.tables import PresetRow

    return or_(PresetRow.is_shared.is_(True), PresetRow.owner == user)


def _row(session: Session, dag_id: str, preset_id: str, user: str, *, lock: bool = False) -> PresetRow:
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import PresetRow

    query = select(PresetRow).where(PresetRow.id == preset_id, PresetRow.dag_id == dag_id, _is_seen_by(user))
    row = session.scalar(query.with_for_update() if lock else query) if "\0" not in preset_id else None
    if row is None:
        raise NotFound(f"You have no preset {preset_id[:40]!r} of the workflow {dag_id!r}.")
    return row


def _preset(row: PresetRow) -> Preset:
    return Preset(**vars(_summary(row)), job=json.loads(row.job))


def _summary(row: PresetRow | Row[object]) -> PresetSummary:
    values = {item.name: getattr(row, item.name) for item in fields(PresetSummary)}
    times = {name: iso(values[name]) for name in ("created_at", "updated_at")}
    return PresetSummary(**{**values, **times})


def _flush(session: Session, name: str) -> None:
    """Write a preset; raise :class:`Conflict` if there is another of its name."""
    from sqlalchemy.exc import IntegrityError

    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is a preset {name!r} already. Choose another name, or update that one.") from error


def _written(write: Callable[[Session], T], what: str) -> T:
    """Return what ``write`` returns; SQLAlchemy compares the revision that was read with that which is overwritten."""
    from sqlalchemy.orm.exc import StaleDataError

    try:
        return written(write, what)
    except StaleDataError as error:
        raise Conflict(CHANGED) from error
