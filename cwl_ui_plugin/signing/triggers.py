"""Signed triggers, as the predecessors' clients make them: a JWT over exactly ``run_id`` and ``conf``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin.signing.errors import BadSignature
from cwl_ui_plugin.signing.tokens import sign, verify

CLAIMS = {"run_id", "conf"}
TIMES = {"exp", "nbf", "iat"}


@dataclass(frozen=True)
class TriggerPolicy:
    """How triggers must be signed: by one of these keys, with one of these algorithms.

    ``allow_weak`` accepts RSA keys under 2048 bits; ``require_exp`` refuses tokens that never expire.
    """

    keys: str
    algorithms: tuple[str, ...]
    allow_weak: bool = False
    require_exp: bool = False


def sign_trigger(run_id: str, conf: Any, key: str, algorithm: str) -> str:
    """Return the ``check_payload`` of a trigger."""
    return sign({"run_id": run_id, "conf": conf}, key, algorithm)


def verify_trigger(token: Any, policy: TriggerPolicy, *, run_id: str, conf: Any) -> dict[str, Any]:
    """Return the claims if they are of this run and this conf, and nothing else was signed.

    ``conf`` may be a JSON text or an object, here and in the token: what counts is its content.

    Raises:
        BadSignature: the signature does not hold, or is of something else.
        BadKey: the keys can't be used.

    """
    claims = verify(token, policy.keys, policy.algorithms, allow_weak=policy.allow_weak)
    if policy.require_exp and "exp" not in claims:
        raise BadSignature("The signature never expires: sign an exp, too ([cwl] require_exp).")
    if set(claims) - TIMES != CLAIMS:
        raise BadSignature("The signature is of other fields than run_id and conf.")
    if claims["run_id"] != run_id:
        raise BadSignature("The signature is of another run_id.")
    if claims["conf"] != conf and _content(claims["conf"]) != _content(conf):
        raise BadSignature("The signature is of another conf.")
    return claims


def _content(conf: Any) -> Any:
    """Return the object that a conf is, or something that equals nothing."""
    if not isinstance(conf, str):
        return conf
    try:
        return json.loads(conf, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        return object()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
