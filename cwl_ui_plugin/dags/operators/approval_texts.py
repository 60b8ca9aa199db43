"""What somebody is shown who is asked whether a step may run: Markdown, of which values can't make anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from cwl_ui_plugin.cwl.files import total_size
from cwl_ui_plugin.cwl.plan import CwlObject, Step
from cwl_ui_plugin.plain_words import bytes_text

MAX_FILES = 20
"""Of one value."""
MAX_VALUES = 50
MAX_VALUE = 200
"""Characters."""


def question(step: Step, message: str, values: Mapping[str, Any], page: str) -> str:
    """Return the text: the document's message, what the step would read, and where all of the run is shown.

    ``values`` are ``{full id: [value, status]}``.
    """
    lines = [_literal(message), ""] if message else []
    lines.append(f"The step {_code(step.label or step.id)} would run {_code(step.tool_name)}. It would read:")
    lines.append("")
    shown = list(values.items())[:MAX_VALUES]
    for name, (value, _status) in shown:
        lines += [f"* {_code(name.rpartition('#')[2])}: {text}" for text in [_preview(value)]]
    if len(values) > MAX_VALUES:
        lines.append(f"* and {len(values) - MAX_VALUES} more values")
    if not values:
        lines.append("* nothing")
    if page:
        lines += ["", f"[All of this run: steps, values, files]({page})"]
    return "\n".join(lines)


def _preview(value: object) -> str:
    files = list(_files(value))
    if not files:
        text = json.dumps(value, ensure_ascii=False, default=str)
        return _code(text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…")
    named = [_code(_name(item)) + _size(item) for item in files[:MAX_FILES]]
    more = [f"and {len(files) - MAX_FILES} more"] if len(files) > MAX_FILES else []
    return ", ".join(named + more)


def _files(value: object) -> Iterator[CwlObject]:
    if isinstance(value, list):
        for item in value:
            yield from _files(item)
    elif isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            yield value
        else:
            for item in value.values():
                yield from _files(item)


def _name(item: Mapping[str, object]) -> str:
    place = str(item.get("location") or item.get("path") or "")
    name = str(item.get("basename") or PurePosixPath(place).name or "a literal")
    return f"{name}/" if item.get("class") == "Directory" else name


def _size(item: Mapping[str, object]) -> str:
    size = total_size(item)
    return f" ({bytes_text(size)})" if size else ""


def _code(text: str) -> str:
    """Return a text as code of Markdown, in which nothing else means anything."""
    return f"`{' '.join(text.replace('`', chr(39)).split())[: MAX_VALUE + 1]}`"


def _literal(text: str) -> str:
    """Return a text as it is: a block of code, so that it makes no link, no picture and no heading."""
    return "\n".join(f"    {line}" for line in text.splitlines())
