"""Batches: made from a checked sheet, shown, and their failed rows started again. What starts runs is ``starts``.

A batch is there whole or not at all: its rows are kept in the transaction that makes it. Nothing here asks who is
calling; callers check the rights.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from cwl_ui_plugin import config
from cwl_ui_plugin.reports import loop
from cwl_ui_plugin.reports.batch_tables import BatchRecord, BatchRowRecord
from cwl_ui_plugin.reports.one_writer import keep_out_writers
from cwl_ui_plugin.services.batches import starts, states
from cwl_ui_plugin.services.batches.checking import JobSizes
from cwl_ui_plugin.services.batches.models import (
    Batch,
    BatchRow,
    CheckedRow,
    CheckedSheet,
    ColumnMapping,
    InvalidSheet,
)
from cwl_ui_plugin.services.batches.outputs import outputs
from cwl_ui_plugin.services.batches.records import audit, find
from cwl_ui_plugin.services.batches.stops import stop
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotAllowed
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.inputs.use import note_use
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.triggering.server_signing import check_signing
from cwl_ui_plugin.services.workflows.details import stored_version

__all__ = ["create", "find_request", "get", "list_of", "outputs", "retry", "rows", "stop"]

log = logging.getLogger(__name__)
T = TypeVar("T")
Start = Literal["all", "good"]
MAX_PAGE = 500
MAX_NAME = 100
MAX_ACTIVE = 1000
MAX_REQUEST = 200
MAX_NAMED = 10
"""Rows that a refusal names."""
_AT_ONCE = 500


def create(
    dag_id: str,
    version: str,
    checked: CheckedSheet,
    mapping: ColumnMapping,
    *,
    user: str,
    files: InputAccess,
    start: Start = "all",
    name: str = "",
    max_active: int | None = None,
    request: Request | None = None,
) -> Batch:
    """Make a batch of a checked sheet; its runs start in the background, with the file rights that ``files`` has now.

    ``version`` is the digest of the version that all of its runs use, whatever is uploaded later. With ``start`` as
    ``good`` rows with problems are left out, else they keep all from starting.

    Raises:
        InvalidSheet: rows have problems, or no row can start; nothing is kept.
        NotVerified: only signed runs are allowed, and the server can't sign.
        BadRequest: a name or a number that can't be.
        TooLarge: the jobs are too long together.
        Conflict: the request was another one before.

    """
    good = _startable(checked, start)
    check_signing()
    batch_id = uuid.uuid4().hex[:12]
    values = {"batch_id": batch_id, "dag_id": dag_id, "version": version, "user": user}
    asked = {"name": _checked_name(name), "max_active": _checked_max(max_active)}
    note_use({"rows": [row.job for row in good]}, files)
    made = _keep(
        {**values, **asked, **_new(checked, mapping, request)}, list(_records(batch_id, checked.rows)), request
    )
    if made == batch_id:
        _begin(batch_id)
    return get(dag_id, made)


def _new(checked: CheckedSheet, mapping: ColumnMapping, request: Request | None) -> dict[str, object]:
    """Return what is kept of the sheet and the request of each batch that is made now."""
    return {
        "total": len(checked.rows),
        "mapping": json.dumps({"paths": dict(mapping.paths), "name": mapping.name}),
        "created_at": datetime.now(timezone.utc),
        "is_open": True,
        "stop_asked": 0,
        "stop_done": 0,
        "request_key": request.key if request else None,
        "request_digest": request.digest if request else None,
    }


def _begin(batch_id: str) -> None:
    """Create the first run, so that Airflow keeps this version of the workflow; the loop goes on in any case."""
    try:
        starts.start_some(batch_id, most=1)
    except Exception:
        log.exception("The first run of the batch %s could not be created; it is tried again", batch_id)
    loop.wake()


class Request:
    """What a client calls its request (``Idempotency-Key``), and what it asks for; sent again, it makes no other."""

    def __init__(self, dag_id: str, user: str, name: str, content: Sequence[object]) -> None:
        if len(name) > MAX_REQUEST:
            raise BadRequest(f"The name of a request may have {MAX_REQUEST} characters.")
        self.key = _digest([dag_id, user, name])
        self.digest = _digest(list(content))


def find_request(request: Request) -> tuple[str, str] | None:
    """Return dag_id and id of the batch that a request has made before; raise :class:`Conflict` if it was another."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(BatchRecord).where(BatchRecord.request_key == request.key)
    with create_session(scoped=False) as session:
        record = session.scalar(query)
        if record is None:
            return None
        if record.request_digest != request.digest:
            raise Conflict(
                f"A request of this name has made the batch {record.batch_id}, of another sheet or with other "
                "settings. Give each request an Idempotency-Key of its own."
            )
        return record.dag_id, record.batch_id


