"""Ids and page tokens of WES: opaque to clients, and the same for the same run or page as long as it is there.

They hide nothing: who may see what is asked of the auth manager, whatever id somebody makes up.
"""

from __future__ import annotations

import base64
import binascii

from cwl_ui_plugin.services.errors import BadRequest, NotFound
from cwl_ui_plugin.strict_json import is_text

_MAX_ID = 4000


def run_id_of(dag_id: str, run_id: str) -> str:
    """Return the one id that WES has for a run; a dag_id has no slash."""
    return _encoded(f"{dag_id}/{run_id}")


def run_of(wes_id: str) -> tuple[str, str]:
    """Return dag_id and run_id; raise :class:`NotFound` for an id that no run can have."""
    dag_id, _, run_id = (_decoded(wes_id) or "").partition("/")
    if not dag_id or not run_id:
        raise NotFound(f"There is no run {wes_id[:80]!r}.")
    return dag_id, run_id


def page_token(position: int) -> str:
    """Return the token of the page that begins behind a position."""
    return _encoded(f"after {position}")


def position_of(token: str) -> int | None:
    """Return the position that a page begins behind, None for the first; raise :class:`BadRequest`."""
    if not token:
        return None
    word, _, number = (_decoded(token) or "").partition(" ")
    if word != "after" or not number.isascii() or not number.isdigit() or len(number) > 18:
        raise BadRequest("This is no page_token of this service: take next_page_token of the page before.")
    return int(number)


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(text: str) -> str | None:
    """Return what was encoded, None for any text that :func:`_encoded` does not make."""
    if len(text) > _MAX_ID or not text.isascii():
        return None
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return found if is_text(found) and _encoded(found) == text else None
