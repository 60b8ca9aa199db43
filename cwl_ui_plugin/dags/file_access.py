"""Where the files of a job may be: what a worker can tell by itself, and what was granted to a run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.job_types import NOT_ALLOWED, FileRules


def file_rules(granted: Iterable[Path] = (), not_allowed: str = NOT_ALLOWED) -> FileRules:
    """Return the rules for files of a job: shared folders, and ``granted`` ones of those that are not everybody's."""
    return FileRules(
        base=config.inputs_folder(),
        roots=(*config.input_roots(), *granted),
        allow_network=config.flag("allow_network"),
        closed=config.closed_folders(),
        not_allowed=not_allowed,
    )
