"""Whom calls without login and signature act as, where a closed network lets them (``[cwl] unsigned_trigger_user``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.reports.errors import BadTarget
from cwl_ui_plugin.reports.lookups import find_variable
from cwl_ui_plugin.services.errors import NotAllowed
from cwl_ui_plugin.services.signatures import trigger_policy
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.variables import TRIGGER_KEY

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
        if trigger_policy() is not None:
            return True
        found, _source = find_variable(TRIGGER_KEY)  # raises where one of its places can't be asked
    except (SigningError, BadTarget):
        return True
    return found is None and _is_unreadable()


def _is_unreadable() -> bool:
    """Whether Airflow's database has the key, but not so that it can be decrypted: to Airflow it is not there then."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        return session.scalar(select(Variable.id).where(Variable.key == TRIGGER_KEY)) is not None
