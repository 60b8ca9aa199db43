"""The algorithms of RFC 7518 and RFC 8037 that are offered; ``none`` is not among them."""

from __future__ import annotations

from cwl_ui_plugin.signing.errors import BadAlgorithm

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ELLIPTIC = ("ES256", "ES384", "ES512")
EDWARDS = ("EdDSA",)
HMAC = ("HS256", "HS384", "HS512")
ALGORITHMS = (*RSA, *ELLIPTIC, *EDWARDS, *HMAC)
DEFAULT = "RS256"
_BY_NAME = {name.upper(): name for name in ALGORITHMS}


def parse_algorithms(text: str | None) -> tuple[str, ...]:
    """Read a comma-separated list of algorithms; nothing means RS256. Raise :class:`BadAlgorithm` for any other."""
    names = [name.strip() for name in (text or DEFAULT).split(",") if name.strip()]
    unknown = [name for name in names if name.upper() not in _BY_NAME]
    if unknown or not names:
        raise BadAlgorithm(f"{', '.join(unknown) or 'Nothing'} is no signature algorithm; use {', '.join(ALGORITHMS)}.")
    return tuple(_BY_NAME[name.upper()] for name in names)
