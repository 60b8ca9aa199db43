"""Signing and verifying JWTs. Algorithms come from the caller's configuration, never from the token.

What a token says of itself is not believed: keys and addresses of keys in its header are not looked at, extensions
(``crit``) are refused, and so is every way of writing the same token in another way.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.signing.errors import BadSignature
from cwl_ui_plugin.signing.keys import Verifier, signing_key, verifiers

MAX_TOKEN = 16 * 1024 * 1024
MAX_HEADER = 8 * 1024
CLOCK_SKEW = 5
"""Seconds that the clock of whoever signs may be ahead of ours; an expiry gets none."""
EARLY = 1
"""Seconds that a moment which was kept may be before the true one."""
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NO_TOKEN = "The signature is no token."  # noqa: S105 - a message


@dataclass(frozen=True)
class Verified:
    """The claims of a token, and which key has signed them with which algorithm."""

    claims: dict[str, object]
    algorithm: str
    fingerprint: str
    is_weak: bool
    """Whether it was an RSA key that can be broken."""


def sign(payload: Mapping[str, object], private_key: str, algorithm: str, *, allow_weak: bool = False) -> str:
    """Return ``payload`` as a signed JWT; raise :class:`SigningError` if the key or the algorithm can't be used."""
    key = signing_key(private_key, algorithm, allow_weak=allow_weak)
    return jwt.encode(dict(payload), key, algorithm=algorithm)


def verify(token: object, keys: str, algorithms: Sequence[str], *, allow_weak: bool = False) -> dict[str, Any]:
    """Return the claims of a token, as :func:`check` does."""
    return check(token, keys, algorithms, allow_weak=allow_weak).claims


def check(
    token: object,
    keys: str,
    algorithms: Sequence[str],
    *,
    allow_weak: bool = False,
    at: float | None = None,
    longest: int = MAX_TOKEN,
) -> Verified:
    """Return what a token says that one of the keys has signed with one of the algorithms.

    ``at`` is the moment (seconds since 1970) at which it must be valid, if that is not now; it may be a little early.
    ``longest`` is how many characters the token may have.

    Raises:
        BadSignature: it does not verify, or is expired or not valid yet.
        BadKey: no key that fits any of the algorithms.

    """
    candidates = verifiers(keys, algorithms, allow_weak=allow_weak)
    text = _well_formed(token, longest)
    for verifier in candidates:
        payload = _signed_payload(text, verifier)
        if payload is not None:
            claims = _object(payload)
            if at is None:
                _check_times(claims, time.time(), CLOCK_SKEW)
            else:
                _check_times(claims, at, CLOCK_SKEW + EARLY)
            return Verified(claims, verifier.algorithm, verifier.fingerprint, verifier.is_weak)
    raise BadSignature("The signature does not hold.")


def _well_formed(token: object, longest: int) -> str:
    """Return a token; raise :class:`BadSignature` for what no library writes: padding, stray bits, extensions."""
    if not isinstance(token, str) or len(token) > longest or not _FORM.fullmatch(token):
        raise BadSignature(_NO_TOKEN)
    header = token.partition(".")[0]
    if len(header) > MAX_HEADER or not all(_is_canonical(part) for part in token.split(".")):
        raise BadSignature(_NO_TOKEN)
    if "crit" in _object(_decoded(header)):
        raise BadSignature("The signature needs an extension (crit) that is not known here.")
    return token


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _is_canonical(part: str) -> bool:
    """Whether a part is the one way of writing its bytes: nobody changes a token without changing what it says."""
    try:
        return base64.urlsafe_b64encode(_decoded(part)).decode().rstrip("=") == part
    except binascii.Error:
        return False


def _signed_payload(token: str, verifier: Verifier) -> bytes | None:
    try:
        payload: bytes = jwt.PyJWS().decode(token, verifier.key, algorithms=[verifier.algorithm])
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    return payload


def _object(text: bytes) -> dict[str, object]:
    """Return a JSON object, each key of which is there once."""
    try:
        found = strict_json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadSignature(_NO_TOKEN)
    return found


def _check_times(claims: Mapping[str, object], now: float, skew: float) -> None:
    times: dict[str, float] = {}
    for name in ("exp", "nbf", "iat"):
        moment = claims.get(name, now)
        if isinstance(moment, bool) or not isinstance(moment, (int, float)):
            raise BadSignature("The signature's exp, nbf and iat must be numbers.")
        if name in claims:
            times[name] = moment
    if times.get("exp", now + 1) <= now:
        raise BadSignature("The signature has expired.")
    if max(times.get("nbf", now), times.get("iat", now)) > now + skew:
        raise BadSignature("The signature is not valid yet.")
