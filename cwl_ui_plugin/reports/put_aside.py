"""Runs that failed to be dealt with, in a way nobody foresaw: left alone for a while, for others to have their turn."""

from __future__ import annotations

import time

MAX_RUNS = 500
"""How many are remembered: the others get another try, which does no harm."""


class PutAside:
    """Keys of runs (the ids of their rows), each for ``seconds`` after it was put here."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[int, float] = {}

    def put(self, key: int) -> None:
        """Leave a run alone from now on."""
        self._since.pop(key, None)
        self._since[key] = time.monotonic()
        while len(self._since) > MAX_RUNS:
            del self._since[next(iter(self._since))]

    def keys(self) -> list[int]:
        """Return the runs that are to be left alone now."""
        now = time.monotonic()
        self._since = {key: since for key, since in self._since.items() if now - since < self.seconds}
        return list(self._since)

    def clear(self) -> None:
        """Leave none alone."""
        self._since.clear()
