"""Which steps evaluate JavaScript: their Node.js can boot while the task gets ready."""

from __future__ import annotations

import re
from typing import Any

from cwl_utils.sandboxjs import param_str
from cwltool.process import Process
from cwltool.workflow import Workflow

_REFERENCE = re.compile(param_str.removesuffix("$"))
_NOT_EVALUATED = ("doc", "label", "expressionLib", "run", "id")


def uses_javascript(process: Process, *around: Any) -> bool:
    """Whether a process, or the documents ``around`` it, such as its step, have expressions that are JavaScript.

    A reference such as ``$(inputs.file.path)`` is none: cwltool evaluates it by itself.
    """
    if isinstance(process, Workflow) and any(uses_javascript(step.embedded_tool, step.tool) for step in process.steps):
        return True
    return any(_has_javascript(document) for document in (process.tool, process.requirements, *around))


def _has_javascript(node: Any) -> bool:
    if isinstance(node, str):
        return "${" in node or any(not _REFERENCE.match(f"({part}") for part in node.split("$(")[1:])
    if isinstance(node, list):
        return any(_has_javascript(item) for item in node)
    if isinstance(node, dict):
        return any(_has_javascript(value) for key, value in node.items() if key not in _NOT_EVALUATED)
    return False
