"""Confs that the server signs with its own key: of runs that nobody is there to sign for."""

from __future__ import annotations

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.errors import NotVerified
from cwl_ui_plugin.services.settings import connection_and_keys

NO_KEY = "Only signed runs are allowed here, and the server has no key that it could sign with."


def signed_conf(dag_id: str, run_id: str, conf: dict[str, object]) -> dict[str, object]:
    """Return a conf signed with the server's key, if it has one that can be used; else the conf as it is.

    Raises:
        NotVerified: only signed runs are allowed, and the server can't sign.

    """
    if can_sign():
        return {**conf, SIGNATURE: signatures.sign_conf(dag_id, run_id, conf)}
    check_signing()
    return conf


def can_sign() -> bool:
    """Whether the server has a key to sign with that can be used."""
    key = connection_and_keys.signing_key()
    return key.is_set and not key.problem


def check_signing() -> None:
    """Raise :class:`NotVerified` where only signed runs are allowed, and the server can't sign."""
    if config.flag("require_signed_conf") and not can_sign():
        raise NotVerified(NO_KEY)
