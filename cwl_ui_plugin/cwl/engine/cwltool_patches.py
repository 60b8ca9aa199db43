"""What cwltool does anew in each process, or waits for, without need; done once, or not at all."""

from __future__ import annotations

import copy
import logging
from functools import cache
from types import SimpleNamespace
from typing import Any

from cwltool import builder, process
from cwltool.loghandler import _logger as cwltool_logger
from ruamel.yaml.comments import CommentedMap
from schema_salad.avro.schema import Names
from schema_salad.ref_resolver import Loader
from schema_salad.schema import make_avro_schema

_BOUND = "datum"


def take_shortcuts() -> None:
    """Change cwltool's modules, in this process and in those that it forks."""
    # Each Process asks for the same schemas of File, Directory and Any, and adds names of its own. For that it makes a
    # Loader, which makes an HTTP session.
    process.make_avro_schema = _base_names  # type: ignore
    process.Loader = _no_loader  # type: ignore
    builder.copy = SimpleNamespace(copy=copy.copy, deepcopy=_copied)  # type: ignore
    cwltool_logger.addFilter(_tells_something)
    _names_of_files()


def _copied(value: Any) -> Any:
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


def _no_loader(_context: Any) -> None:
    return None


def _base_names(_schemas: Any, _loader: Any) -> Names:
    names = copy.copy(_names_of_files())
    names.names = dict(names.names)
    return names


@cache
def _names_of_files() -> Names:
    process.get_schema("v1.0")  # the first Process sets the three schemas from it, and there may be none yet
    index: Any = process.SCHEMA_CACHE["v1.0"][3].idx
    names = ("cwl#File", "cwl#Directory", "salad#Any")
    return make_avro_schema([index[f"https://w3id.org/cwl/{name}"] for name in names], Loader({}))
