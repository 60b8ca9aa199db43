"""How large a YAML text becomes when its aliases are followed: a few lines can stand for more than any memory holds."""

from __future__ import annotations

from typing import Any

import yaml

MOST_NODES = 1_000_000
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STARTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def multiplies(text: str) -> bool:
    """Whether a text has more than :data:`MOST_NODES` nodes, each counted as often as an alias names it."""
    return "&" in text and "*" in text and _nodes(text) > MOST_NODES


def _nodes(text: str) -> int:
    """Count without building anything; what is no YAML, or names an anchor within itself, is left to its reader."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, _STARTS):
                open_nodes.append((event.anchor, 1))
                continue
            if isinstance(event, _ENDS):
                anchor, size = open_nodes.pop()
            elif isinstance(event, yaml.AliasEvent):
                anchor, size = None, sizes.get(str(event.anchor), 1)
            elif isinstance(event, yaml.ScalarEvent):
                anchor, size = event.anchor, 1
            else:
                continue
            if anchor:
                sizes[anchor] = size
            outer, before = open_nodes.pop()
            open_nodes.append((outer, before + size))
    except (yaml.YAMLError, RecursionError):
        return 0
    return open_nodes[0][1]
