"""JSON without what Python's reader lets pass: a key twice, NaN, numbers beyond a double, bytes that are not UTF-8."""

from __future__ import annotations

import json
import math


def loads(text: str | bytes) -> object:
    """Return the value of a JSON text; raise ValueError, or RecursionError where it is nested too deeply."""
    if isinstance(
        text, bytes
    ):  # Python's reader guesses UTF-16 and UTF-32, others take the same bytes for something else
        text = text.decode("utf-8")
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant, parse_float=_finite)


def is_text(text: str) -> bool:
    """Whether any database and encoding can keep a text: no null character, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} is there twice")
        found[key] = value
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value
