"""From a row to a job, and from a place of a job back to the column that gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cwl_ui_plugin.cwl.cwl_types import CwlType, kinds_but_null
from cwl_ui_plugin.cwl.jobs.files import formats
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.batches.cells import CellError, value_of
from cwl_ui_plugin.services.batches.models import Cell, ColumnMapping, SheetProblem, SheetRow
from cwl_ui_plugin.services.batches.paths import Parts, is_array, place_of


@dataclass(frozen=True)
class Target:
    """What the cells of a column are for; ``adds`` are items of a list that several columns give."""

    column: str
    index: int
    parts: Parts
    declared: CwlType
    adds: bool = False


@dataclass(frozen=True)
class RowJob:
    """The job of a row: ``given_by`` has the column of each place, as problems of jobs name places."""

    job: dict[str, object]
    given_by: dict[str, str]
    problems: tuple[SheetProblem, ...] = ()


@dataclass
class _Leaf:
    value: object
    column: str


@dataclass
class _Node:
    """A record, or a list with its items by their number."""

    is_list: bool
    parts: dict[str, _Node | _Leaf] = field(default_factory=dict)


class JobMaker:
    """Makes jobs of rows by a mapping of columns.

    ``constants`` are what is the same for all rows, or where a cell is empty. ``folder`` is what relative names of
    files in cells are in.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Sequence[str],
        mapping: ColumnMapping,
        constants: Mapping[str, object] | None = None,
        folder: str = "",
    ) -> None:
        self._constants = dict(constants or {})
        self._folder = folder
        self._formats = {item.id: wanted[0] for item in plan.inputs if (wanted := formats(item))}
        self._targets = _targets(plan, columns, mapping)
        self._columns: dict[str, str] = {}
        for target in self._targets:
            self._columns.setdefault(_path_text(target.parts), target.column)

    def make(self, row: SheetRow) -> RowJob:
        """Return the job of a row; what is wrong with single cells is told, and their places are left out."""
        tree, problems = _Node(is_list=False), []
        for target in self._targets:
            cell: Cell = row.cells[target.index]
            if cell is None:
                continue
            try:
                _put(tree, target, value_of(target.declared, cell, self._folder))
            except CellError as error:
                problems.append(SheetProblem(row.number, target.column, str(error)))
        given_by: dict[str, str] = {}
        made = {name: _finished(node, name, given_by) for name, node in tree.parts.items()}
        job = {**self._constants, **{name: self._merged(name, value) for name, value in made.items()}}
        return RowJob({name: self._formatted(name, value) for name, value in job.items()}, given_by, tuple(problems))

    def column_of(self, place: str | None, given_by: Mapping[str, str]) -> str | None:
        """Return the column that has given a place of a job, or would have; None where no column does."""
        while place:
            for known in (given_by, self._columns):
                if place in known:
                    return known[place]
            place = _outer(place)
        return None

    def column_below(self, place: str | None) -> str | None:
        """Return the first column that gives something within a place: what to name where all of it is missing."""
        if not place:
            return None
        inside = (column for path, column in self._columns.items() if path.startswith((f"{place}.", f"{place}[")))
        return next(inside, None)

    def _merged(self, name: str, value: object) -> object:
        constant = self._constants.get(name)
        is_record = isinstance(constant, dict) and isinstance(value, dict) and "class" not in {*constant, *value}
        return {**constant, **value} if is_record else value  # type: ignore[dict-item]

    def _formatted(self, name: str, value: object) -> object:
        return with_format(value, self._formats[name]) if name in self._formats else value


def with_format(value: object, wanted: str) -> object:
    """Return a value whose Files have a format, as an input asks for one: the form gives the first, too."""
    if isinstance(value, list):
        return [with_format(item, wanted) for item in value]
    if isinstance(value, dict) and value.get("class") == "File" and "format" not in value:
        return {**value, "format": wanted}
    return value


def _targets(plan: Plan, columns: Sequence[str], mapping: ColumnMapping) -> list[Target]:
    places = {column: place_of(plan, path) for column, path in mapping.paths.items()}
    shared = [place.parts for place in places.values()]
    found = []
    for index, column in enumerate(columns):
        place = places.get(column)
        if place is None:
            continue
        adds, declared = shared.count(place.parts) > 1, place.declared
        if adds:
            declared = next(option["items"] for option in kinds_but_null(declared) if is_array(option))
        found.append(Target(column, index, place.parts, declared, adds))
    return found


def _put(tree: _Node, target: Target, value: object) -> None:
    node = tree
    for part, following in zip(target.parts, (*target.parts[1:], ""), strict=True):
        if not following and not target.adds:
            node.parts[part] = _Leaf(value, target.column)
            return
        inner = node.parts.get(part)
        if not isinstance(inner, _Node):
            inner = node.parts[part] = _Node(is_list=not following or following.isdecimal())
        node = inner
    node.parts[str(len(node.parts))] = _Leaf(value, target.column)


def _finished(node: _Node | _Leaf, place: str, given_by: dict[str, str]) -> object:
    """Return the value of a node. Empty cells of a list leave no gap: what comes after them moves up."""
    if isinstance(node, _Leaf):
        given_by[place] = node.column
        return node.value
    if not node.is_list:
        return {name: _finished(part, f"{place}.{name}", given_by) for name, part in node.parts.items()}
    items = [part for _number, part in sorted(node.parts.items(), key=lambda item: int(item[0]))]
    return [_finished(item, f"{place}[{index}]", given_by) for index, item in enumerate(items)]


def _path_text(parts: Parts) -> str:
    """Return a place as problems of jobs write it: ``pairs[0].r1``."""
    return parts[0] + "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in parts[1:])


def _outer(place: str) -> str:
    """Return the place around a place; empty for an input as a whole."""
    ends = [place.rfind("["), place.rfind(".")]
    return place[: max(ends)] if max(ends) > 0 else ""
