"""Granting new runs, and those of a schedule, what a user may have; only API servers can: see ``dags.access``.

The private key is made when it is needed first, and kept in the database, encrypted with Airflow's Fernet key. There
may be several: one from before the Fernet key was changed, or two of API servers that made one at the same moment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import jwt

from cwl_ui_plugin import atomic
from cwl_ui_plugin.dags.access.grants import ALGORITHM, Grant, key_id, keys_folder
from cwl_ui_plugin.dags.access.schedule_grants import claims
from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.services.errors import Unavailable
from cwl_ui_plugin.signing.keys import generate_key_pair, public_of, signing_key

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)
_found: list[tuple[str, str]] = []
"""The key of this process, once it was needed. One whose transaction fails is good all the same: workers know it."""


def sign(session: Session, grant: Grant, dag_id: str, run_id: str, conf: Mapping[str, object]) -> str:
    """Return a grant as the conf of a run carries it.

    Raises:
        Unavailable: the public key can't be written where workers look for it.

    """
    return _signed(session, grant.claims(dag_id, run_id, conf))


def sign_schedule(session: Session, dag_id: str, schedule: Schedule) -> Schedule:
    """Return a schedule with a grant for what it says; raise as :func:`sign` does."""
    return replace(schedule, grant=_signed(session, claims(dag_id, schedule)))


def _signed(session: Session, claimed: dict[str, object]) -> str:
    name, private = _key(session)
    return jwt.encode(claimed, signing_key(private, ALGORITHM), algorithm=ALGORITHM, headers={"kid": name})


def _key(session: Session) -> tuple[str, str]:
    """Return the name of this process's key and the private key; workers find the public one."""
    if not _found:
        _found.append(_stored_key(session) or _new_key(session))
    name, private = _found[0]
    _publish(name, private)
    return name, private


def _stored_key(session: Session) -> tuple[str, str] | None:
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import GrantKey

    for kept in session.scalars(select(GrantKey).order_by(GrantKey.created_at.desc(), GrantKey.key_id)):
        private = _decrypted(kept.private_key)
        if private is not None:
            return kept.key_id, private
    return None


def _new_key(session: Session) -> tuple[str, str]:
    from airflow.models.crypto import get_fernet

    from cwl_ui_plugin.reports.tables import GrantKey

    pair = generate_key_pair(ALGORITHM)
    name = key_id(pair.public)
    encrypted = get_fernet().encrypt(pair.private.encode()).decode()
    session.add(GrantKey(key_id=name, private_key=encrypted, created_at=datetime.now(timezone.utc)))
    session.flush()
    log.info("Made the key %s that grants of runs are signed with", name)
    return name, pair.private


def _decrypted(text: str) -> str | None:
    """Return a private key; None where the Fernet key that it was encrypted with is gone."""
    from airflow.models.crypto import get_fernet
    from cryptography.fernet import InvalidToken

    try:
        return get_fernet().decrypt(text.encode()).decode()
    except InvalidToken:
        log.warning("A key for grants can't be decrypted: the Fernet key was changed. A new one is used.")
        return None


def _publish(name: str, private: str) -> None:
    """Write the public key to where workers look for it, if it is not there."""
    path = keys_folder() / f"{name}.pem"
    if path.exists():
        return
    try:
        public = public_of(private)
        site_store().put_grant_key(name, public.encode())
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        atomic.write_text(path, public, mode=atomic.READABLE)
    except StoreAway as error:
        raise Unavailable(f"The public key for grants can't be given to other machines. {error}") from error
    except OSError as error:
        raise Unavailable(
            f"The public key for grants can't be written to {path.parent}: {error.strerror or error}. The API server "
            "must be able to write to [cwl] workflows_folder."
        ) from error
