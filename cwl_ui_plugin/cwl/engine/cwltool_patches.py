"""What cwltool does anew in each process, or waits for, without need; done once, or not at all."""

from __future__ import annotations

import copy
import logging
from functools import cache

from ruamel.yaml.comments import CommentedMap

from cwl_ui_plugin.cwl.engine import cwltool_internals
from cwl_ui_plugin.cwl.engine.cwltool_internals import Names

_BOUND = "datum"


def apply_cwltool_patches() -> None:
    """Change cwltool's modules, in this process and in those that it forks."""
    # Each Process asks for the same schemas of File, Directory and Any, and adds names of its own. For that it makes a
    # Loader, which makes an HTTP session.
    cwltool_internals.replace_schema_making(_base_names)
    cwltool_internals.replace_deepcopy(_copied)
    cwltool_internals.logger.addFilter(_tells_something)
    _names_of_files()


def _copied(value: object) -> object:
    """Return a deep copy as cwltool's Builder makes of an input's binding, but without the value that is bound.

    It copies the binding of a list, and with it the whole list, for each of the list's items, and then puts the item in
    the list's place.
    """
    if isinstance(value, CommentedMap) and _BOUND in value:
        value = CommentedMap((key, part) for key, part in value.items() if key != _BOUND)
    return copy.deepcopy(value)


def _tells_something(record: logging.LogRecord) -> bool:
    """Whether a message is more than that a workflow of one step goes on: each line costs a task a millisecond.

    Command lines, how each command ended, skipped steps and whatever went wrong stay.
    """
    if record.levelno > logging.INFO:
        return True
    return record.module != "workflow_job" or "skipped" in str(record.msg)


def _base_names(i: object, loader: object) -> Names:
    return cwltool_internals.copy_names(_names_of_files())


@cache
def _names_of_files() -> Names:
    return cwltool_internals.schema_names("cwl#File", "cwl#Directory", "salad#Any")
