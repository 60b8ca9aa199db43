"""Names of presets: what one may be, and which are the same."""

from __future__ import annotations

import hashlib
import json
import unicodedata

from cwl_ui_plugin.services.errors import BadRequest

MAX_NAME = 100
_JOINERS = "\u200c\u200d"
"""They are unseen, and part of how some scripts and emoji are written."""
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def checked_name(name: object) -> str:
    """Return a name as it is kept: composed, with single spaces; raise :class:`BadRequest` for what can't be one."""
    if not isinstance(name, str):
        raise BadRequest("Give the preset a name: a text.", field="name")
    if any(unicodedata.category(letter) in _UNSEEN and letter not in f"{_JOINERS}\t\n\r" for letter in name):
        raise BadRequest("The name of a preset can't have letters that nobody sees.", field="name")
    plain = " ".join(unicodedata.normalize("NFC", name[: 10 * MAX_NAME]).split())
    if not plain.strip(_JOINERS):
        raise BadRequest("Give the preset a name.", field="name")
    if len(plain) > MAX_NAME:
        raise BadRequest(f"The name of a preset has at most {MAX_NAME} characters.", field="name")
    return plain


def name_key(dag_id: str, owner: str | None, name: str) -> str:
    """Return what only one preset has: its workflow, its owner (None: it is shared) and its name, in any case."""
    return hashlib.sha256(json.dumps([dag_id, owner, name.casefold()]).encode()).hexdigest()
