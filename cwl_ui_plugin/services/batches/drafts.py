"""Sheets on their way to a batch: kept between the steps of the page, for the user who sent them, and for some days.

A draft is encrypted with Airflow's Fernet key, as its cells may be anything, and bounded: a user has a few. What is a
secret among the constants is not kept at all.
"""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.config import MEBIBYTE
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.batches.checking import check
from cwl_ui_plugin.services.batches.models import CheckedSheet, ColumnMapping, Sheet, SheetProblem, SheetRow
from cwl_ui_plugin.services.batches.paths import UnknownPlace, place_of
from cwl_ui_plugin.services.database import in_session, written
from cwl_ui_plugin.services.errors import NotFound, TooLarge
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.models import iso

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

MAX_DRAFTS = 5
"""Drafts that a user has, of all workflows together: the oldest makes room."""
MAX_BYTES = 32 * MEBIBYTE
KEPT_DAYS = 7
MAX_TITLE = 200
MAX_PROBLEMS = 2000
"""Problems that are kept of a check; rows that have any are all known."""


@dataclass(frozen=True)
class Findings:
    """What the last check of a draft has found; ``bad`` are the numbers of rows that can't start."""

    total: int = 0
    bad: tuple[int, ...] = ()
    problems: tuple[SheetProblem, ...] = ()
    problem_count: int = 0

    @property
    def good_count(self) -> int:
        """How many rows can start."""
        return self.total - len(self.bad)


@dataclass(frozen=True)
class Draft:
    """A sheet with what is filled in around it: which column gives what, what all rows have, and how it is to run."""

    dag_id: str
    owner: str
    title: str
    sheet: Sheet
    mapping: ColumnMapping
    constants: Mapping[str, object] = field(default_factory=dict)
    folder: str = ""
    name: str = ""
    max_active: int | None = None
    findings: Findings = Findings()
    id: str = ""
    kept_sheet: str = field(default="", compare=False, repr=False)
    """The sheet as the database has it: it never changes, and is encrypted once."""


@dataclass(frozen=True)
class DraftSummary:
    """A draft in a list."""

    id: str
    title: str
    updated_at: str | None


def create(draft: Draft) -> Draft:
    """Keep a new draft, and return it with its id; drafts that are too old or too many go.

    Raises:
        TooLarge: the sheet is larger than a draft may be.

    """
    made = replace(draft, id=uuid.uuid4().hex, title=draft.title[:MAX_TITLE], kept_sheet=_encoded_sheet(draft.sheet))
    content = _encoded(made)

    def write(session: Session) -> None:
        from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

        _make_room(session, made.owner)
        now = datetime.now(timezone.utc)
        row = BatchDraftRow(id=made.id, dag_id=made.dag_id, owner=made.owner, title=made.title, content=content)
        row.updated_at = now
        session.add(row)

    written(write, "the sheet")
    return made


def get(dag_id: str, draft_id: str, owner: str) -> Draft:
    """Return a draft of a user; raise :class:`NotFound`."""
    return in_session(lambda session: _decoded(_row(session, dag_id, draft_id, owner)))


def keep(draft: Draft, plan: Plan) -> None:
    """Keep what has changed of a draft, but for secrets; raise :class:`NotFound` if it is gone."""
    secrets = {item.id for item in plan.inputs if item.is_secret}
    plain = replace(draft, constants={name: value for name, value in draft.constants.items() if name not in secrets})
    content = _encoded(plain)

    def write(session: Session) -> None:
        row = _row(session, draft.dag_id, draft.id, draft.owner)
        row.content, row.updated_at = content, datetime.now(timezone.utc)

    written(write, f"the sheet {draft.title}")


def discard(dag_id: str, draft_id: str, owner: str) -> None:
    """Remove a draft of a user; one that is gone is no error."""
    from sqlalchemy import delete

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

    mine = (BatchDraftRow.id == draft_id, BatchDraftRow.dag_id == dag_id, BatchDraftRow.owner == owner)
    written(lambda session: session.execute(delete(BatchDraftRow).where(*mine)), "the sheet")


def list_of(dag_id: str, owner: str) -> tuple[DraftSummary, ...]:
    """Return the drafts of a user for a workflow, newest first."""
    from sqlalchemy import select

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow as Row

    query = select(Row.id, Row.title, Row.updated_at).where(Row.dag_id == dag_id, Row.owner == owner)
    query = query.where(Row.updated_at > _oldest()).order_by(Row.updated_at.desc()).limit(MAX_DRAFTS)
    found = in_session(lambda session: session.execute(query).all())
    return tuple(DraftSummary(row.id, row.title, iso(row.updated_at)) for row in found)


def fitting(draft: Draft, plan: Plan) -> Draft:
    """Return a draft without columns that give places, or constants for inputs, that the workflow has no more."""
    known = {item.id for item in plan.inputs}
    paths = {column: path for column, path in draft.mapping.paths.items() if _is_place(plan, path)}
    constants = {name: value for name, value in draft.constants.items() if name in known}
    return replace(draft, mapping=ColumnMapping(paths, draft.mapping.name), constants=constants)


