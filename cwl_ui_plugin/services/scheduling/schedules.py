"""Saving, pausing and removing the schedule of a workflow; and what becomes of it when the workflow changes.

Whatever is done here is one change of the store, made known to Airflow at once; if that fails, it is taken back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags import registration
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.access.schedule_grants import granted_roots
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.library.errors import LibraryError, NotCompiled, UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.schedules import MAX_BYTES, Schedule
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services import granting
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import Conflict, NotFound, NotVerified, ServiceError, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.inputs.use import note_use
from cwl_ui_plugin.services.scheduling.circles import check_no_circle
from cwl_ui_plugin.services.scheduling.given import given_roots
from cwl_ui_plugin.services.scheduling.jobs import check_example, example_of
from cwl_ui_plugin.services.scheduling.kinds import checked_settings, short_text
from cwl_ui_plugin.services.scheduling.timing import check_dates, timing_of
from cwl_ui_plugin.services.stored_workflows import library_errors

log = logging.getLogger(__name__)
SAVED, PAUSED, RESUMED, REMOVED, PROBLEM = (
    f"cwl_schedule_{what}" for what in ("saved", "paused", "resumed", "removed", "problem")
)
"""Events in Airflow's audit log."""
ONLY_SIGNED = (
    "Only signed runs are allowed here ([cwl] require_signed_conf). Airflow starts the runs of a schedule by itself, "
    "and nobody signs them: each would be refused. So no schedule can be saved."
)
MAX_PROBLEMS = 10


@dataclass(frozen=True)
class Wanted:
    """A schedule as somebody asks for it; see ``library.schedules.Schedule``."""

    kind: object
    settings: object
    job: dict[str, object] = field(default_factory=dict)
    timezone: Any = None
    start_date: Any = None
    catchup: bool = False
    is_paused: bool = False
    max_active_runs: Any = None


def find_schedule(dag_id: str) -> Schedule | None:
    """Return the schedule of a workflow, None if it has none; raise :class:`NotFound`, or :class:`Conflict`."""
    with _library_errors():
        store = _store()
        store.current(dag_id)
        return store.schedules(dag_id).current()


def current_digest(dag_id: str) -> str:
    """Return what names the schedule that a workflow has now; empty if it has none."""
    return _digest(dag_id) or ""


def draft(version: StoredVersion, wanted: Wanted, user: str) -> Schedule:
    """Return what is asked for as a schedule of a version; raise :class:`BadRequest` where it can't be one."""
    schedule = Schedule(
        kind=str(wanted.kind),
        settings=checked_settings(wanted.kind, wanted.settings),
        job=wanted.job,
        version=version.digest,
        saved_by=user,
        saved_at=_now(),
        timezone=wanted.timezone or None,
        start_date=wanted.start_date or None,
        catchup=bool(wanted.catchup),
        is_paused=bool(wanted.is_paused),
        max_active_runs=wanted.max_active_runs or None,
    )
    check_dates(schedule)
    timing_of(schedule)
    check_no_circle(version.dag_id, schedule)
    return schedule


def save(dag_id: str, wanted: Wanted, *, user: str, files: InputAccess, instead_of: str | None = None) -> Schedule:
    """Let a workflow have a schedule from now on, instead of the one that it has.

    Its runs may read what its job names and this user may use now (``files``). ``instead_of`` is the digest of the one
    that the user has seen, empty for none; None if that is not known.

    Raises:
        NotVerified: only signed runs are allowed.
        NotFound: there is no such workflow.
        BadRequest: the times can't be, or it would start itself for ever; ``field`` names what is wrong.
        InvalidJob: the job does not fit; one problem for each input or template.
        Conflict: somebody else has changed it meanwhile.
        Unavailable: Airflow does not take it; nothing has changed then.

    """
    if config.flag("require_signed_conf"):
        raise NotVerified(ONLY_SIGNED)
    with _library_errors():
        version = _store().current(dag_id)
        plan, before = version.plan, _digest(dag_id)
    if instead_of is not None and instead_of != (before or ""):
        raise _changed(dag_id)
    schedule = draft(version, wanted, user)
    if len(schedule.to_json().encode()) > MAX_BYTES:
        raise TooLarge(f"The job is too long for a schedule: up to {MAX_BYTES} bytes; give large data as files.")
    example = example_of(dag_id, schedule)
    note_use(example.job, files)
    check_example(dag_id, schedule, example, plan, files.rules(example.job))
    roots = tuple(str(root) for root in {*files.granted(example.job), *given_roots(schedule, files)})
    signed = _signed(dag_id, replace(schedule, roots=roots))
    _change(dag_id, signed, before, SAVED, user)
    follow_version(dag_id)  # there may be a new one meanwhile
    return signed


def pause(dag_id: str, is_paused: bool, *, user: str) -> Schedule:
    """Stop or go on starting runs; raise as :func:`save` does. What of its author its runs may read stays as it is."""
    schedule, before = _existing(dag_id), _digest(dag_id)
    if not is_paused and config.flag("require_signed_conf"):
        raise NotVerified(ONLY_SIGNED)
    if schedule.is_paused == is_paused:
        return schedule
    if not is_paused:
        check_no_circle(dag_id, schedule)
    changed = _resigned(dag_id, schedule, is_paused=is_paused, **({} if is_paused else {"saved_at": _now()}))
    _change(dag_id, changed, before, PAUSED if is_paused else RESUMED, user)
    return changed


