"""From cwltool's and schema_salad's errors to problems with file, line and column, in words for users."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cwltool.errors import WorkflowException
from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import SchemaSaladException

from cwl_ui_plugin.cwl.errors import DocumentError, Problem
from cwl_ui_plugin.cwl.jobs.types import type_text
from cwl_ui_plugin.cwl.malformed_documents import NOT_IN_UPLOAD, empty, first_line_with, malformed

MAX_PROBLEMS = 50
MAX_MESSAGE = 1000
# cwltool writes "path:line:column: message" at the start of a message that carries no position of its own.
_POSITION = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+): *(?P<message>.*)$", re.DOTALL)
_FILE_URI = re.compile(r"file://(?P<path>/[^\s'\"#]*)")
_REMOTE_RUN = re.compile(r"Field 'run' contains undefined reference to '(?P<uri>https?://[^']*)'")
_CLASH = re.compile(
    r"Source\s+(?P<source>'[^']*')\s+of\s+type\s+(?P<made>.*?)\s+is\s+incompatible\s.*?with\s+sink\s+(?P<sink>'[^']*')"
    r"\s+of\s+type\s+(?P<taken>.*?)(?P<merged>\s+source\s+has\s+linkMerge\s+method\s+\w+)?\Z",
    re.DOTALL,
)
_ANOTHER_CLASH = re.compile(r"\n(?=\S+:\d+:\d+: *Source\s)")
# What a type would have to be, were it a record, an enum or an array: cwltool says it of each kind that it is not.
_NO_KIND_OF_TYPE = re.compile(r"is not a valid enum_[0-9a-f]{40}")
_MISSING_RUN = re.compile(r"Field 'run' contains undefined reference to '(?P<name>[^'#]+)(?:#[^']*)?'")
_MISSING = re.compile(rf"(?:run: )?(?P<name>.+) {NOT_IN_UPLOAD}\Z", re.DOTALL)
MAX_NAMED = 10
"""Names of missing files in one sentence."""
_NOT_READABLE = re.compile(r"(?P<name>.+?) (?:is not in the upload|is no text in UTF-8|is a folder|is nested deeper)")
_NO_MAPPING = re.compile(r"workflowjobj must be a dict, got <class '\w+'>: (?P<shown>.{0,60})")
_NO_TABS = (r"found character '\t' that", r"found a tab, where YAML takes spaces only: '\t'")
_OF_TYPES = ("type", "items", "symbols", "fields", "name")
_TRIED = re.compile(r",? ?tried\s.*$", re.DOTALL)


def explain(error: Exception, source: Path, main: str) -> DocumentError:
    """Return the error that a user is shown for what cwltool raised about a document."""
    is_explained = isinstance(error, (SchemaSaladException, WorkflowException))
    found = () if is_explained else malformed(source) or (empty(source) if isinstance(error, StopIteration) else ())
    found = found or tuple(_placed(problem, source) for problem in problems_of(error, source))
    missing = list(dict.fromkeys(match["name"] for problem in found if (match := _MISSING.fullmatch(problem.message))))
    if missing:
        return DocumentError(_incomplete(main, missing), found[:MAX_PROBLEMS])
    return DocumentError(f"{main} is not valid CWL.", found[:MAX_PROBLEMS])


def _incomplete(main: str, missing: list[str]) -> str:
    """Return what to do about files that a document names and nobody has sent."""
    more = len(missing) - MAX_NAMED
    named = ", ".join(missing[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    count = "a file that is" if len(missing) == 1 else f"{len(missing)} files that are"
    return (
        f"{main} needs {count} not in the upload: {named}. Choose the folder that has them all, or a zip of it; "
        "folders in it must be as the documents name them."
    )


def problem_at(message: str, node: object, source: Path) -> Problem:
    """Return a problem with the place of a part of a loaded document, as far as the parser has kept it."""
    place = getattr(node, "lc", None)
    if place is None or place.line is None:
        return Problem(message)
    return Problem(message, file=_relative(getattr(place, "filename", None), source), line=place.line + 1)


def _placed(problem: Problem, source: Path) -> Problem:
    """Return a problem with the line that names the file that it is about, if it has no place yet."""
    missing = None if problem.file else _NOT_READABLE.match(problem.message)
    if not missing:
        return problem
    name = missing["name"].rpartition("/")[2]
    file, line = first_line_with(source, name) if name != "." else (None, None)
    return replace(problem, file=file, line=line)


def problems_of(error: BaseException, source: Path) -> tuple[Problem, ...]:
    """Return each innermost cause as a problem; no path of this machine is in it."""
    found = list(dict.fromkeys(_problem(*cause, source) for cause in _causes(error)))
    found = [problem for problem in found if problem.message and not _NO_KIND_OF_TYPE.search(problem.message)] or found
    found.sort(key=lambda problem: (problem.file or "", problem.line or 0))
    return tuple(found[:MAX_PROBLEMS])


def _causes(error: BaseException) -> Iterator[tuple[str, str | None, int | None, int | None]]:
    if isinstance(error.__cause__, SchemaSaladException):
        # cwltool wraps what is wrong with a step's tool into a text without positions.
        yield from _causes(error.__cause__)
    elif isinstance(error, SchemaSaladException):
        for leaf in error.leaves():
            line, column = leaf.start if leaf.start else (None, None)
            for message in _ANOTHER_CLASH.split(leaf.message):
                yield message, leaf.file, line, column
    elif isinstance(error, WorkflowException):
        yield str(error), None, None, None
    elif isinstance(error, YAMLError):
        yield " ".join(str(error).split()), None, None, None
    elif no_mapping := _NO_MAPPING.match(str(error)):
        yield f"a document that is run is no mapping, but {no_mapping['shown']!r}", None, None, None
    else:
        yield f"cwltool can't read it: {error!r}", None, None, None


def _problem(message: str, file: str | None, line: int | None, column: int | None, source: Path) -> Problem:
    if file is None:
        position = _POSITION.match(message.strip())
        if position:
            file, message = position["file"], position["message"]
            line, column = int(position["line"]), int(position["column"])
    text = _TRIED.sub("", _without_paths(message, source)).strip()
    text = _in_cwl_notation(_REMOTE_RUN.sub(_network_is_off, text))
    text = _MISSING_RUN.sub(rf"run: \g<name> {NOT_IN_UPLOAD}", text).replace(*_NO_TABS)
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)[:MAX_MESSAGE]
    return Problem(text, file=_relative(file, source), line=line, column=column)


def _network_is_off(found: re.Match[str]) -> str:
    return (
        f"run: {found['uri']} is on the network, and nothing is fetched from there. Put the file into the upload, or "
        "let an administrator allow its host in [cwl] fetch_hosts"
    )


def _in_cwl_notation(text: str) -> str:
    """Return a clash of types with the types as authors write them: ``string[]``, ``File?``.

    cwltool has them as JSON, broken into lines, and the place of the sink in the middle, which the problem has anyway.
    """
    if not (clash := _CLASH.search(text)):
        return text
    try:
        types = [type_text(_with_short_names(json.loads(clash[name]))) for name in ("made", "taken")]
    except (ValueError, KeyError, TypeError):
        return text
    source, sink, merged = clash["source"], clash["sink"], " ".join((clash["merged"] or "").split())
    text = f"Source {source} of type {types[0]} is incompatible with sink {sink} of type {types[1]}"
    return f"{text} ({merged})" if merged else text


def _with_short_names(declared: Any) -> Any:
    """Return a type whose names are the last parts of the URIs that cwltool has for them."""
    if isinstance(declared, str):
        return declared.rpartition("#")[2].rpartition("/")[2]
    if isinstance(declared, list):
        return [_with_short_names(part) for part in declared]
    return {key: _with_short_names(part) for key, part in declared.items() if key in _OF_TYPES}


def _without_paths(message: str, source: Path) -> str:
    """Leave of the paths into the upload what the user knows: the part within it."""
    relative = os.path.relpath(source)
    dotted = ".".join(source.parts[1:]) + "."  # schema_salad's names of types
    for prefix in (source.as_uri() + "/", f"{source}/", f"{relative}/" if relative.startswith("..") else "", dotted):
        if prefix:
            message = message.replace(prefix, "")
    return _FILE_URI.sub(lambda found: _seen_from(source, Path(unquote(found["path"]))), message)


def _seen_from(source: Path, path: Path) -> str:
    """Return a path outside of the upload as its author may have written it, without where the upload is."""
    shared = os.path.commonpath((source, path))
    return str(path) if shared == "/" else os.path.relpath(path, source)


def _relative(file: str | None, source: Path) -> str | None:
    if not file:
        return None
    path = Path(unquote(file.removeprefix("file://")))
    absolute = (Path.cwd() / path).resolve() if not path.is_absolute() else path.resolve()
    return absolute.relative_to(source).as_posix() if absolute.is_relative_to(source) else path.name
