"""What a JSON value says, however it is written: one text for equal values, and a digest of that."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

from cwl_ui_plugin.signing.errors import BadSignature


def canonical(value: object) -> str:
    """Return a text that is the same for the same values, and for these only.

    1 and 1.0 are the same, since databases write one as the other; 1 and true are not. Numbers are compared as they are
    written in decimals, without rounding.

    Raises:
        BadSignature: it is nested too deeply, or no JSON.

    """
    try:
        return _text(json.loads(_text(value), parse_float=_number))
    except (ValueError, TypeError, RecursionError):
        raise BadSignature("The conf is nested too deeply, or no JSON.") from None


def digest(value: object) -> str:
    """Return the SHA-256 of :func:`canonical`, in hex."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _number(text: str) -> int | float:
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(text)
