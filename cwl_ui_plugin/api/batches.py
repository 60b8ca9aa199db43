"""Batches: many runs from one sheet of samples; checked, made, shown, stopped, started again, their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Header, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from cwl_ui_plugin.api.answering import AnyTextResponse, answered
from cwl_ui_plugin.api.downloads import saved_as
from cwl_ui_plugin.api.errors import answer
from cwl_ui_plugin.api.large_forms import LargeFormRoute
from cwl_ui_plugin.api.openapi import BINARY_ANSWER
from cwl_ui_plugin.api.request_json import parse_object
from cwl_ui_plugin.api.schemas import Failure, Responses, answers, failing_file
from cwl_ui_plugin.api.security import GetUserDep, allow_dag
from cwl_ui_plugin.api.workflows import MAX_OFFSET
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.batches import batches, outputs, sheets, templates
from cwl_ui_plugin.services.batches.models import (
    MAX_TOLD,
    Batch,
    BatchRow,
    InvalidSheet,
    RowState,
    Sheet,
    SheetProblem,
)
from cwl_ui_plugin.services.batches.outputs import RowOutputs
from cwl_ui_plugin.services.batches.submitting import Submission, Wanted, submit
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.stored_workflows import stored
from cwl_ui_plugin.services.triggering import refusals

router = APIRouter(tags=["batches"], route_class=LargeFormRoute)
_MAY_READ, _MAY_TRIGGER = allow_dag(permissions.may_read), allow_dag(permissions.may_trigger)
_BATCH = "/workflows/{dag_id}/batches/{batch_id}"
_MAX_ROW = 2_000_000
_MAX_ROWS = 100_000
_SHEET_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _binary(description: str) -> Responses:
    return {200: {"description": description, **BINARY_ANSWER}, **failing_file(404)}


@dataclass(frozen=True)
class MadeBatch:
    """What was made of a sheet. ``batch_id`` is null where nothing was started; ``rows`` are all, ``bad`` among them.

    At most 1000 ``problems`` are told. ``mapping`` is which column gives which input, ``unused`` are other columns.
    """

    batch_id: str | None
    rows: int
    bad: int
    problems: list[SheetProblem]
    mapping: dict[str, str]
    name_column: str | None
    unused: list[str]


@dataclass(frozen=True)
class InvalidBatch:
    """Why nothing was started: problems of rows, or of the sheet as a whole."""

    detail: str
    problems: list[SheetProblem]
    batch_id: str | None
    """Always null: there is no batch."""
    rows: int


@dataclass(frozen=True)
class BatchList:
    """A part of the batches of a workflow, newest first."""

    batches: list[Batch]
    total: int


@dataclass(frozen=True, kw_only=True)
class BatchDetail(Batch):
    """A batch with a part of its rows; ``matching`` says how many there are of those that were asked for."""

    rows: tuple[BatchRow, ...]
    matching: int


@dataclass(frozen=True)
class ChangedBatch:
    """A batch after a change, and how many rows the change was about."""

    changed: int
    batch: Batch


@dataclass(frozen=True)
class OutputsOfBatch:
    """The outputs of a part of the rows of a batch."""

    outputs: list[RowOutputs]
    total: int


class RetryRows(BaseModel):
    """Which rows to start again; null: all that failed, were stopped, or could not start."""

    rows: Annotated[list[Annotated[int, Field(ge=1, le=_MAX_ROW)]], Field(max_length=_MAX_ROWS)] | None = None


@router.get(
    "/workflows/{dag_id}/sample-sheet",
    response_class=Response,
    responses=_binary("The sheet"),
    dependencies=[_MAY_READ],
)
def get_sample_sheet(dag_id: str, format: Literal["csv", "xlsx"] = "csv") -> Response:
    """Download a sheet to fill in: a column for each value that a cell can give, and one row as an example."""
    content = templates.template(stored(dag_id).plan, format)
    headers = saved_as(f"{dag_id}-samples.{format}")
    return Response(content, media_type=_SHEET_TYPES[format], headers=headers)


@router.post(
    "/workflows/{dag_id}/batches",
    status_code=201,
    responses=answers(MadeBatch, 404, 409, 413, 503, status=201, description="The batch")
    | {
        200: {"model": MadeBatch, "description": "Nothing was started (`start=none`)"},
        422: {"model": InvalidBatch | Failure, "description": "The sheet does not fit: one problem for each cell"},
    },
    dependencies=[_MAY_READ, _MAY_TRIGGER],
)
def make_batch(
    dag_id: str,
    user: GetUserDep,
    sheet: Annotated[UploadFile | None, File(description="CSV, TSV or XLSX; its first row names the columns")] = None,
    table: Annotated[str | None, Form(description="Instead of sheet: the same as text")] = None,
    mapping: Annotated[
        str | None, Form(description='JSON: `{"column": "input"}`, also `reads.0`, `sample.id`; default: guessed')
    ] = None,
    constants: Annotated[str | None, Form(description="JSON: values of inputs for all rows, as in a job")] = None,
    start: Annotated[
        Literal["all", "good", "none"],
        Form(description="`all`: nothing starts if a row is wrong; `good`: wrong rows are left out; `none`: check"),
    ] = "all",
    name: Annotated[str, Form(description="What the batch is called")] = "",
    name_column: Annotated[str | None, Form(description="The column that names the samples; default: guessed")] = None,
    folder: Annotated[str, Form(description="The folder that relative names of files in cells are in")] = "",
    max_active: Annotated[int | None, Form(description="Runs at a time; default: [cwl] batch_max_active")] = None,
    idempotency_key: Annotated[
        str | None, Header(description="Sent again with the same content, the request makes no second batch")
    ] = None,
) -> Response:
    """Make a batch: a run of the workflow for each row of a sheet, started in the background.

    Each row is checked as a job is. Problems are told by row and column, as the sheet has them: the header is row 1.
    """
    with refusals.recorded(dag_id, None, user.get_name()):
        try:
            wanted = Wanted(
                dag_id=dag_id,
                sheet=_sheet(sheet, table),
                mapping=parse_object(mapping, "mapping") if mapping else None,
                constants=parse_object(constants, "constants") if constants else {},
                start=start,
                name=name,
                name_column=name_column or None,
                folder=folder,
                max_active=max_active,
                request=idempotency_key or None,
            )
            made = submit(wanted, user=user.get_name(), files=permissions.input_access(user))
        except InvalidSheet as error:
            return answer(error.status, error.message, error.found[:MAX_TOLD], batch_id=None, rows=error.rows)
    return AnyTextResponse(asdict(_made(wanted, made)), status_code=201 if made.batch else 200)


@router.get("/workflows/{dag_id}/batches", responses=answers(BatchList, 404), dependencies=[_MAY_READ])
def list_batches(
    dag_id: str,
    limit: Annotated[int, Query(ge=0, le=batches.MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """List the batches of a workflow, newest first."""
    page = batches.list_of(dag_id, limit=limit, offset=offset)
    return as_json(BatchList(list(page.items), page.total))


@router.get(_BATCH, responses=answers(BatchDetail, 404), dependencies=[_MAY_READ])
def get_batch(
    dag_id: str,
    batch_id: str,
    state: Annotated[list[RowState] | None, Query(description="Rows in these states; default: all")] = None,
    text: Annotated[str, Query(description="Rows with this in their names", max_length=200)] = "",
    limit: Annotated[int, Query(ge=0, le=batches.MAX_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """Show a batch: how many of its rows are in which state, and a part of the rows with the states of their steps."""
    page = batches.rows(dag_id, batch_id, wanted=state or (), text=text, limit=limit, offset=offset)
    rows = [row.as_json() for row in page.items]
    return {**batches.get(dag_id, batch_id).as_json(), "rows": rows, "matching": page.total}


@router.post(
    f"{_BATCH}/stop",
    responses=answers(ChangedBatch, 404, 503, 504),
    dependencies=[_MAY_READ, allow_dag(permissions.may_stop)],
)
def stop_batch(dag_id: str, batch_id: str, user: GetUserDep, wait: bool = True) -> object:
    """Stop a batch: rows that have not begun never begin; answered when no process of any of its runs is left.

    With `wait=false` it is answered at once, and the server goes on; the state of the batch is `stopping` until then.
    """
    changed = batches.stop(dag_id, batch_id, user=user.get_name(), wait=wait)
    return _changed(changed, dag_id, batch_id)


@router.post(
    f"{_BATCH}/retry",
    responses=answers(ChangedBatch, 404, 409, 503),
    dependencies=[_MAY_READ, _MAY_TRIGGER],
)
def retry_batch(dag_id: str, batch_id: str, user: GetUserDep, which: RetryRows | None = None) -> object:
    """Start rows again that have failed, were stopped, or could not start: each as a new run; the former runs stay.

    Refused (403) if one of them uses files that you may not use.
    """
    numbers = which.rows if which else None
    files = permissions.input_access(user)
    changed = batches.retry(dag_id, batch_id, user=user.get_name(), files=files, numbers=numbers)
    return _changed(changed, dag_id, batch_id)


@router.get(
    f"{_BATCH}/outputs",
    responses=answers(OutputsOfBatch, 404)
    | {200: {"model": OutputsOfBatch, "content": {"text/csv": {"schema": {"type": "string"}}}}},
    dependencies=[_MAY_READ],
)
def get_batch_outputs(
    dag_id: str,
    batch_id: str,
    format: Literal["json", "csv"] = "json",
    limit: Annotated[int, Query(ge=1, le=outputs.AT_ONCE)] = outputs.AT_ONCE,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> object:
    """Return the CWL output objects of rows, a part at a time; as `csv` a table of all rows, files by their paths."""
    if format == "csv":
        name = f"{batches.get(dag_id, batch_id).name}.csv"
        headers = saved_as(name)
        return StreamingResponse(outputs.table(dag_id, batch_id), media_type=_SHEET_TYPES["csv"], headers=headers)
    page = batches.outputs(dag_id, batch_id, limit=limit, offset=offset)
    return answered(as_json(OutputsOfBatch(list(page.items), page.total)))


@router.get(f"{_BATCH}/zip", response_class=StreamingResponse, responses=_binary("The zip"), dependencies=[_MAY_READ])
def get_batch_zip(dag_id: str, batch_id: str) -> StreamingResponse:
    """Download the output files of all rows that have succeeded, a folder for each sample, as a zip."""
    entries = outputs.archive(dag_id, batch_id)
    headers = saved_as(f"{batches.get(dag_id, batch_id).name}.zip")
    return StreamingResponse(zip_stream(entries), media_type="application/zip", headers=headers)


def _sheet(sheet: UploadFile | None, table: str | None) -> Sheet:
    if (sheet is None) == (not table):
        raise BadRequest("Send either a sheet (a file) or a table (a text).", field="sheet")
    return sheets.read_text(table or "") if sheet is None else sheets.read(sheet.filename or "", sheet.file)


def _made(wanted: Wanted, made: Submission) -> MadeBatch:
    paths: Mapping[str, str] = made.mapping.paths
    rows = made.checked.rows if made.checked else ()
    problems = made.checked.problems if made.checked else ()
    return MadeBatch(
        batch_id=made.batch.id if made.batch else None,
        rows=made.batch.total if made.batch else len(rows),
        bad=made.batch.counts.get("invalid", 0) if made.batch else sum(bool(row.problems) for row in rows),
        problems=list(problems[:MAX_TOLD]),
        mapping=dict(paths),
        name_column=made.mapping.name,
        unused=[column for column in wanted.sheet.columns if column not in paths and column != made.mapping.name],
    )


def _changed(changed: int, dag_id: str, batch_id: str) -> dict[str, object]:
    return as_json(ChangedBatch(changed, batches.get(dag_id, batch_id)))
