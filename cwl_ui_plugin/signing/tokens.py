"""Signing and verifying JWTs. Algorithms come from the caller's configuration, never from the token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from cwl_ui_plugin.signing.errors import BadKey, BadSignature
from cwl_ui_plugin.signing.keys import signing_key, verifying_keys

LONGEST_TOKEN = 16 * 1024 * 1024


def sign(payload: Mapping[str, Any], private_key: str, algorithm: str, *, allow_weak: bool = False) -> str:
    """Return ``payload`` as a signed JWT; raise :class:`SigningError` if the key or the algorithm can't be used."""
    key = signing_key(private_key, algorithm, allow_weak=allow_weak)
    return jwt.encode(dict(payload), key, algorithm=algorithm)


def verify(token: Any, keys: str, algorithms: Sequence[str], *, allow_weak: bool = False) -> dict[str, Any]:
    """Return the claims of a token that one of the keys has signed with one of the algorithms.

    Raises:
        BadSignature: it does not verify, or is expired or not valid yet.
        BadKey: no key that fits any of the algorithms.

    """
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        raise BadSignature("The signature is no token.")
    candidates = [
        (key, algorithm) for algorithm in algorithms for key in verifying_keys(keys, algorithm, allow_weak=allow_weak)
    ]
    if not candidates:
        raise BadKey(f"None of the keys fits the algorithm {', '.join(algorithms)}, or they are too short.")
    reason: Exception | None = None
    for key, algorithm in candidates:
        try:
            return _decode(token, key, algorithm)
        except jwt.ExpiredSignatureError as error:
            raise BadSignature("The signature has expired.") from error
        except jwt.ImmatureSignatureError as error:
            raise BadSignature("The signature is not valid yet.") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            reason = error
    raise BadSignature("The signature does not hold.") from reason


def _decode(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    """Decode with one key and one algorithm: what the header names besides is not looked at."""
    options: Any = {"require": [], "verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
    claims = jwt.decode(token, key, algorithms=[algorithm], options=options)
    return dict(claims)
