"""Outputs that lead elsewhere: a tool may hand on its own files and its inputs, nothing else of the machine.

That goes for links (see the CWL standard on symbolic links in output directories, and its conformance test
``illegal_symlink``) and for what a document says: ``outputEval``, ``cwl.output.json``, the value of an ExpressionTool.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from cwl_ui_plugin.cwl.files import CLASSES, local_path, local_paths

_ELSEWHERE = ("_:", "http://", "https://")


def escaping_output(
    outputs: object, folders: tuple[Path, ...], inputs: object, may_read: Callable[[Path], bool] = lambda _path: True
) -> str | None:
    """Return the name of an output that leads out of ``folders`` to anything but an input, or None.

    ``outputs`` and ``inputs`` hold File and Directory objects at any depth. What is no link may also be what the run
    ``may_read``: an expression can make a File of a path.
    """
    own = {folder.resolve() for folder in folders}
    parents: dict[Path, Path] = {}
    outside = [(path, real) for path in _paths(outputs) if not _is_within(real := _real(path, parents), own)]
    outside = [(path, real) for path, real in outside if path.is_symlink() or not may_read(real)]
    if outside:
        given = {path.resolve() for path in local_paths(inputs)}
        outside = [(path, real) for path, real in outside if not _is_within(real, given)]
    return outside[0][0].name if outside else next(_strange(outputs), None)


def looping_link(outputs: object) -> str | None:
    """Return the name of an output that is a link to itself or to a folder that it is in, or None: it has no end."""
    return next((path.name for path in _paths(outputs) if path.is_symlink() and _is_loop(path)), None)


def _is_loop(link: Path) -> bool:
    try:
        target = link.resolve()
    except (OSError, RuntimeError):  # Python up to 3.12 raises RuntimeError for a link to itself
        return True
    if target.is_symlink():
        return True
    return target.is_dir() and link.parent.resolve().is_relative_to(target)


def _paths(outputs: object) -> Iterator[Path]:
    """Yield the path of every output, and of every link below one."""
    for path in local_paths(outputs):
        yield path
        for parent, folders, files in os.walk(path):
            yield from (link for name in (*folders, *files) if (link := Path(parent, name)).is_symlink())


def _real(path: Path, parents: dict[Path, Path]) -> Path:
    """Return a path with its links resolved; ``parents`` are those of folders that were asked for before."""
    if path.name in ("", "..") or path.is_symlink():
        return path.resolve()
    if path.parent not in parents:
        parents[path.parent] = path.parent.resolve()
    return parents[path.parent] / path.name


def _is_within(path: Path, roots: set[Path]) -> bool:
    return path in roots or any(parent in roots for parent in path.parents)


def _strange(node: object) -> Iterator[str]:
    """Yield the locations of Files and Directories that are no locations."""
    if isinstance(node, list):
        for item in node:
            yield from _strange(item)
    elif isinstance(node, dict):
        location = node.get("location")
        is_one = node.get("class") in CLASSES and location is not None and local_path(node) is None
        if is_one and not str(location).startswith(_ELSEWHERE):
            yield str(location)
        for value in node.values():
            yield from _strange(value)
