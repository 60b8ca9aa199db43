"""Tokens as clients write them: with PyJWT, which would read the private key anew for each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def encode(claims: Mapping[str, object], private: str, algorithm: str, headers: dict[str, Any] | None = None) -> str:
    """Return a token of these claims; ``private`` is a PEM text."""
    return jwt.encode(dict(claims), private_key(private), algorithm=algorithm, headers=headers)


@lru_cache(maxsize=8)
def private_key(private: str) -> Any:
    """Return the key of a PEM text, kept: the checks of an RSA key cost a tenth of a second."""
    return load_pem_private_key(private.encode(), password=None)
