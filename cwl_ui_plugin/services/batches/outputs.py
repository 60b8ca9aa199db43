"""The outputs of a batch: a table with a line for each row, as JSON or CSV; and all files as a zip."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, BinaryIO

from cwl_ui_plugin.cwl.value_files import LongList, beginning, has_long
from cwl_ui_plugin.dags.handing_on import shown_values
from cwl_ui_plugin.dags.names import GATHERER
from cwl_ui_plugin.services.batches import states
from cwl_ui_plugin.services.batches.records import find
from cwl_ui_plugin.services.csv_lines import csv_line
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.models import Page
from cwl_ui_plugin.services.outputs import output_files
from cwl_ui_plugin.services.workflows.details import stored_version

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


AT_ONCE = 100
"""Rows whose outputs are read with one query."""
_MAX_FOLDER = 100
MAX_CELL = 32_767
"""Characters that spreadsheets show of a cell; so much of a list is told that is too long to be in memory."""


@dataclass(frozen=True)
class RowOutputs:
    """The CWL output object of a row's run; None while there is none."""

    number: int
    name: str
    state: str
    run_id: str | None
    outputs: dict[str, object] | None

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


def outputs(dag_id: str, batch_id: str, *, limit: int = AT_ONCE, offset: int = 0) -> Page[RowOutputs]:
    """Return the outputs of some rows of a batch, in their order; raise :class:`NotFound`."""
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    query = states.rows_query(batch_id)
    with create_session(scoped=False) as session:
        find(session, dag_id, batch_id)
        total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
        rows = session.execute(query.limit(max(0, min(limit, AT_ONCE))).offset(max(0, offset))).all()
        found = _output_objects(session, dag_id, [row.run_id for row in rows if row.state == "success"])
        items = tuple(
            RowOutputs(row.number, row.name, row.state, row.run_id, found.get(row.run_id or "")) for row in rows
        )
    return Page(items, total)


def output_ids(dag_id: str, batch_id: str) -> tuple[str, ...]:
    """Return the outputs that the workflow of a batch has, in its order; none where its version is gone."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        version = stored_version(dag_id, find(session, dag_id, batch_id).version)
    return tuple(item.id for item in version.plan.outputs) if version else ()


def table(dag_id: str, batch_id: str) -> Iterator[str]:
    """Return the outputs of all rows as CSV, a part at a time; raise :class:`NotFound` before the first.

    Files are their paths, several of them and what is compound is JSON. No cell is a formula to a spreadsheet.
    """
    names = output_ids(dag_id, batch_id)
    return _lines(names, _all(dag_id, batch_id))


def _lines(names: tuple[str, ...], rows: Iterator[RowOutputs]) -> Iterator[str]:
    yield csv_line(["row", "sample", "state", "run_id", *names])
    for row in rows:
        found = row.outputs or {}
        yield csv_line([row.number, row.name, row.state, row.run_id, *(shown(found.get(name)) for name in names)])


def _all(dag_id: str, batch_id: str) -> Iterator[RowOutputs]:
    offset = 0
    while True:
        page = outputs(dag_id, batch_id, offset=offset)
        yield from page.items
        offset += AT_ONCE
        if offset >= page.total:
            return


def archive(dag_id: str, batch_id: str) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Return what ``zip_stream`` takes: the output files of all rows, a folder for each sample.

    Raise :class:`NotFound` before the first is asked for.
    """
    output_ids(dag_id, batch_id)
    return _archived(dag_id, _all(dag_id, batch_id))


def _archived(dag_id: str, rows: Iterator[RowOutputs]) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    taken: set[str] = set()
    for row in rows:
        if row.state != "success" or row.run_id is None:
            continue
        folder = _own_folder(row, taken)
        try:
            entries = output_files.archive_entries(dag_id, row.run_id)
        except NotFound:  # the run was deleted meanwhile
            continue
        for name, open_file in entries:
            yield f"{folder}/{name}", open_file


def _own_folder(row: RowOutputs, taken: set[str]) -> str:
    """Return the name of a folder that no other sample has, on systems either that take upper and lower case alike."""
    name = folder = folder_of(row.number, row.name)
    numbers = count(row.number)
    while (key := unicodedata.normalize("NFKC", folder).casefold()) in taken:
        folder = f"{name}-{next(numbers)}"
    taken.add(key)
    return folder


def folder_of(number: int, name: str) -> str:
    """Return the name of the folder of a sample: no path, and no name that a system keeps for itself."""
    plain = "".join(character if character.isalnum() or character in "_-. ()" else "_" for character in name)
    return plain.strip(" .")[:_MAX_FOLDER].rstrip(" .") or f"row-{number}"


def shown(value: object) -> object:
    """Return an output as a cell: a File or Directory by its path, what is compound as JSON, perhaps its beginning."""
    found = _by_path(value)
    if has_long(found):
        return beginning(found, MAX_CELL)
    if isinstance(found, (list, dict)):
        return json.dumps(found, ensure_ascii=False)
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else found


def _by_path(value: object) -> object:
    """Return a value with paths in place of Files and Directories."""
    if isinstance(value, list):
        return [_by_path(item) for item in value]
    if isinstance(value, LongList):
        return value.mapped(_by_path)
    if not isinstance(value, dict):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {name: _by_path(item) for name, item in value.items()}
    location = value.get("location") or value.get("path")
    return str(output_files.local_path(location) or location or value.get("basename") or "")


def _output_objects(session: Session, dag_id: str, run_ids: list[str]) -> Mapping[str, dict[str, object]]:
    """Return the CWL output objects of some runs, with one query."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    query = select(XComModel.run_id, XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id.in_(run_ids),
        XComModel.task_id == GATHERER,
        XComModel.key == "return_value",
    )
    rows = session.execute(query).all() if run_ids else ()
    values = {row.run_id: shown_values((dag_id, row.run_id), XComModel.deserialize_value(row)) for row in rows}
    return {run_id: value for run_id, value in values.items() if isinstance(value, dict)}