def get(dag_id: str, batch_id: str) -> Batch:
    """Return a batch of a workflow; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        record = find(session, dag_id, batch_id)
        return states.batch_of(record, states.counts_of(session, [batch_id])[batch_id])


def list_of(dag_id: str, *, limit: int = 50, offset: int = 0) -> Page[Batch]:
    """Return the batches of a workflow, newest first."""
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    where = BatchRecord.dag_id == dag_id
    query = select(BatchRecord).where(where).order_by(BatchRecord.created_at.desc(), BatchRecord.batch_id)
    with create_session(scoped=False) as session:
        total = session.scalar(select(func.count()).select_from(BatchRecord).where(where)) or 0
        records = session.scalars(query.limit(max(0, min(limit, MAX_PAGE))).offset(max(0, offset))).all()
        counts = states.counts_of(session, [record.batch_id for record in records])
        return Page(tuple(states.batch_of(record, counts[record.batch_id]) for record in records), total)


def rows(
    dag_id: str,
    batch_id: str,
    *,
    wanted: Collection[str] = (),
    text: str = "",
    limit: int = 100,
    offset: int = 0,
) -> Page[BatchRow]:
    """Return rows of a batch in their order: those in ``wanted`` states (none: all), with ``text`` in their names.

    Raises:
        NotFound: no such batch.

    """
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    query = states.rows_query(batch_id)
    if wanted:
        query = query.where(states.shown_state().in_(list(wanted)))
    if text:
        query = query.where(BatchRowRecord.name.icontains(text, autoescape=True))
    with create_session(scoped=False) as session:
        record = find(session, dag_id, batch_id)
        version = stored_version(dag_id, record.version)
        total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
        found = session.execute(query.limit(max(0, min(limit, MAX_PAGE))).offset(max(0, offset))).all()
        return Page(states.rows_of(session, dag_id, version.plan if version else None, found), total)


def retry(dag_id: str, batch_id: str, *, user: str, files: InputAccess, numbers: Collection[int] | None = None) -> int:
    """Start rows again that have failed, were stopped or refused: each as a new run; return how many.

    The runs that they had stay as they are. The new ones use the same job, version and file rights, in the name of the
    batch's user. ``numbers`` are the rows to start again; None for all that did not succeed. ``files`` is what ``user``
    may use now: nobody starts rows again whose files they may not use, or not any more.

    Raises:
        NotFound: no such batch.
        NotAllowed: some of the rows use files that the user may not use; none is started.
        Conflict: it is being stopped.
        NotVerified: only signed runs are allowed, and the server can't sign.

    """
    check_signing()
    wanted = None if numbers is None else frozenset(numbers)
    barred = _barred(dag_id, batch_id, files)
    again = retry_on_database_lock(lambda: _retry(dag_id, batch_id, user, wanted, barred), f"the retry of {batch_id}")
    loop.wake()
    return again


def _barred(dag_id: str, batch_id: str, files: InputAccess) -> frozenset[int]:
    """Return the rows of a batch that read from folders which a user may not use. What a row has of these stays."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(BatchRowRecord.number, BatchRowRecord.roots).where(BatchRowRecord.batch_id == batch_id)
    with create_session(scoped=False) as session:
        find(session, dag_id, batch_id)
        found = session.execute(query).all()
    texts = {row.roots for row in found}
    closed = {text for text in texts if not all(_may_use(files, Path(root)) for root in json.loads(text))}
    return frozenset(row.number for row in found if row.roots in closed)


def _may_use(files: InputAccess, root: Path) -> bool:
    """Whether a user may use a folder; of one that is gone, the start of the row tells."""
    return files.allows(root) or not root.exists()


