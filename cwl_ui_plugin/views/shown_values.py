"""Values of a job or of outputs as people read them: short ones on a line, longer ones as lists that open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice

from cwl_ui_plugin.views.highlighting import visible

MAX_DEPTH = 6
MAX_ITEMS = 500
"""Of all lists and records in a value together."""
MAX_LINE = 160
MAX_TEXT = 20_000


@dataclass(frozen=True)
class ShownValue:
    """A value: ``text`` is all of it where it has no ``items``, else how many there are, of which some are given."""

    text: str
    items: tuple[tuple[str, ShownValue], ...] = ()
    is_long: bool = False
    is_cut: bool = False


def shown_value(value: object) -> ShownValue:
    """Return a value as it is shown; whatever it is, that is bounded."""
    return _Showing().shown(value, MAX_DEPTH)


class _Showing:
    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def shown(self, value: object, depth: int) -> ShownValue:
        if not isinstance(value, (list, dict)):
            return _scalar(value)
        if (line := _line(value)) is not None:
            return ShownValue(line)
        pairs = list(islice(value.items() if isinstance(value, dict) else _numbered(value), max(0, self._left)))
        if depth == 0:
            pairs = []
        self._left -= len(pairs)
        items = tuple((visible(str(name)), self.shown(item, depth - 1)) for name, item in pairs)
        count, noun = len(value), "field" if isinstance(value, dict) else "item"
        text = f"{count:,} {noun}{'' if count == 1 else 's'}"
        return ShownValue(text, items, is_long=count > 10, is_cut=len(items) < count)


def _numbered(value: list[object]) -> list[tuple[str, object]]:
    return [(str(number), item) for number, item in enumerate(value[:MAX_ITEMS], start=1)]


def _scalar(value: object) -> ShownValue:
    text = value if isinstance(value, str) else json.dumps(value)
    return ShownValue(
        visible(text[:MAX_TEXT]), is_long=len(text) > MAX_LINE or "\n" in text, is_cut=len(text) > MAX_TEXT
    )


def _line(value: list[object] | dict[str, object]) -> str | None:
    """Return a short list of plain values as a line; None for everything else."""
    if isinstance(value, dict):
        return "nothing" if not value else None
    if len(value) > MAX_LINE // 2 or any(isinstance(item, (list, dict)) for item in value):
        return None if value else "empty list"
    line = ", ".join(_scalar(item).text for item in value) or "empty list"
    return line if len(line) <= MAX_LINE and "\n" not in line else None
