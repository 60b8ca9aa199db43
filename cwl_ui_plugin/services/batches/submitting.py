"""What interfaces call to make a batch: a sheet is read, mapped, checked, and if that is right or wanted, started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.batches import batches
from cwl_ui_plugin.services.batches.batches import Request, find_request
from cwl_ui_plugin.services.batches.checking import check
from cwl_ui_plugin.services.batches.mapping import guess, read_mapping
from cwl_ui_plugin.services.batches.models import Batch, CheckedSheet, ColumnMapping, InvalidSheet, Sheet
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.stored_workflows import stored

STARTS = ("all", "good", "none")


@dataclass(frozen=True)
class Wanted:
    """A batch as somebody asks for it. ``mapping`` None: guessed. ``start`` as ``none`` only checks.

    ``request`` is what the client calls its request; the same one, sent again, makes no second batch.
    """

    dag_id: str
    sheet: Sheet
    mapping: Mapping[str, object] | None = None
    name_column: str | None = None
    constants: Mapping[str, object] = field(default_factory=dict)
    folder: str = ""
    start: Literal["all", "good", "none"] = "all"
    name: str = ""
    max_active: int | None = None
    request: str | None = None


@dataclass(frozen=True)
class Submission:
    """What became of it: ``batch`` is None where nothing was started, ``checked`` where the batch was there before."""

    batch: Batch | None
    mapping: ColumnMapping
    checked: CheckedSheet | None = None


def submit(wanted: Wanted, *, user: str, files: InputAccess) -> Submission:
    """Check a sheet, and make a batch of it.

    Raises:
        NotFound: no such workflow.
        InvalidSheet: rows have problems and ``start`` is ``all``, or no row can start.
        BadRequest: a mapping, constants or settings that can't be.
        ServiceError: others that :func:`batches.create` raises.

    """
    if wanted.start not in STARTS:
        raise BadRequest(f"start is one of {', '.join(STARTS)}.", field="start")
    version = stored(wanted.dag_id)
    mapping = _mapping(wanted, version.plan)
    request = _request(wanted, user) if wanted.request and wanted.start != "none" else None
    if request and (made := find_request(request)):
        return Submission(batches.get(*made), mapping)
    checked = check(version.plan, wanted.sheet, mapping, wanted.constants, files, folder=wanted.folder)
    if wanted.start == "none":
        return Submission(None, mapping, checked)
    if not mapping.paths:
        columns = ", ".join(wanted.sheet.columns[:20])
        raise InvalidSheet(f"No column of the sheet gives an input: {columns}.", checked.problems)
    batch = batches.create(
        wanted.dag_id,
        version.digest,
        checked,
        mapping,
        user=user,
        files=files,
        start=wanted.start,
        name=wanted.name,
        max_active=wanted.max_active,
        request=request,
    )
    return Submission(batch, mapping, checked)


def _mapping(wanted: Wanted, plan: Plan) -> ColumnMapping:
    """Return the mapping that was sent, or a guess; with the column of the samples' names that was sent, if any."""
    columns = wanted.sheet.columns
    if wanted.mapping is not None:
        return read_mapping(plan, columns, wanted.mapping, wanted.name_column)
    guessed = guess(plan, columns)
    return read_mapping(plan, columns, guessed.paths, wanted.name_column) if wanted.name_column else guessed


def _request(wanted: Wanted, user: str) -> Request:
    rows = [[row.number, *row.cells] for row in wanted.sheet.rows]
    settings = [wanted.mapping, wanted.name_column, wanted.constants, wanted.folder, wanted.start, wanted.name]
    content = [wanted.sheet.columns, rows, *settings, wanted.max_active]
    return Request(wanted.dag_id, user, wanted.request or "", content)