def _check_allowed(again: Sequence[int], barred: frozenset[int]) -> None:
    closed = [str(number) for number in again if number in barred]
    if closed:
        more = f" and {len(closed) - MAX_NAMED} more" if len(closed) > MAX_NAMED else ""
        raise NotAllowed(
            f"Nothing was started: you may not use the files of the rows {', '.join(closed[:MAX_NAMED])}{more}. They "
            "were sent by somebody else, or are outputs of workflows that you may not see. Whoever may use them can "
            "start these rows again; or name the other rows."
        )


def _retry(dag_id: str, batch_id: str, user: str, numbers: frozenset[int] | None, barred: frozenset[int]) -> int:
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session(scoped=False) as session:
        keep_out_writers(session)
        record = find(session, dag_id, batch_id, lock=True)
        if record.stop_asked > record.stop_done:
            raise Conflict(f"The batch {record.name!r} is being stopped. Start its rows again when that is done.")
        found = session.execute(states.rows_query(batch_id)).all()
        failed = [row.number for row in found if row.state in states.RETRIED]
        again = [number for number in failed if numbers is None or number in numbers]
        _check_allowed(again, barred)
        for some in _slices(again):
            session.execute(
                update(BatchRowRecord)
                .where(BatchRowRecord.batch_id == batch_id, BatchRowRecord.number.in_(some))
                .values(
                    state=states.PENDING,
                    attempt=BatchRowRecord.attempt + 1,
                    run_id=None,
                    run_key=None,
                    problems=None,
                )
            )
        if again:
            record.is_open, record.ended_at, record.problem = True, None, None
            record.stopped_by = record.stopped_at = None
            audit(session, record, "cwl_batch_retried", user, {"rows": len(again)})
        return len(again)


def _startable(checked: CheckedSheet, start: Start) -> tuple[CheckedRow, ...]:
    good, problems = checked.good, checked.problems
    if problems and start != "good":
        bad = len(checked.rows) - len(good)
        raise InvalidSheet(
            f"{bad} of {len(checked.rows)} rows can't start, so nothing was started. Correct them, or start the good "
            "ones alone.",
            problems,
            len(checked.rows),
        )
    if not good:
        raise InvalidSheet("No row of the sheet can start.", problems, len(checked.rows))
    return good


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if len(stripped) > MAX_NAME or not stripped.isprintable():
        raise BadRequest(f"The name of a batch is one line of {MAX_NAME} characters at most.", field="name")
    return stripped or f"Batch of {datetime.now(timezone.utc):%Y-%m-%d %H:%M}"


def _checked_max(wanted: int | None) -> int:
    if wanted is None:
        return min(config.batch_max_active(), MAX_ACTIVE)
    if not 1 <= wanted <= MAX_ACTIVE:
        raise BadRequest(f"max_active is how many runs there may be at a time, 1 to {MAX_ACTIVE}.", field="max_active")
    return wanted


def _records(batch_id: str, checked: Sequence[CheckedRow]) -> Iterator[dict[str, object]]:
    sizes = JobSizes()
    for row in checked:
        job = sizes.add(row.number, row.job) if not row.problems else "{}"
        problems = [problem.as_json() for problem in row.problems]
        yield {
            "batch_id": batch_id,
            "number": row.number,
            "name": row.name,
            "state": states.INVALID if problems else states.PENDING,
            "attempt": 1,
            "job": job,
            "roots": json.dumps([str(root) for root in row.roots]),
            "problems": json.dumps(problems, ensure_ascii=False) if problems else None,
        }


def _keep(batch: Mapping[str, object], found: list[dict[str, object]], request: Request | None) -> str:
    """Keep a batch with all of its rows; return its id, or that of the one that the same request has made meanwhile."""
    from sqlalchemy.exc import IntegrityError

    try:
        retry_on_database_lock(lambda: _insert(batch, found), f"the batch {batch['name']}")
    except IntegrityError:
        made = find_request(request) if request else None
        if made is None:
            raise
        return made[1]
    return str(batch["batch_id"])


def _insert(batch: Mapping[str, object], found: Sequence[dict[str, object]]) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    with create_session(scoped=False) as session:
        session.execute(insert(BatchRecord), [dict(batch)])
        for some in _slices(found):
            session.execute(insert(BatchRowRecord), some)
        record = session.get_one(BatchRecord, batch["batch_id"])
        audit(session, record, "cwl_batch_created", record.user, {"rows": record.total})


def _slices(items: Sequence[T]) -> Iterator[list[T]]:
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
