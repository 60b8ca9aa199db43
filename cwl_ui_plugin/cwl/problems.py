"""From cwltool's and schema_salad's errors to problems with file, line and column, in words for users."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from cwltool.errors import WorkflowException
from schema_salad.exceptions import SchemaSaladException

from cwl_ui_plugin.cwl.errors import DocumentError, Problem

MOST_PROBLEMS = 50
LONGEST_MESSAGE = 1000
# cwltool writes "path:line:column: message" at the start of a message that carries no position of its own.
_POSITION = re.compile(r"^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+): *(?P<message>.*)$", re.DOTALL)
_FILE_URI = re.compile(r"file://(?P<path>/[^\s'\"#]*)")
_TRIED = re.compile(r",? ?tried\s.*$", re.DOTALL)


def explain(error: Exception, source: Path, main: str) -> DocumentError:
    """Return the error that a user is shown for what cwltool raised about a document."""
    found = problems_of(error, source)
    return DocumentError(f"{main} is not valid CWL.", found)


def problems_of(error: BaseException, source: Path) -> tuple[Problem, ...]:
    """Return each innermost cause as a problem; no path of this machine is in it."""
    found = list(dict.fromkeys(_problem(*cause, source) for cause in _causes(error)))
    found.sort(key=lambda problem: (problem.file or "", problem.line or 0))
    return tuple(found[:MOST_PROBLEMS])


def _causes(error: BaseException) -> Iterator[tuple[str, str | None, int | None, int | None]]:
    if isinstance(error.__cause__, SchemaSaladException):
        # cwltool wraps what is wrong with a step's tool into a text without positions.
        yield from _causes(error.__cause__)
    elif isinstance(error, SchemaSaladException):
        for leaf in error.leaves():
            line, column = leaf.start if leaf.start else (None, None)
            yield leaf.message, leaf.file, line, column
    elif isinstance(error, WorkflowException):
        yield str(error), None, None, None
    else:
        yield f"cwltool can't read it: {error!r}", None, None, None


def _problem(message: str, file: str | None, line: int | None, column: int | None, source: Path) -> Problem:
    if file is None:
        position = _POSITION.match(message.strip())
        if position:
            file, message = position["file"], position["message"]
            line, column = int(position["line"]), int(position["column"])
    text = _TRIED.sub("", _without_paths(message, source)).strip()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)[:LONGEST_MESSAGE]
    return Problem(text, file=_relative(file, source), line=line, column=column)


def _without_paths(message: str, source: Path) -> str:
    """Leave of the paths into the upload what the user knows: the part within it."""
    relative = os.path.relpath(source)
    for prefix in (source.as_uri() + "/", f"{source}/", f"{relative}/" if relative.startswith("..") else ""):
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
