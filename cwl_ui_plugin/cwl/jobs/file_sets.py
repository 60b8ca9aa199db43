"""From the files of a watched folder to sets, and from a set to the job of its run. Nothing here reads the disk."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cwl_ui_plugin.cwl.cwl_types import OneType, kinds_but_null, kinds_of
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.file_patterns import Pattern, PatternError, parse
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.plan import Parameter, Plan

SETTLE_SECONDS = 10
MAX_SETTLE_SECONDS = 7 * 24 * 3600
RUN_PREFIX = "folder-"
"""What the name of a run that a set has started begins with."""
_MAX_SLUG = 60
_MAX_TEXT = 4000
_NOT_IN_RUN_IDS = re.compile(r"[^A-Za-z0-9_.~:+-]+|\.{2,}")  # Airflow takes no '..'
_WORDS = frozenset({"string", "Any"})


@dataclass(frozen=True)
class WatchedInput:
    """What an input is given: the files of a pattern, or the text of a group of it."""

    name: str
    pattern: Pattern | None = None
    group: str | None = None
    shape: str = "one"
    """``one`` file, a ``list`` of them, or a ``record``."""
    fields: tuple[str, ...] = ()
    is_optional: bool = False


@dataclass(frozen=True)
class Watch:
    """A watched folder: which of its files are given to which input, and when they are complete.

    ``settle`` is for how many seconds no file of a set may have changed; ``marker`` is a file that must be there, too.
    """

    folder: Path
    inputs: tuple[WatchedInput, ...]
    marker: Pattern | None = None
    settle: float = SETTLE_SECONDS

    @property
    def patterns(self) -> list[tuple[WatchedInput | None, Pattern]]:
        """All patterns, each with its input; that of the marker has none."""
        found: list[tuple[WatchedInput | None, Pattern]] = [
            (item, item.pattern) for item in self.inputs if item.pattern
        ]
        return found + ([(None, self.marker)] if self.marker else [])

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that tell one set from another."""
        return next((pattern.groups for _input, pattern in self.patterns if pattern.groups), ())

    @property
    def depth(self) -> int:
        """How many folders deep its files lie."""
        return max(pattern.depth for _input, pattern in self.patterns)


@dataclass(frozen=True)
class Found:
    """A file of the folder: its path relative to it, and what changes while it is written."""

    path: str
    size: int
    modified_ns: int


