"""Bytes as text: which encoding, whether it is text at all, and its whole lines."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import replace

from cwl_ui_plugin.services.previewing.models import SOURCE, TEXT, TEXT_BYTES, Beginning, Preview

_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_BYTE_ORDERS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FEW = 0.02
MAX_INDENTED = 4 * TEXT_BYTES
"""Characters of JSON after indenting; of more it is shown as it is in the file."""
SOURCES = frozenset((".json", ".yml", ".yaml", ".cwl", ".py", ".js", ".sh"))


def decoded(content: bytes, *, is_part: bool) -> tuple[str, str] | None:
    """Return bytes as text, and what must be said about its encoding; None for what is no text."""
    for mark, encoding in _BYTE_ORDERS:
        if content.startswith(mark):
            name = "" if encoding == "utf-8-sig" else "The file is UTF-16, which most tools of CWL do not read."
            return content.decode(encoding, "replace"), name
    if b"\0" in content:
        return None
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        if is_part and error.start >= len(content) - 3:  # a character that is cut
            return content[: error.start].decode("utf-8"), ""
    if len(_CONTROLS.findall(content)) > _FEW * len(content) or _is_mostly_high(content):
        return None
    return content.decode("latin-1"), "The file is not UTF-8; it is shown as Latin-1."


def _is_mostly_high(content: bytes) -> bool:
    """Whether more than a third is no ASCII: no text of an older encoding has that in the Latin script."""
    return sum(byte > 127 for byte in content[:4096]) * 3 > len(content[:4096])


def whole_lines(text: str, *, is_part: bool) -> list[str]:
    """Return the lines of a text, without one that is cut at its end."""
    lines = text.split("\n")
    if (is_part and len(lines) > 1) or not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def text_preview(found: Beginning, text: str, note: str, suffix: str) -> Preview:
    """Return a preview of a text; of JSON it is indented, and what is wrong with it is told."""
    shown = Preview(
        SOURCE if suffix in SOURCES else TEXT,
        found.size,
        text=text,
        note=note,
        problem=found.problem,
        is_part=found.is_part,
        is_compressed=found.is_compressed,
    )
    return _json(shown) if suffix == ".json" and not found.is_part and text.strip() else shown


def _json(shown: Preview) -> Preview:
    try:
        indented = _indented(json.loads(shown.text))
    except RecursionError:
        return replace(shown, problem="This JSON is nested too deeply to be indented.")
    except json.JSONDecodeError as error:
        return replace(shown, problem=f"This is no valid JSON: line {error.lineno}, column {error.colno}: {error.msg}.")
    except ValueError as error:  # a number of too many digits
        return replace(shown, problem=f"This is no valid JSON: {error}.")
    if indented is None:
        return replace(shown, note=f"{shown.note} It is shown as it is: indented it would be too long.".strip())
    return replace(shown, text=indented)


def _indented(value: object) -> str | None:
    """Return JSON with indentation; None where that is long: each level of brackets makes each of its lines longer."""
    parts: list[str] = []
    length = 0
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        length += len(part)
        if length > MAX_INDENTED:
            return None
        parts.append(part)
    return "".join(parts)
