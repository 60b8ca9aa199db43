"""Between values and the texts of form fields, without losing anything on the way."""

from __future__ import annotations

import json
import math
import re
from typing import TypeGuard

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.cwl_types import CwlType

_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def number_of(text: str) -> int | float | str:
    """Return the number that a text is, or the text itself, so that a check can say what is wrong with it."""
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return int(stripped)
    if _DECIMAL.fullmatch(stripped) and math.isfinite(float(stripped)):
        return float(stripped)
    return text


def number_text(value: object) -> str:
    """Return what :func:`number_of` reads back."""
    return repr(value) if isinstance(value, float) else str(value)


def is_number(value: object) -> bool:
    """Whether a value is a number that a text field can hold."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (isinstance(value, float) or abs(value) < 10**4000)
        and math.isfinite(value if isinstance(value, float) else 0)
    )


def is_plain(text: object) -> TypeGuard[str]:
    """Whether a text field gives a text back as it is."""
    return isinstance(text, str) and strict_json.is_text(text) and not _CONTROL.search(text)


def is_line(text: object) -> TypeGuard[str]:
    """Whether a field of one line gives a text back as it is, and the text is not blank."""
    return is_plain(text) and bool(text.strip()) and "\n" not in text


def json_text(value: object) -> str:
    """Return a value as JSON for people."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text if is_plain(text) else json.dumps(value, indent=1)


def brief_type(declared: CwlType) -> str:
    """Return a type as people write it, without what the controls show anyway: symbols and fields."""
    if isinstance(declared, list):
        text = " or ".join(brief_type(part) for part in declared if part != "null")
        return f"{text}?" if "null" in declared else text
    if isinstance(declared, str):
        return declared
    if declared["type"] != "array":
        return str(declared["type"])
    text = brief_type(declared["items"])
    return f"({text})[]" if " " in text else f"{text}[]"


def canonical(value: object) -> str:
    """Return a text that is the same for the same JSON value, and tells 1 from 1.0 and true."""
    return json.dumps(value, sort_keys=True)


def lines_of(text: str) -> list[str]:
    """Return the lines of a pasted text that are not blank."""
    return [line.strip() for line in text.splitlines() if line.strip()]