@dataclass
class FileSet:
    """Files that belong together. ``files`` is by input, then by alternative of its pattern."""

    groups: dict[str, str]
    files: dict[str, dict[int, list[Found]]] = field(default_factory=dict)
    marker: list[Found] = field(default_factory=list)
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: the texts of its groups, or its first file."""
        return ", ".join(self.groups.values()) or next((file.path for file in self.all_files()), "")

    def all_files(self) -> list[Found]:
        """Return all of its files, in order of inputs and alternatives, the marker last."""
        return [file for name in self.files for file in self.of(name)] + self.marker

    def of(self, name: str) -> list[Found]:
        """Return the files of an input, in the order of the alternatives, then by name."""
        chosen = self.files.get(name, {})
        return [file for number in sorted(chosen) for file in sorted(chosen[number], key=lambda found: found.path)]

    def key(self, watch: Watch) -> str:
        """Return what tells it from all other sets that a folder ever had: the folder and the names of its files.

        With a ``*`` these are its groups: that a file more is there makes no other set.
        """
        by_names = {} if any(pattern.has_star for _input, pattern in watch.patterns) else self.files
        names = sorted(file.path for name in by_names for file in self.of(name))
        text = json.dumps([str(watch.folder), sorted(self.groups.items()), names])
        return hashlib.sha256(text.encode()).hexdigest()


def read_watch(settings: Mapping[str, object], plan: Plan) -> Watch:
    """Return what the settings of a schedule say for a workflow; raise :class:`WatchProblems`.

    ``{"folder": path, "files": {input: pattern}, "names": {input: group}, "marker": pattern?, "settle": seconds?}``.
    """
    problems: list[Problem] = []
    known = {item.id: item for item in plan.inputs}
    files, names = _texts(settings, "files", problems), _texts(settings, "names", problems)
    for name in sorted((files.keys() | names.keys()) - known.keys()):
        problems.append(Problem("The workflow has no such input.", input=name))
    inputs = [_file_input(known[name], text, problems) for name, text in files.items() if name in known]
    groups = tuple(dict.fromkeys(group for item in inputs if item and item.pattern for group in item.pattern.groups))
    inputs += [_name_input(known[name], text, groups, problems) for name, text in names.items() if name in known]
    marker = _pattern(settings.get("marker") or None, "marker", problems)
    watch = Watch(
        folder=Path(_folder(settings, problems)),
        inputs=tuple(item for item in inputs if item),
        marker=marker,
        settle=_settle(settings, problems),
    )
    if not files:
        problems.append(Problem("At least one input must be given a pattern of files."))
    elif not problems:
        problems += _mixed_groups(watch)
    if problems:
        raise WatchProblems(tuple(problems))
    return watch


class WatchProblems(ValueError):
    """Settings of a watched folder that can't be used; ``problems`` names the inputs."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def sets_of(watch: Watch, files: Iterable[Found]) -> tuple[list[FileSet], list[Found]]:
    """Return the sets that files make, sorted by name, each with what is missing; and files that no pattern takes."""
    sets: dict[tuple[str, ...], FileSet] = {}
    shared: list[tuple[WatchedInput | None, int, Found]] = []
    others: list[Found] = []
    for file in files:
        is_taken = False
        for item, pattern in watch.patterns:
            for number, groups in pattern.match(file.path):
                is_taken = True
                if watch.groups and not pattern.groups:
                    shared.append((item, number, file))
                    continue
                made = sets.setdefault(tuple(groups.get(name, "") for name in watch.groups), FileSet(groups))
                _put(made, item, number, file)
        if not is_taken:
            others.append(file)
    for made in sets.values():
        for item, number, file in shared:
            _put(made, item, number, file)
        made.missing = tuple(_missing(watch, made))
    return sorted(sets.values(), key=lambda found: found.name), others


def job_of(watch: Watch, files: FileSet) -> dict[str, object]:
    """Return what a complete set gives to the inputs of its run."""
    job: dict[str, object] = {}
    for item in watch.inputs:
        if item.pattern is None:
            job[item.name] = files.groups[item.group or ""]
        elif found := files.of(item.name):
            job[item.name] = _shaped(item, [{"class": "File", "path": str(watch.folder / file.path)} for file in found])
    return job


def run_id_of(watch: Watch, files: FileSet) -> str:
    """Return the name of the run that a set starts: always the same, so that it is there once."""
    slug = _NOT_IN_RUN_IDS.sub("_", "-".join(files.groups.values()) or files.name)[:_MAX_SLUG]
    return f"{RUN_PREFIX}{slug}-{files.key(watch)[:12]}"


def _put(made: FileSet, item: WatchedInput | None, number: int, file: Found) -> None:
    place = made.marker if item is None else made.files.setdefault(item.name, {}).setdefault(number, [])
    place.append(file)


def _missing(watch: Watch, made: FileSet) -> Iterable[str]:
    for item, pattern in watch.patterns:
        there = made.files.get(item.name, {}) if item else ({0: made.marker} if made.marker else {})
        if item and item.is_optional and not there:
            continue
        for number in range(len(pattern.alternatives)):
            if number not in there:
                yield pattern.filled(number, made.groups)


def _shaped(item: WatchedInput, files: list[Mapping[str, object]]) -> object:
    if item.shape == "record":
        return dict(zip(item.fields, files, strict=True))
    return files if item.shape == "list" else files[0]


def _texts(settings: Mapping[str, object], name: str, problems: list[Problem]) -> dict[str, str]:
    """Return a mapping of inputs to texts, without those that are empty."""
    given = settings.get(name) or {}
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for text in given.values()):
        problems.append(Problem(f"{name!r} must be an object of texts, by input."))
        return {}
    return {str(key): text.strip() for key, text in given.items() if text.strip()}


