"""How large and how deep a YAML text is, before anything is built of it.

A few lines with aliases can stand for more than any memory holds; parsers call themselves for each level, and crash.
"""

from __future__ import annotations

import yaml

MAX_DEPTH = 500
"""Levels of a document; those of people have thirty."""
MAX_NODES = 1_000_000
_Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STARTS = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_ENDS = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def what_is_wrong(text: str) -> str | None:
    """Return why no parser should try a text, such as ``is nested deeper than 500 levels; ...``; None for any other."""
    if is_too_deep(text):
        return f"is nested deeper than {MAX_DEPTH} levels; write it flatter"
    if multiplies(text):
        return f"has aliases (*name) that stand for more than {MAX_NODES:,} values; write less"
    if contains_itself(text):
        return "has an alias (*name) within what it stands for, which has no end; give the part itself"
    return None


def is_too_deep(text: str | bytes) -> bool:
    """Whether a text is nested deeper than :data:`MAX_DEPTH`; the brackets of what is no YAML count, too."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, _STARTS) - isinstance(event, _ENDS)
            if depth > MAX_DEPTH:
                return True
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return False


def contains_itself(text: str) -> bool:
    """Whether an alias stands within what it names."""
    if "&" not in text or "*" not in text:
        return False
    anchors: list[str | None] = []
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, _STARTS):
                anchors.append(event.anchor)
            elif isinstance(event, _ENDS):
                anchors.pop()
            elif isinstance(event, yaml.AliasEvent) and event.anchor in anchors:
                return True
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return False


def multiplies(text: str) -> bool:
    """Whether a text has more than :data:`MAX_NODES` nodes, each counted as often as an alias names it."""
    return "&" in text and "*" in text and _nodes(text) > MAX_NODES


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
