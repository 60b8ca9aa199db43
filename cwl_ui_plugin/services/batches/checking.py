"""Each row checked as a form is: with the same rules for types and files, told by row and column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs import checks
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.batches.cells import text_of
from cwl_ui_plugin.services.batches.jobs import JobMaker, RowJob
from cwl_ui_plugin.services.batches.mapping import secret_columns
from cwl_ui_plugin.services.batches.models import (
    CheckedRow,
    CheckedSheet,
    ColumnMapping,
    Sheet,
    SheetProblem,
    SheetRow,
)
from cwl_ui_plugin.services.errors import BadRequest, TooLarge
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.labelling import is_line

MAX_NAME = 200
MAX_PROBLEMS = 20
"""Of a row."""
MAX_MESSAGE = 500
_SECRET = "the value does not fit; this input is a secret, so more is not told"  # noqa: S105 - no secret
MAX_RULES = 100
"""Rules for files that are kept in memory."""
MAX_JOBS_BYTES = 64 * config.MEBIBYTE
"""Of the jobs of all rows together: what is the same for all rows counts in each."""


def check(
    plan: Plan,
    sheet: Sheet,
    mapping: ColumnMapping,
    constants: Mapping[str, object] | None,
    files: InputAccess,
    *,
    folder: str = "",
) -> CheckedSheet:
    """Return all rows of a sheet with their jobs and what is wrong with them. Nothing is started or kept.

    ``constants`` are values of inputs, as a job has them, for all rows; a cell that is not empty counts more.
    ``files`` is what the user may use, ``folder`` what relative names in cells are in: itself relative to
    ``[cwl] inputs_folder``, absolute, or ``file://``.

    Raises:
        BadRequest: constants for inputs that the workflow does not have.
        TooLarge: the jobs are too long together.

    """
    check_constants(plan, constants or {})
    checker = _RowChecker(plan, sheet, mapping, constants or {}, files, folder)
    return CheckedSheet(tuple(checker.checked()))


def check_constants(plan: Plan, constants: Mapping[str, object]) -> None:
    """Raise :class:`BadRequest` for constants that no input takes."""
    known = {item.id for item in plan.inputs}
    problems = [Problem("the workflow has no such input", input=name[:80]) for name in constants if name not in known]
    if problems:
        raise BadRequest("The constants can't be used.", tuple(problems), field="constants")
    try:
        checks.check_texts(dict(constants))
    except JobError as error:
        raise BadRequest(f"The constants can't be used: {error.message}", field="constants") from error


class JobSizes:
    """Counts the characters of the jobs of rows, and refuses more than a batch may have."""

    def __init__(self) -> None:
        self._total, self._most = 0, config.max_job_size()

    def add(self, number: int, job: Mapping[str, object]) -> str:
        """Count the job of a row, and return it as JSON; raise :class:`TooLarge`."""
        try:
            text = json.dumps(job, ensure_ascii=False)
        except RecursionError:
            return ""  # what checks the job says so
        self._total += len(text)
        if len(text) > self._most or self._total > MAX_JOBS_BYTES:
            raise TooLarge(
                f"The jobs of the rows are too long (row {number}): one may have {self._most} characters "
                f"([cwl] max_job_size), all together {MAX_JOBS_BYTES}. Give large data as files."
            )
        return text


class _RowChecker:
    def __init__(
        self,
        plan: Plan,
        sheet: Sheet,
        mapping: ColumnMapping,
        constants: Mapping[str, object],
        files: InputAccess,
        folder: str,
    ) -> None:
        self._plan, self._sheet, self._files = plan, sheet, files
        self._maker = JobMaker(plan, sheet.columns, mapping, constants, folder)
        self._secrets = {item.id for item in plan.inputs if item.is_secret}
        self._secret_columns = secret_columns(plan, mapping.paths)
        self._name_column = mapping.name
        self._name_index = sheet.columns.index(mapping.name) if mapping.name in sheet.columns else None
        self._first_rows: dict[str, int] = {}
        self._rules: dict[tuple[Path, ...], FileRules] = {}
        self._sizes = JobSizes()
        self._allow_requirements = config.flag("allow_job_requirements")
        self._of_sheet: dict[int, list[SheetProblem]] = {}
        for problem in sheet.problems:
            self._of_sheet.setdefault(problem.row, []).append(problem)

    def checked(self) -> Iterable[CheckedRow]:
        for row in self._sheet.rows:
            name, problems = self._name(row)
            made = self._maker.make(row)
            self._sizes.add(row.number, made.job)
            problems += [*self._of_sheet.get(row.number, ()), *map(self._discreet, made.problems)]
            roots = self._files.granted(made.job)
            job, wrong = self._job(row, made, roots)
            told = {problem.column for problem in problems}
            problems += [problem for problem in wrong if problem.column is None or problem.column not in told]
            yield CheckedRow(row.number, name, job, tuple(problems[:MAX_PROBLEMS]), roots)

    def _name(self, row: SheetRow) -> tuple[str, list[SheetProblem]]:
        if self._name_index is None:
            return f"row {row.number}", []
        name = text_of(row.cells[self._name_index])
        if not name:
            return f"row {row.number}", [self._wrong_name(row, "the sample has no name")]
        if len(name) > MAX_NAME or not is_line(name):
            words = f"the name of a sample is one line of {MAX_NAME} characters at most"
            return name[:MAX_NAME], [self._wrong_name(row, words)]
        first = self._first_rows.setdefault(name, row.number)
        if first != row.number:
            return name, [self._wrong_name(row, f"the sample {name[:80]!r} is in row {first} already")]
        return name, []

    def _wrong_name(self, row: SheetRow, message: str) -> SheetProblem:
        return SheetProblem(row.number, self._name_column, message)

    def _job(
        self, row: SheetRow, made: RowJob, roots: tuple[Path, ...]
    ) -> tuple[dict[str, object], list[SheetProblem]]:
        rules, allowed = self._rules_for(roots, made.job), self._allow_requirements
        try:
            checked = checks.check_job(self._plan, made.job, rules, allow_requirements=allowed)
        except JobError as error:
            found = error.problems or (Problem(error.message),)
            return made.job, [self._told(row.number, problem, made) for problem in found]
        except RecursionError:
            return {}, [SheetProblem(row.number, None, "the job of this row is nested too deeply")]
        return checked, []

    def _told(self, number: int, problem: Problem, made: RowJob) -> SheetProblem:
        column = self._maker.column_of(problem.input, made.given_by) or self._maker.column_below(problem.input)
        is_named = problem.input and column != problem.input
        message = f"{problem.input}: {problem.message}" if is_named else problem.message
        if column is None and problem.input and re.split(r"[.\[]", problem.input)[0] in self._secrets:
            message = f"{problem.input}: {_SECRET}"
        return self._discreet(SheetProblem(number, column, message))

    def _discreet(self, problem: SheetProblem) -> SheetProblem:
        """Return a problem without the value of a secret: all who may see the workflow see the rows of its batches."""
        return replace(problem, message=_SECRET) if problem.column in self._secret_columns else _cut(problem)

    def _rules_for(self, roots: tuple[Path, ...], job: Mapping[str, object]) -> FileRules:
        """Return the rules for the files of a job; they are the same for all with the same roots."""
        if roots not in self._rules:
            if len(self._rules) >= MAX_RULES:
                self._rules.clear()
            self._rules[roots] = self._files.rules(job)
        return self._rules[roots]


def _cut(problem: SheetProblem) -> SheetProblem:
    """Return a problem whose message is not long, as that of a type may be."""
    return problem if len(problem.message) <= MAX_MESSAGE else replace(problem, message=problem.message[:MAX_MESSAGE])