def _folder(settings: Mapping[str, object], problems: list[Problem]) -> str:
    folder = settings.get("folder")
    if not isinstance(folder, str) or not folder.startswith("/") or "\0" in folder or len(folder) > _MAX_TEXT:
        problems.append(Problem("The folder must be an absolute path, such as /data/incoming."))
        return "/"
    return folder


def _settle(settings: Mapping[str, object], problems: list[Problem]) -> float:
    seconds = settings.get("settle", SETTLE_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1 <= seconds <= MAX_SETTLE_SECONDS:
        problems.append(Problem(f"The settle time is a number of seconds from 1 to {MAX_SETTLE_SECONDS}."))
        return SETTLE_SECONDS
    return float(seconds)


def _pattern(text: object, place: str, problems: list[Problem]) -> Pattern | None:
    if text is None:
        return None
    try:
        return parse(text if isinstance(text, str) else "")
    except PatternError as error:
        problems.append(Problem(str(error), input=place))
        return None


def _file_input(parameter: Parameter, text: str, problems: list[Problem]) -> WatchedInput | None:
    pattern = _pattern(text, parameter.id, problems)
    if pattern is None:
        return None
    kinds = [kind for kind in kinds_but_null(parameter.type) if _shape(kind)]
    if not kinds:
        problems.append(
            Problem(
                f"It is {type_text(parameter.type)}; a pattern is for a File, a list of Files or a record of Files.",
                input=parameter.id,
            )
        )
        return None
    many = pattern.has_star or len(pattern.alternatives) > 1
    for kind in kinds:
        shape, fields = _shape(kind) or ("", ())
        fits = {
            "one": not many,
            "list": True,
            "record": len(fields) == len(pattern.alternatives) and not pattern.has_star,
        }
        if fits[shape]:
            return WatchedInput(parameter.id, pattern, None, shape, fields, parameter.is_optional)
    problems.append(
        Problem(
            f"The pattern {text!r} stands for {'any number of' if pattern.has_star else len(pattern.alternatives)} "
            f"files, but the input is {type_text(parameter.type)}.",
            input=parameter.id,
        )
    )
    return None


def _shape(kind: OneType) -> tuple[str, tuple[str, ...]] | None:
    """Return how files are given to a type, and the fields of a record; None for a type that takes none."""
    if kind == "File":
        return "one", ()
    if isinstance(kind, dict) and kind["type"] == "array" and "File" in kinds_but_null(kind["items"]):
        return "list", ()
    if isinstance(kind, dict) and kind["type"] == "record":
        fields = [part for part in kind["fields"] if "File" in kinds_but_null(part["type"])]
        others = [part for part in kind["fields"] if part not in fields and "null" not in kinds_of(part["type"])]
        return None if others else ("record", tuple(part["name"] for part in fields))
    return None


def _name_input(
    parameter: Parameter, group: str, groups: tuple[str, ...], problems: list[Problem]
) -> WatchedInput | None:
    group = group.strip("{}")
    if group not in groups:
        known = ", ".join(f"{{{name}}}" for name in groups) or "none"
        problems.append(Problem(f"No pattern has the group {{{group}}}; there is {known}.", input=parameter.id))
        return None
    if not _WORDS & {kind for kind in kinds_but_null(parameter.type) if isinstance(kind, str)}:
        problems.append(Problem(f"It is {type_text(parameter.type)}; a group is a string.", input=parameter.id))
        return None
    return WatchedInput(parameter.id, None, group)


def _mixed_groups(watch: Watch) -> list[Problem]:
    """Patterns with groups must have the same ones: else it could not be told which files belong together."""
    return [
        Problem(
            f"Its groups are {', '.join(pattern.groups)}, those of another pattern {', '.join(watch.groups)}: all "
            "patterns that have groups must have the same.",
            input=item.name if item else "marker",
        )
        for item, pattern in watch.patterns
        if pattern.groups and set(pattern.groups) != set(watch.groups)
    ]