def remove(dag_id: str, *, user: str) -> None:
    """Let a workflow have no schedule any more; runs on their way keep theirs. Raise as :func:`save` does."""
    with _library_errors():
        _store().current(dag_id)
        before = _digest(dag_id)
    if before is None:
        raise _none_of(dag_id)
    _change(dag_id, None, before, REMOVED, user)


def follow_version(dag_id: str) -> None:
    """Let the schedule of a workflow follow its current version, or say why it does not fit; Airflow is told by others.

    Until that is done it starts nothing. Nothing that goes wrong here keeps a new version from being used.
    """
    try:
        _follow(dag_id)
    except (ServiceError, LibraryError, OSError):
        log.exception("Whether the schedule of %s fits its current version can't be told; it starts nothing", dag_id)


def _follow(dag_id: str) -> None:
    store = _store()
    try:
        version, schedule = store.current(dag_id), store.schedules(dag_id).current()
    except (UnknownWorkflow, UnknownSchedule):
        return
    if schedule is None or schedule.version == version.digest:
        return
    problem = _misfit(dag_id, schedule, version)
    since = _now() if schedule.problem else schedule.saved_at  # no run of a time at which it started nothing
    changed = _resigned(dag_id, schedule, version=version.digest, problem=problem, saved_at=since)
    if store.set_schedule(dag_id, changed, instead_of=schedule.digest) and problem:
        _record(PROBLEM, dag_id, schedule.saved_by, {"problem": problem})


def _misfit(dag_id: str, schedule: Schedule, version: StoredVersion) -> str:
    """Return why the job of a schedule does not fit a version; nothing if it does."""
    try:
        rules = file_rules(granted_roots(dag_id, schedule))
        check_example(dag_id, schedule, example_of(dag_id, schedule), version.plan, rules)
    except (ServiceError, JobError) as error:
        shown = "; ".join(map(str, error.problems[:MAX_PROBLEMS]))
        return f"{error.message} {shown}".strip()
    except NotCompiled as error:
        return str(error)
    return ""


def _resigned(dag_id: str, schedule: Schedule, **changes: Any) -> Schedule:
    """Return a schedule with changes that concern no rights, signed anew; only one whose grant holds is."""
    try:
        granted_roots(dag_id, schedule)
    except JobError as error:
        changes = {**changes, "roots": (), "problem": error.message}
    return _signed(dag_id, replace(schedule, **changes))


def _signed(dag_id: str, schedule: Schedule) -> Schedule:
    from airflow.utils.session import create_session

    def sign() -> Schedule:
        with create_session(scoped=False) as session:
            return granting.sign_schedule(session, dag_id, schedule)

    return retry_on_database_lock(sign, f"the grant for the schedule of {dag_id}")


def _change(dag_id: str, schedule: Schedule | None, before: str | None, event: str, user: str) -> None:
    """Keep a change, tell Airflow, and write it into the audit log."""
    store = _store()
    with _library_errors():
        former = _former(store, dag_id, before)
        if not store.set_schedule(dag_id, schedule, instead_of=before):
            raise _changed(dag_id)
    try:
        if schedule and not schedule.is_paused:
            check_no_circle(dag_id, schedule)  # another part of the circle may have been saved meanwhile
        retry_on_database_lock(lambda: registration.register(dag_id), f"registering {dag_id}")
    except BaseException as error:
        with suppress(LibraryError):
            store.set_schedule(dag_id, former, instead_of=schedule.digest if schedule else None)
        if isinstance(error, RegistrationError):
            raise Unavailable(f"Airflow does not take this schedule: {error}") from error
        raise
    said = {"when": short_text(schedule.kind, schedule.settings)} if schedule else {}
    _record(event, dag_id, user, said)


def _former(store: WorkflowStore, dag_id: str, digest: str | None) -> Schedule | None:
    """Return the schedule that is replaced; None also for one that can't be read, which nobody wants back."""
    with suppress(UnknownSchedule):
        return store.schedules(dag_id).kept(digest) if digest else None
    return None


def _record(event: str, dag_id: str, user: str, extra: dict[str, str]) -> None:
    """Write a change into Airflow's audit log."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    def write() -> None:
        with create_session(scoped=False) as session:
            session.add(Log(event=event, dag_id=dag_id, owner=user, extra=json.dumps(extra)))

    retry_on_database_lock(write, f"the audit log of {dag_id}")


def _existing(dag_id: str) -> Schedule:
    schedule = find_schedule(dag_id)
    if schedule is None:
        raise _none_of(dag_id)
    return schedule


def _changed(dag_id: str) -> Conflict:
    return Conflict(f"The schedule of {dag_id!r} was changed by somebody else meanwhile. Look at it again.")


def _none_of(dag_id: str) -> NotFound:
    return NotFound(f"The workflow {dag_id!r} has no schedule.")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _digest(dag_id: str) -> str | None:
    return _store().schedules(dag_id).current_digest()


def _store() -> WorkflowStore:
    return site_store()


@contextmanager
def _library_errors() -> Iterator[None]:
    """Turn the store's errors into those of this layer, with what can be done about a schedule."""
    try:
        with library_errors():
            yield
    except UnknownSchedule as error:
        raise Conflict(f"{error} Or remove it.") from error
