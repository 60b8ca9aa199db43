"""Signed triggers, as the predecessors' clients make them: a JWT over exactly ``run_id`` and ``conf``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import BadSignature
from cwl_ui_plugin.signing.tokens import Verified, check, sign

PUBLIC_KEY = "jwt_backend_public_key"
ALGORITHM = "jwt_backend_crypt_algorithm"
OLD_ALGORITHM = "jwt_backend_algorithm"
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


def read_policy(
    variable: Callable[[str], str | None], *, allow_weak: bool, require_exp: bool = False
) -> TriggerPolicy | None:
    """Return the policy that Airflow's Variables describe, or None where no key is set.

    Raises:
        BadAlgorithm: the Variable with the algorithms can't be used.

    """
    keys = variable(PUBLIC_KEY)
    if not keys or not keys.strip():
        return None
    algorithms = parse_algorithms(variable(ALGORITHM) or variable(OLD_ALGORITHM))
    return TriggerPolicy(keys, algorithms, allow_weak, require_exp)


def sign_trigger(
    run_id: str, conf: Any, key: str, algorithm: str, *, lifetime: float | None = None, allow_weak: bool = False
) -> str:
    """Return the ``check_payload`` of a trigger, valid for ``lifetime`` seconds if that is given."""
    times = {} if lifetime is None else {"exp": int(time.time() + lifetime)}
    return sign({"run_id": run_id, "conf": conf, **times}, key, algorithm, allow_weak=allow_weak)


def verify_trigger(token: Any, policy: TriggerPolicy, *, run_id: str, conf: Any, at: float | None = None) -> Verified:
    """Return what the token says if that is this run and this conf, and nothing else.

    ``conf`` may be a JSON text or an object, here and in the token: what counts is its content. ``at`` is the moment
    at which the token must be valid, if that is not now.

    Raises:
        BadSignature: the signature does not hold, or is of something else.
        BadKey: the keys can't be used.

    """
    verified = check(token, policy.keys, policy.algorithms, allow_weak=policy.allow_weak, at=at)
    claims = verified.claims
    if policy.require_exp and "exp" not in claims:
        raise BadSignature("The signature never expires: sign an exp, too ([cwl] require_exp).")
    if set(claims) - TIMES != CLAIMS:
        raise BadSignature("The signature is of other fields than run_id and conf.")
    if not run_id or claims["run_id"] != run_id:
        raise BadSignature("The signature is of another run_id.")
    if not _same(_content(claims["conf"]), _content(conf)):
        raise BadSignature("The signature is of another conf.")
    return verified


def _content(conf: Any) -> Any:
    """Return the object that a conf is; a text that is no JSON stays what it is."""
    if not isinstance(conf, str):
        return conf
    try:
        return strict_json.loads(conf)
    except (ValueError, RecursionError):
        return conf


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are (databases write one as the other), 1 and true not."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            waiting += [(left[name], right[name]) for name in left]
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            waiting += zip(left, right, strict=True)
        elif not _same_scalar(left, right):
            return False
    return True


def _same_scalar(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) or isinstance(right, float):
        try:
            return isinstance(left, (int, float)) and isinstance(right, (int, float)) and float(left) == float(right)
        except OverflowError:  # an integer beyond all floats
            return False
    return type(left) is type(right) and bool(left == right)
