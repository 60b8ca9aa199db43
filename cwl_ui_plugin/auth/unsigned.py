"""Whom calls without login and signature act as, where a closed network lets them (``[cwl] unsigned_trigger_user``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import NotAllowed, Unavailable
from cwl_ui_plugin.services.signatures import is_key_set

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


def unsigned_user() -> BaseUser | None:
    """Return the user of Airflow; None where the option is empty, or a key is set: then triggers must be signed.

    Raises:
        NotAllowed: that user is not there, or not active.

    """
    name = config.text("unsigned_trigger_user").strip()
    if not name or _is_key_set():
        return None
    user = permissions.find_user(name)
    if user is None:
        raise NotAllowed(
            f"The user {name!r} that calls without a login act as ([cwl] unsigned_trigger_user) does not exist or is "
            "not active; tell the administrator of this Airflow."
        )
    return user


def _is_key_set() -> bool:
    """Whether there is a key, or may be one that can't be read or used now: it was set so that triggers are signed."""
    try:
        return is_key_set()
    except Unavailable:
        return True
