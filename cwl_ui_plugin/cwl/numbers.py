"""Floats as CWL wants them in command lines and texts: decimal digits, never an exponent.

cwltool keeps how a YAML job wrote a number; between tasks it has become JSON, which does not tell ``1.23e5`` from
``123000.0``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

# Whole numbers from here on are mostly written with an exponent, and are then printed without a fraction.
LARGE = 100_000


class DecimalFloat(float):
    """A float whose text has no exponent."""

    def __str__(self) -> str:
        text = format(Decimal(repr(self)), "f")  # not int(self): 1e300 has no digits behind its first one
        return text.removesuffix(".0") if abs(self) >= LARGE else text


def with_decimal_floats(value: object) -> Any:
    """Return ``value`` (JSON) with every float in it as a :class:`DecimalFloat`."""
    if isinstance(value, float):
        return DecimalFloat(value)
    if isinstance(value, dict):
        return {key: with_decimal_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_decimal_floats(item) for item in value]
    return value
