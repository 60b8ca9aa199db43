"""What is put into a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cwl_ui_plugin.fetching.checksums import Checksums
from cwl_ui_plugin.fetching.errors import OtherContent


@dataclass(frozen=True)
class Source:
    """An open file of so many bytes, and its checksums; ``what`` names it in messages."""

    file: BinaryIO
    size: int
    checksums: Checksums
    what: str

    def parts(self, size: int) -> Iterator[bytes]:
        """Yield the file in parts of a size, of which the last one may be smaller.

        Raises:
            OtherContent: it has more or fewer bytes by now.

        """
        self.file.seek(0)
        done = 0
        while part := self.file.read(size):
            done += len(part)
            if done > self.size:
                break
            yield part
        if done != self.size:
            raise OtherContent(f"{self.what}: the file was changed while it was put there.")