def _is_place(plan: Plan, path: str) -> bool:
    try:
        return bool(place_of(plan, path))
    except UnknownPlace:
        return False


def findings_of(draft: Draft, plan: Plan, files: InputAccess) -> Findings:
    """Return what is wrong with the rows of a draft; raise :class:`BadRequest` for constants that can't be."""
    return found_in(checked_rows(draft, plan, files))


def checked_rows(draft: Draft, plan: Plan, files: InputAccess) -> CheckedSheet:
    """Return the rows of a draft, checked; raise as :func:`check` does."""
    return check(plan, draft.sheet, draft.mapping, draft.constants, files, folder=draft.folder)


def found_in(checked: CheckedSheet) -> Findings:
    """Return what a check has found."""
    problems = checked.problems
    bad = tuple(row.number for row in checked.rows if row.problems)
    return Findings(len(checked.rows), bad, problems[:MAX_PROBLEMS], len(problems))


# --- how it is kept


def _encoded(draft: Draft) -> str:
    """Return what is kept: the sheet, and what is filled in around it, each encrypted and on a line of its own."""
    data = {
        "paths": dict(draft.mapping.paths),
        "name_column": draft.mapping.name,
        "constants": dict(draft.constants),
        "folder": draft.folder,
        "name": draft.name,
        "max_active": draft.max_active,
        "findings": asdict(draft.findings),
    }
    return f"{draft.kept_sheet}\n{_encrypted(data)}"


def _encoded_sheet(sheet: Sheet) -> str:
    return _encrypted(
        {
            "columns": sheet.columns,
            "rows": [[row.number, *row.cells] for row in sheet.rows],
            "sheet_problems": [asdict(problem) for problem in sheet.problems],
            "sheet": sheet.sheet,
        }
    )


def _encrypted(data: Mapping[str, object]) -> str:
    from airflow.models.crypto import get_fernet

    plain = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(plain) > MAX_BYTES:
        raise TooLarge(f"The table is larger than {bytes_text(MAX_BYTES)}. Split it, and make several batches.")
    packed = base64.b64encode(zlib.compress(plain, 1))
    return get_fernet().encrypt(packed).decode()


def _decrypted(token: str) -> dict[str, Any]:
    from airflow.models.crypto import get_fernet

    packed = get_fernet().decrypt(token.encode())
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)).decode("utf-8", "surrogatepass"))
    return data


def _decoded(row: BatchDraftRow) -> Draft:
    from cryptography.fernet import InvalidToken

    kept_sheet, _line, rest = row.content.partition("\n")
    try:
        data = {**_decrypted(kept_sheet), **_decrypted(rest)}
    except InvalidToken:
        raise NotFound(f"The sheet {row.title!r} can't be read any more: give it again.") from None
    sheet = Sheet(
        columns=tuple(data["columns"]),
        rows=tuple(SheetRow(number, tuple(cells)) for number, *cells in data["rows"]),
        problems=_problems(data["sheet_problems"]),
        sheet=data["sheet"],
    )
    found = data["findings"]
    return Draft(
        id=row.id,
        dag_id=row.dag_id,
        owner=row.owner,
        title=row.title,
        sheet=sheet,
        mapping=ColumnMapping(data["paths"], data["name_column"]),
        constants=data["constants"],
        folder=data["folder"],
        name=data["name"],
        max_active=data["max_active"],
        findings=Findings(found["total"], tuple(found["bad"]), _problems(found["problems"]), found["problem_count"]),
        kept_sheet=kept_sheet,
    )


def _problems(found: list[dict[str, Any]]) -> tuple[SheetProblem, ...]:
    return tuple(SheetProblem(**one) for one in found)


def _make_room(session: Session, owner: str) -> None:
    from sqlalchemy import delete, select

    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow as Row

    session.execute(delete(Row).where(Row.updated_at <= _oldest()))
    newest = select(Row.id).where(Row.owner == owner).order_by(Row.updated_at.desc()).limit(MAX_DRAFTS - 1)
    kept = list(session.scalars(newest))
    session.execute(delete(Row).where(Row.owner == owner, Row.id.not_in(kept)))


def _oldest() -> datetime:
    return datetime.now(timezone.utc) - timedelta(days=KEPT_DAYS)


def _row(session: Session, dag_id: str, draft_id: str, owner: str) -> BatchDraftRow:
    from cwl_ui_plugin.reports.batch_tables import BatchDraftRow

    row = session.get(BatchDraftRow, draft_id) if "\0" not in draft_id else None
    if row is None or row.dag_id != dag_id or row.owner != owner or row.updated_at <= _oldest():
        raise NotFound("There is no such sheet any more: it was started, removed, or is too old. Give it again.")
    return row
