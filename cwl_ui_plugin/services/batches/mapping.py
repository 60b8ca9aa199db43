"""Which column gives which input: guessed from names and types, or as somebody says it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from cwl_ui_plugin.cwl.cwl_types import kinds_but_null
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.input_hints import title
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.batches.models import ColumnMapping
from cwl_ui_plugin.services.batches.paths import Place, UnknownPlace, is_array, leaves, place_of
from cwl_ui_plugin.services.errors import BadRequest

NAMES = ("sample", "sampleid", "samplename", "name", "id", "samples", "library", "specimen")
"""What a column that names samples is called, the likeliest first."""
_READ = re.compile(r"(?:fastqs?|fqs?|reads?|r|files?|fastqr|reader|mate|fastqread)?(?P<number>[12])(?:fastq|fq|file)?")
_FORWARD, _REVERSE = ("forward", "forwardreads", "fwd"), ("reverse", "reversereads", "rev")


def guess(plan: Plan, columns: Sequence[str]) -> ColumnMapping:
    """Return what columns most likely are for, each place given by one at most; others are left out."""
    found: dict[str, str] = {}
    places = [place for place in leaves(plan) if "File" in kinds_but_null(place.declared)]
    for column in columns:
        path = _same_name(plan, column) or _of_read(places, column)
        if path and path not in found.values():
            found[column] = path
    inner = tuple(found.values())
    whole = {column: path for column, path in found.items() if not any(other.startswith(f"{path}.") for other in inner)}
    return ColumnMapping(whole, name_column(_public(plan, columns, whole)))


def name_column(columns: Sequence[str]) -> str | None:
    """Return the column that names the samples; None where no column looks like it."""
    plain = {_plain(column): column for column in reversed(columns)}
    return next((plain[name] for name in NAMES if name in plain), None)


def read_mapping(plan: Plan, columns: Sequence[str], sent: Mapping[str, object], name: str | None) -> ColumnMapping:
    """Return a mapping that somebody has sent, ``{column: path}``; empty paths are of columns that are not used.

    Raises:
        BadRequest: it names columns that are not there, or places that the workflow does not have.

    """
    problems = [*_unknown_columns(columns, [*sent, *([name] if name else [])])]
    paths: dict[str, str] = {}
    for column, path in sent.items():
        if path is None or path == "":
            continue
        try:
            if not isinstance(path, str):
                raise UnknownPlace("the input is named by a text")
            place_of(plan, path)
        except UnknownPlace as error:
            problems.append(Problem(str(error), input=column[:80]))
        else:
            paths[column] = path
    problems += _twice(plan, paths)
    public = _public(plan, columns, paths)
    if name and name in columns and name not in public:
        words = "it gives an input that is a secret, so it can't name the samples: their names are shown"
        problems.append(Problem(words, input=name[:80]))
    if problems:
        raise BadRequest("The mapping of columns can't be used.", tuple(problems), field="mapping")
    return ColumnMapping(paths, name or name_column(public))


def secret_columns(plan: Plan, paths: Mapping[str, str]) -> frozenset[str]:
    """Return the columns that give inputs which nobody is shown."""
    secrets = {item.id for item in plan.inputs if item.is_secret}
    return frozenset(column for column, path in paths.items() if place_of(plan, path).parts[0] in secrets)


def _public(plan: Plan, columns: Sequence[str], paths: Mapping[str, str]) -> list[str]:
    """Return the columns that may name samples: everybody who may see the workflow sees these names."""
    secret = secret_columns(plan, paths)
    return [column for column in columns if column not in secret]


def _unknown_columns(columns: Sequence[str], named: Iterable[str]) -> Iterable[Problem]:
    for column in named:
        if column not in columns:
            yield Problem(f"the sheet has no such column; it has {', '.join(columns[:20])}", input=column[:80])


def _twice(plan: Plan, paths: Mapping[str, str]) -> Iterable[Problem]:
    """Yield a problem for each column whose place another gives, or a place around it or within it."""
    seen: list[tuple[str, Place]] = []
    for column, path in paths.items():
        place = place_of(plan, path)
        is_list = any(is_array(option) for option in kinds_but_null(place.declared))
        for other, earlier in seen:
            shorter = min(len(place.parts), len(earlier.parts))
            if place.parts[:shorter] == earlier.parts[:shorter] and not (is_list and place.parts == earlier.parts):
                yield Problem(f"the column {other!r} gives {earlier.path} already", input=column)
                break
        seen.append((column, place))


def _same_name(plan: Plan, column: str) -> str | None:
    """Return the place that a column is named after."""
    try:
        return place_of(plan, column).path
    except UnknownPlace:
        pass
    wanted = _plain(column)
    for names in (_ids(plan), _titles(plan), _last_parts(plan)):
        if wanted and wanted in names:
            return names[wanted]
    return None


def _ids(plan: Plan) -> dict[str, str]:
    found = {_plain(item.id): item.id for item in reversed(plan.inputs)}
    inner = [place for place in leaves(plan) if len(place.parts) > 1]
    named = {_plain("".join(part for part in place.parts if not part.isdecimal())): place.path for place in inner}
    return {**named, **found}


def _titles(plan: Plan) -> dict[str, str]:
    return {_plain(title(item)): item.id for item in reversed(plan.inputs)}


def _last_parts(plan: Plan) -> dict[str, str]:
    """Return fields of records by their own names, as far as these are the only ones."""
    inner = [place for place in leaves(plan) if len(place.parts) > 1 and not place.parts[-1].isdecimal()]
    names = [_plain(place.parts[-1]) for place in inner]
    return {name: place.path for name, place in zip(names, inner, strict=True) if names.count(name) == 1}


def _of_read(places: Sequence[Place], column: str) -> str | None:
    """Return the place of the first or second file of a pair, for a column such as ``fastq_1`` or ``R2``."""
    number = _read_number(_plain(column))
    if number is None:
        return None
    alike = [place for place in places if _read_number(_plain(_own_name(place))) == number]
    if len(alike) == 1:
        return alike[0].path
    lists = [place for place in places if place.parts[-1] == "0"]
    return ".".join((*lists[0].parts[:-1], str(number - 1))) if len(lists) == 1 and not alike else None


def _own_name(place: Place) -> str:
    return next((part for part in reversed(place.parts) if not part.isdecimal()), "")


def _read_number(name: str) -> int | None:
    if name in (*_FORWARD, *_REVERSE):
        return 1 if name in _FORWARD else 2
    match = _READ.fullmatch(name)
    return int(match["number"]) if match else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
