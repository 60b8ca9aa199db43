"""What the page of a sheet shows of its columns, its rows and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from cwl_ui_plugin.cwl.cwl_types import kinds_but_null
from cwl_ui_plugin.cwl.input_hints import ordered, title
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.batches.cells import text_of
from cwl_ui_plugin.services.batches.drafts import Draft
from cwl_ui_plugin.services.batches.mapping import secret_columns
from cwl_ui_plugin.services.batches.models import Cell, ColumnMapping, SheetRow
from cwl_ui_plugin.services.batches.paths import Place, UnknownPlace, is_array, leaves, place_of

MAX_EXAMPLES = 3
MAX_ITEMS = 4
"""Items of a list that are offered one by one; a column may also be the next item of it."""
MAX_CELL = 200
MAX_KINDS = 20
PAGE = 50
HIDDEN = "•••"
"""Stands for the cells of a secret."""


@dataclass(frozen=True)
class Column:
    """A column of the sheet, and what it is for: the path of an input, or nothing."""

    index: int
    name: str
    examples: tuple[str, ...]
    path: str
    is_name: bool


@dataclass(frozen=True)
class Choice:
    """What a column can be for."""

    path: str
    label: str


@dataclass(frozen=True)
class PreviewCell:
    """A cell of the preview, and what is wrong with it."""

    text: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreviewRow:
    """A row of the preview; ``problems`` are of the whole row."""

    number: int
    cells: tuple[PreviewCell, ...]
    problems: tuple[str, ...]
    is_good: bool


@dataclass(frozen=True)
class ProblemKind:
    """One thing that is wrong, in how many rows, the first of which is named."""

    column: str | None
    message: str
    count: int
    first: int
    is_common: bool
    """Whether it is wrong with all rows, and no column gives it: it is to be given for all samples."""


def columns_of(draft: Draft, plan: Plan) -> list[Column]:
    """Return the columns of a sheet, each with its first cells that are not empty."""
    hidden = secret_columns(plan, draft.mapping.paths)
    return [
        Column(
            index,
            name,
            (HIDDEN,) if name in hidden else tuple(_examples(draft, index)),
            draft.mapping.paths.get(name, ""),
            name == draft.mapping.name,
        )
        for index, name in enumerate(draft.sheet.columns)
    ]


def choices_of(plan: Plan, mapping: ColumnMapping) -> list[tuple[str, list[Choice]]]:
    """Return what columns can be for, by input, with what the mapping names besides."""
    order = {item.id: number for number, item in enumerate(ordered(plan.inputs))}
    titles = {item.id: title(item) for item in plan.inputs}
    offered = {place.path: place for place in _offered(plan)}
    for path in mapping.paths.values():
        try:
            offered.setdefault(path, place_of(plan, path))
        except UnknownPlace:
            continue
    places = sorted(offered.values(), key=lambda place: order[place.parts[0]])
    return [
        (titles[name], [Choice(place.path, _label(place)) for place in group])
        for name, group in groupby(places, key=lambda place: place.parts[0])
    ]


def mapped_inputs(plan: Plan, mapping: ColumnMapping) -> frozenset[str]:
    """Return the inputs that columns give, or a part of them."""
    return frozenset(place_of(plan, path).parts[0] for path in mapping.paths.values())


def preview_rows(draft: Draft, plan: Plan, *, only_bad: bool, offset: int) -> tuple[list[PreviewRow], int]:
    """Return a page of rows with what is wrong at each cell, and how many rows there are in all pages."""
    bad = set(draft.findings.bad)
    rows = [row for row in draft.sheet.rows if row.number in bad] if only_bad else draft.sheet.rows
    common = {kind.message for kind in problem_kinds(draft) if kind.is_common and len(draft.sheet.rows) > 1}
    told: dict[int, list[tuple[str | None, str]]] = {}
    for problem in draft.findings.problems:
        if problem.column is None and problem.message in common:
            continue  # it is said once, above the rows
        told.setdefault(problem.row, []).append((problem.column, problem.message))
    hidden = secret_columns(plan, draft.mapping.paths)
    shown = [
        _preview(draft.sheet.columns, hidden, row, told.get(row.number, []), row.number not in bad)
        for row in rows[offset : offset + PAGE]
    ]
    return shown, len(rows)


def problem_kinds(draft: Draft) -> list[ProblemKind]:
    """Return what is wrong, the same in many rows once, the most frequent first."""
    counts: Counter[tuple[str | None, str]] = Counter()
    first: dict[tuple[str | None, str], int] = {}
    for problem in draft.findings.problems:
        key = (problem.column, problem.message)
        counts[key] += 1
        first.setdefault(key, problem.row)
    total = draft.findings.total
    return [
        ProblemKind(*key, count, first[key], is_common=key[0] is None and count == total)
        for key, count in counts.most_common(MAX_KINDS)
    ]


def posted_mapping(draft: Draft, posted: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return which column gives what, and the one that names samples, as the page has sent it."""
    paths = {name: posted.get(f"column-{index}", "") for index, name in enumerate(draft.sheet.columns)}
    chosen = posted.get("name_column", "")
    index = int(chosen) if chosen.isascii() and chosen.isdigit() else -1
    return paths, draft.sheet.columns[index] if 0 <= index < len(draft.sheet.columns) else ""


def _examples(draft: Draft, index: int) -> list[str]:
    found: dict[str, None] = {}
    for row in draft.sheet.rows[:100]:
        if (text := _shown(row.cells[index])) and len(found) < MAX_EXAMPLES:
            found[text] = None
    return list(found)


def _shown(cell: Cell) -> str:
    text = text_of(cell)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def _offered(plan: Plan) -> list[Place]:
    """Return whole inputs and the places in them that a cell can give, of lists the first items."""
    found: dict[str, Place] = {}
    for leaf in leaves(plan):
        whole = place_of(plan, leaf.parts[0])
        is_list = any(is_array(option) for option in kinds_but_null(whole.declared))
        if is_list or leaf.parts == whole.parts:
            found.setdefault(whole.path, whole)
        count = MAX_ITEMS if is_list and len(leaf.parts) > 1 and leaf.parts[1] == "0" else 1
        for number in range(count if leaf.parts != whole.parts else 0):
            parts = (leaf.parts[0], str(number), *leaf.parts[2:]) if is_list else leaf.parts
            place = place_of(plan, ".".join(parts))
            found.setdefault(place.path, place)
    return list(found.values())


def _label(place: Place) -> str:
    is_list = any(is_array(option) for option in kinds_but_null(place.declared))
    words = f"{place.path} ({type_text(place.declared)})"
    return f"{words}: one more item" if is_list else words


def _preview(
    columns: tuple[str, ...],
    hidden: frozenset[str],
    row: SheetRow,
    told: list[tuple[str | None, str]],
    is_good: bool,
) -> PreviewRow:
    at_cell = {name: tuple(words for column, words in told if column == name) for name in columns}
    texts = [
        HIDDEN if cell is not None and name in hidden else _shown(cell)
        for name, cell in zip(columns, row.cells, strict=True)
    ]
    shown = tuple(PreviewCell(text, at_cell[name]) for name, text in zip(columns, texts, strict=True))
    rest = tuple(words for column, words in told if column not in at_cell)
    return PreviewRow(row.number, shown, rest, is_good)
