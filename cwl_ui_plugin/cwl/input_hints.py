"""In which order inputs are shown, and under which label: as their author wrote them, or as the workflow hints.

SciDAP's workflows carry hints in their own namespace: ``sd:preview: {position: 1}``, ``sd:layout: {advanced: true}``,
and a ``label`` in one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cwl_ui_plugin.cwl.plan import Parameter

# "sd:preview", or what it becomes where the document declares the namespace: "https://scidap.com/preview".
_HINT = re.compile(r"^(?:sd:|https?://[^/]*scidap[^/]*/(?:.*[/#])?)(?P<name>preview|layout|localLabel)$")


def ordered(inputs: Iterable[Parameter]) -> list[Parameter]:
    """Return the inputs that have hinted positions, by these, and then the others as in the document."""
    return sorted(inputs, key=_position)


def title(item: Parameter) -> str:
    """Return what an input is called for people."""
    hints = _hints(item)
    labels = [hints.get("localLabel"), *(_entry(hints, name, "label") for name in ("preview", "layout"))]
    return next((label for label in [*labels, item.label] if isinstance(label, str) and label.strip()), item.id)


def is_advanced(item: Parameter) -> bool:
    """Whether the workflow would hide an optional input from most people."""
    return item.is_optional and _entry(_hints(item), "layout", "advanced") is True


def _position(item: Parameter) -> float:
    position = _entry(_hints(item), "preview", "position")
    if isinstance(position, (int, float)) and not isinstance(position, bool) and position == position:
        return float(position)
    return float("inf")


def _hints(item: Parameter) -> dict[str, object]:
    matches = ((_HINT.match(key), value) for key, value in item.extras.items())
    return {match["name"]: value for match, value in matches if match}


def _entry(hints: Mapping[str, object], name: str, key: str) -> object:
    hint = hints.get(name)
    return hint.get(key) if isinstance(hint, dict) else None
