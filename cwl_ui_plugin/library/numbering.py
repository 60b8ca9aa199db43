"""How people call the versions of a workflow: v1, v2, by order of upload; a number is never given twice.

::

    <workflow>/numbers.json   {digest: number}, of versions that are removed by now, too

The store writes it with each new version, and before it removes one. Versions of a store that has no such file yet are
counted by when they were uploaded, which gives the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from cwl_ui_plugin.library.files import write_text

log = logging.getLogger(__name__)
_FILE = "numbers.json"


class NumberFile:
    """The numbers of one workflow's versions, in its folder of the store. Who writes holds the lock of the store."""

    def __init__(self, workflow: Path) -> None:
        self._file = workflow / _FILE

    def kept(self) -> dict[str, int]:
        """Return what is written down; nothing where that can't be read."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(digest): int(number) for digest, number in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def with_others(self, digests: Iterable[str]) -> dict[str, int]:
        """Return the numbers; ``digests`` without one, in the order of their upload, get the next ones."""
        numbers = self.kept()
        last = max(numbers.values(), default=0)
        for digest in digests:
            if digest not in numbers:
                last += 1
                numbers[digest] = last
        return numbers

    def keep(self, digests: Iterable[str]) -> None:
        """Write down the numbers of ``digests`` and of all before. A number is no reason to refuse a version."""
        self.write(self.with_others(digests))

    def write(self, numbers: Mapping[str, int]) -> None:
        """Write down these numbers, and no others."""
        if numbers == self.kept():
            return
        try:
            write_text(self._file, json.dumps(dict(numbers)))
        except OSError as error:
            log.warning("The numbers of versions can't be kept in %s: %s", self._file, error)

    def take_back(self, digest: str) -> None:
        """Forget the number of a version that was never there for anybody."""
        numbers = self.kept()
        if numbers.pop(digest, None) is not None:
            write_text(self._file, json.dumps(numbers))

    def forget(self) -> None:
        """Remove all of them, with the last version of the workflow."""
        self._file.unlink(missing_ok=True)
