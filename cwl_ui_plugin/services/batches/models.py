"""What a table of samples, the check of it and a batch are: frozen and plain. Rows count as in the sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.services.errors import ServiceError

Cell = str | int | float | bool | None
"""What a cell holds; all cells of a text are texts, and None is an empty one. Dates of a workbook are ISO 8601."""
MAX_TOLD = 1000
"""Problems that are told; all are counted."""
BatchState = Literal["creating", "running", "success", "failed", "stopping", "stopped"]
RowState = Literal[
    "pending", "queued", "running", "waiting", "success", "failed", "stopped", "invalid", "refused", "deleted"
]
"""Where a row is.

pending: its run is not created yet; queued, running, waiting, success, failed, stopped: as its run is (a row whose run
was never created is stopped, too, once its batch is); invalid: it had problems when the batch was made, and was left
out; refused: its run could not be created, ``problems`` say why; deleted: its run was deleted.
"""


@dataclass(frozen=True)
class SheetProblem:
    """What is wrong in a sheet: ``row`` counts from 1, which is the header; ``column`` is None for the whole row."""

    row: int
    column: str | None
    message: str

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"row {self.row}" if self.column is None else f"row {self.row}, column {self.column}"
        return f"{where}: {self.message}"


class InvalidSheet(ServiceError):
    """A sheet that can't be used, or rows of it, so that nothing was started; ``found`` says what, cell by cell."""

    status = 422

    def __init__(self, message: str, found: tuple[SheetProblem, ...], rows: int = 0) -> None:
        told = found[:MAX_TOLD]
        super().__init__(message, tuple(Problem(str(problem), input=problem.column) for problem in told))
        self.found = found
        self.rows = rows


@dataclass(frozen=True)
class SheetRow:
    """A row that is not empty; it has a cell for each column."""

    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """A table of samples. ``problems`` are of single cells or rows; what is wrong with all of it raises."""

    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    problems: tuple[SheetProblem, ...] = ()
    sheet: str | None = None
    """The name of the worksheet that was read, where there was a choice."""


@dataclass(frozen=True)
class ColumnMapping:
    """Which column gives which input: ``{column: path}``, with paths as ``input``, ``reads.0``, ``sample.id``.

    Several columns with the path of one list are its items, in the order of the columns. ``name`` is the column that
    names the samples. Columns that are not in it are not used.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None


@dataclass(frozen=True)
class CheckedRow:
    """A row with the job that it makes, locations absolute; a row with problems starts nothing.

    ``roots`` are the folders, not everybody's, that its files are in and that the user may use.
    """

    number: int
    name: str
    job: dict[str, object]
    problems: tuple[SheetProblem, ...] = ()
    roots: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CheckedSheet:
    """All rows of a sheet, checked."""

    rows: tuple[CheckedRow, ...]

    @property
    def good(self) -> tuple[CheckedRow, ...]:
        """The rows that can start."""
        return tuple(row for row in self.rows if not row.problems)

    @property
    def problems(self) -> tuple[SheetProblem, ...]:
        """What is wrong, in the order of the rows."""
        return tuple(problem for row in self.rows for problem in row.problems)


@dataclass(frozen=True)
class Batch:
    """Runs of one version of a workflow, one for each row. ``counts`` has how many rows are in which state.

    ``max_active`` is how many of its runs there may be at a time. ``problem`` says why no run can be created just now.
    ``progress`` counts to 100.
    """

    id: str
    dag_id: str
    version: str
    name: str
    user: str
    created_at: str | None
    state: BatchState
    total: int
    counts: dict[str, int]
    max_active: int
    progress: int = 0
    ended_at: str | None = None
    stopped_by: str | None = None
    stopped_at: str | None = None
    problem: str | None = None
    mapping: dict[str, str] = field(default_factory=dict)
    name_column: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is on its way any more."""
        return self.state in ("success", "failed", "stopped")

    @property
    def can_retry(self) -> bool:
        """Whether there are rows that :func:`batches.retry` would start again."""
        return self.has_ended and any(self.counts.get(state) for state in ("failed", "stopped", "refused"))

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)


@dataclass(frozen=True)
class BatchStep:
    """How a step of the workflow is in the run of a row: ``state`` says most about all of its tasks, as people are
    told it.
    """

    id: str
    label: str
    state: str


@dataclass(frozen=True)
class BatchRow:
    """A row of a batch, and its run if there is one; ``attempt`` counts from 1."""

    number: int
    name: str
    state: RowState
    run_id: str | None = None
    attempt: int = 1
    progress: int = 0
    problems: tuple[SheetProblem, ...] = ()
    steps: tuple[BatchStep, ...] = ()
    started_at: str | None = None
    ended_at: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return it for an API's answer."""
        return asdict(self)
