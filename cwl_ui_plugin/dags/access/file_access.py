"""Where the files of a job, and of values between tasks, may be: what a worker knows, and what a run was granted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.files import SCHEME, file_objects
from cwl_ui_plugin.cwl.jobs.types import NOT_ALLOWED, FileRules
from cwl_ui_plugin.fetching.site import host_rules, storage_rules

_LITERAL = "_:"
"""What cwltool calls a file that is on no disk yet."""


def file_rules(granted: Iterable[Path] = (), not_allowed: str = NOT_ALLOWED) -> FileRules:
    """Return the rules for files of a job: shared folders, and ``granted`` ones of those that are not everybody's."""
    granted = tuple(granted)
    return FileRules(
        base=config.inputs_folder(),
        roots=(*config.input_roots(), *granted),
        hosts=host_rules(),
        storage=storage_rules(granted),
        closed=config.closed_folders(),
        not_allowed=not_allowed,
    )


def check_values(values: object, may_read: Callable[[Path], bool]) -> None:
    """Raise :class:`JobError` for files in values of other tasks that this run may not read, their links resolved.

    Airflow lets users change what its tasks hand on.
    """
    for item in file_objects(values):
        for location in (item.get("location"), item.get("path")):
            if location is not None and not _is_readable(location, may_read):
                raise JobError(
                    f"An earlier task has handed on a file that this run may not read: {str(location)[:200]}. "
                    "Clear that task, to have it run again."
                )


def _is_readable(location: object, may_read: Callable[[Path], bool]) -> bool:
    if not isinstance(location, str):
        return False
    if location.startswith(_LITERAL):
        return True
    path = unquote(location.removeprefix(SCHEME))
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        return False
    return may_read(Path(path).resolve())
