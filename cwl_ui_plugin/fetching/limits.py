"""How much may come, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much may come and how long it may take in all; the options by which a site changes it are named to users."""

    size: int
    size_option: str
    seconds: float
    seconds_option: str
