"""The job of a run out of its crate: values of parameters, and the files of the crate that they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.checks import check_texts
from cwl_ui_plugin.cwl.jobs.types import fits
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.crates.reading import CrateFiles, CrateMetadata, Entity, as_list, id_of, name_in_crate
from cwl_ui_plugin.services.errors import InvalidWorkflow, TooLarge

MAX_VALUES = 10_000
MAX_LOOKUPS = 100_000
"""How often things and files are looked up: a crate may name a thing many times, and that as many others."""
_FILE_TYPES = {"File", "MediaObject"}
_TRUTH = {"True": True, "False": False, "true": True, "false": False}


@dataclass(frozen=True)
class GivenFile:
    """A File or Directory in the crate, ``name`` there; or, without that, at an address elsewhere, ``location``."""

    kind: str
    basename: str
    name: str = ""
    location: str = ""
    secondary: tuple[GivenFile, ...] = ()


Given = dict[str, list[object]]
"""By the short name of an input, what it was given: texts, and :class:`GivenFile`."""


def given_in(metadata: CrateMetadata, workflow: Entity, files: CrateFiles) -> Given:
    """Return what the workflow of a crate was given; every file is there, and is what the crate says.

    Raises:
        BadRequest: a name leads out of the crate.
        InvalidWorkflow: a file is missing, or is another one.
        TooLarge: there are too many values, or too large ones.

    """
    reader = _Reader(metadata, files)
    inputs = {id_of(reference) for reference in as_list(workflow.get("input"))}
    found: Given = {}
    for number, thing in enumerate(metadata.all_of(metadata.action(workflow), "object")):
        if number == MAX_VALUES:
            raise TooLarge(f"The run of the crate was given more than {MAX_VALUES} values.")
        parameters = as_list(thing.get("exampleOfWork"))
        reader.count(len(parameters))
        for parameter in map(id_of, parameters):
            if parameter in inputs:
                found.setdefault(parameter.rpartition("#")[2].rpartition("/")[2], []).append(reader.value(thing))
    return found


class _Reader:
    """Makes values of entities; a file is read for its checksums once."""

    def __init__(self, metadata: CrateMetadata, files: CrateFiles) -> None:
        self._metadata, self._files = metadata, files
        self._checked: set[str] = set()
        self._lookups = 0

    def count(self, lookups: int) -> None:
        """Count what is looked up; raise :class:`TooLarge` for too much."""
        self._lookups += lookups
        if self._lookups > MAX_LOOKUPS:
            raise TooLarge(f"What the run of the crate was given names other things more than {MAX_LOOKUPS} times.")

    def value(self, thing: Entity) -> object:
        types = set(map(str, as_list(thing.get("@type"))))
        if types & _FILE_TYPES or "Dataset" in types:
            return self._file(thing, "Directory" if "Dataset" in types else "File")
        if "Collection" in types and (main := self._metadata.get(thing.get("mainEntity"))):
            self.count(len(as_list(thing.get("hasPart"))))
            others = [one for one in self._metadata.all_of(thing, "hasPart") if one is not main]
            secondary = tuple(found for one in others if isinstance(found := self._plain(one), GivenFile))
            found = self._plain(main)
            return GivenFile(found.kind, found.basename, found.name, found.location, secondary) if found else None
        return thing.get("value")

    def _plain(self, thing: Entity) -> GivenFile | None:
        types = set(map(str, as_list(thing.get("@type"))))
        is_folder = "Dataset" in types
        return self._file(thing, "Directory" if is_folder else "File") if is_folder or types & _FILE_TYPES else None

    def _file(self, thing: Entity, kind: str) -> GivenFile:
        identifier = str(thing["@id"])
        name = name_in_crate(identifier)
        told = thing.get("alternateName") or thing.get("name")
        basename = PurePosixPath(told if isinstance(told, str) else "").name
        if name is None:
            return GivenFile(kind, basename or PurePosixPath(identifier).name, location=identifier)
        inside = self._files.below(name) if kind == "Directory" else [name]
        if kind == "File" and name not in self._files:
            raise InvalidWorkflow(f"The run of the crate was given {name!r}, and that file is not in the crate.")
        self.count(len(inside))
        for one in inside:
            if one not in self._checked:
                self._checked.add(one)
                self._files.check(one, thing if kind == "File" else {})
        return GivenFile(kind, basename or PurePosixPath(name).name, name=name)


def files_in(given: Given) -> Iterator[GivenFile]:
    """Yield the files of the crate that a job needs; secondary files are in these."""
    for values in given.values():
        yield from (value for value in values if isinstance(value, GivenFile) and value.name)


def job_for(plan: Plan, given: Given, places: dict[GivenFile, str]) -> tuple[dict[str, object], list[str]]:
    """Return what was given as a job for a workflow, and the inputs that nothing fitting was found for.

    ``places`` are the locations of files now: of those that are not among them nothing is taken.
    """
    job: dict[str, object] = {}
    left_out = []
    known = {item.id for item in plan.inputs}
    for item in plan.inputs:
        values = [_now(value, places) for value in given.get(item.id, ())]
        if not values:
            continue
        for candidate in _candidates(values):
            if _is_sound(candidate) and fits(item.type, candidate):
                job[item.id] = candidate
                break
        else:
            left_out.append(item.id)
    return job, [*left_out, *(name for name in given if name not in known)]


def _now(value: object, places: dict[GivenFile, str]) -> object:
    if not isinstance(value, GivenFile):
        return value
    place = places.get(value)
    if place is None:
        return None
    made: dict[str, object] = {"class": value.kind, "location": place, "basename": value.basename}
    if secondary := [found for one in value.secondary if (found := _now(one, places))]:
        made["secondaryFiles"] = secondary
    return made


def _candidates(values: list[object]) -> Iterator[object]:
    """Yield what values may be in CWL, the likeliest first: crates have numbers, truth values and lists as text."""
    if len(values) == 1:
        yield values[0]
        if isinstance(values[0], str):
            yield from _read(values[0])
    yield values
    yield [next(_read(value), value) if isinstance(value, str) else value for value in values]


def _read(text: str) -> Iterator[object]:
    if text in _TRUTH:
        yield _TRUTH[text]
    try:
        yield strict_json.loads(text)
    except (ValueError, RecursionError):
        return


def _is_sound(value: object) -> bool:
    """Whether a job can have a value: what is nested too deeply, or has a null character in it, it can't."""
    try:
        check_texts(value)
    except JobError:
        return False
    return True
