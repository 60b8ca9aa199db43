"""Checksums that somebody gives for what is fetched: in the words of CWL, DRS and TRS, computed while it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin.fetching.errors import OtherContent

if TYPE_CHECKING:
    from hashlib import _Hash

ALGORITHMS = ("sha512", "sha384", "sha256", "sha1", "md5")
"""Those that are compared; of others (``etag``, ``crc32c``) nothing is known here."""
OWN = "sha256"
Checksums = Mapping[str, str]
"""Algorithm to hexadecimal digits, both in small letters."""


def given_checksums(items: Iterable[tuple[object, object]]) -> dict[str, str]:
    """Return those of (algorithm, digest) that can be compared: ``("SHA-256", "ABC...")`` is ``{"sha256": "abc..."}``.

    Raises:
        OtherContent: a digest that its algorithm can't give, or two different ones of one algorithm.

    """
    found: dict[str, str] = {}
    for kind, digest in items:
        name = str(kind).lower().replace("-", "").replace("_", "")
        if name not in ALGORITHMS:
            continue
        text = str(digest).strip().lower()
        if len(text) != 2 * hashlib.new(name).digest_size or set(text) - set("0123456789abcdef"):
            raise OtherContent(f"{str(digest)[:80]!r} is no checksum of the kind {name}.")
        if found.setdefault(name, text) != text:
            raise OtherContent(f"Two different checksums of the kind {name} are given.")
    return found


def of_file_object(checksum: object) -> dict[str, str]:
    """Return the checksum of CWL's File object, ``sha1$<digits>``; raise :class:`OtherContent` for what is none."""
    kind, dollar, digest = str(checksum).partition("$")
    if not dollar:
        raise OtherContent(f"{str(checksum)[:80]!r} is no checksum; write sha1$ and 40 hexadecimal digits.")
    return given_checksums([(kind, digest)])


class Hashing:
    """The checksums of bytes as they come: those that are expected, and our own."""

    def __init__(self, expected: Checksums) -> None:
        self._expected = expected
        self._hashes: dict[str, _Hash] = {name: hashlib.new(name, usedforsecurity=False) for name in {OWN, *expected}}

    def update(self, content: bytes) -> None:
        """Take some more bytes."""
        for each in self._hashes.values():
            each.update(content)

    def check(self, what: str) -> str:
        """Return our own checksum; raise :class:`OtherContent` if an expected one is another."""
        for name, digest in self._expected.items():
            if (found := self._hashes[name].hexdigest()) != digest:
                raise OtherContent(
                    f"{what} is not what was announced: its {name} is {found}, expected was {digest}. Nothing of it is "
                    "kept."
                )
        return self._hashes[OWN].hexdigest()
