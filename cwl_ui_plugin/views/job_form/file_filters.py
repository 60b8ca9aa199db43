"""Which files of a folder an input may mean, so that a chooser shows these first: by format, or as the workflow hints.

A filter only helps to find files: the chooser can always show all of them, and a job is checked all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cwl_ui_client.names import is_expression

from cwl_ui_plugin.cwl import edam, hints
from cwl_ui_plugin.cwl.jobs.files import formats
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.services.inputs.entries import MAX_MATCH, MAX_PATTERNS, MAX_STARS

MAX_GLOB = 100
_FIELDS = (f"{hints.NAMESPACE}files", "cwl-ui:files")
"""``cwl-ui:files: "*_R1.fastq.gz"`` (or a list), a field of an input."""


@dataclass(frozen=True)
class FileFilter:
    """``globs`` are patterns of names for the server's browser; ``accept`` is for the browser's own file dialog."""

    globs: tuple[str, ...] = ()
    accept: str = ""


def filter_of(item: Parameter) -> FileFilter:
    """Return the filter for the files of an input; an empty one where anything will do, or nothing is known."""
    globs = tuple(_hinted(item)) or tuple(f"*.{extension}" for extension in _extensions(item))
    if not globs or len(globs) > MAX_PATTERNS or len(" ".join(globs)) > MAX_MATCH:
        return FileFilter()
    secondary = (str(entry["pattern"]) for entry in item.secondary_files)
    beside = (_ending(pattern.rstrip("?")) for pattern in secondary if not is_expression(pattern))
    endings = [ending for glob in globs for ending in _endings(glob)]
    if not all(endings):
        return FileFilter(globs)
    return FileFilter(globs, ",".join(dict.fromkeys([*endings, *filter(None, beside)])))


def _extensions(item: Parameter) -> list[str]:
    known = [edam.extensions(address) for address in formats(item)]
    return list(dict.fromkeys(name for names in known for name in names)) if all(known) else []


def _hinted(item: Parameter) -> Iterable[str]:
    for field in _FIELDS:
        value = item.extras.get(field)
        for glob in value if isinstance(value, list) else [value]:
            if isinstance(glob, str) and _is_pattern(glob):
                yield glob


def _is_pattern(glob: str) -> bool:
    """Whether it is one pattern that the server's browser takes."""
    return 0 < len(glob) <= MAX_GLOB and glob.count("*") <= MAX_STARS and not any(map(str.isspace, glob))


def _endings(glob: str) -> Iterable[str]:
    """Yield ``.fastq.gz``, and ``.gz``: some systems know the last extension only."""
    yield _ending(glob)
    if glob.endswith(".gz"):
        yield glob[glob.rindex(".", 0, -3) :] if "." in glob[:-3] else ".gz"


def _ending(pattern: str) -> str:
    """Return the last extension of a pattern of names, with its dot; nothing where that may be any."""
    _stem, dot, extension = pattern.rpartition(".")
    return f".{extension.lower()}" if dot and extension.isalnum() else ""
