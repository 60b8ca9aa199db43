"""What one import may take in all, however many requests it makes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin.fetching import fetch as fetching
from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.fetching.checksums import Checksums
from cwl_ui_plugin.fetching.errors import FetchError, HostNotAllowed, NotThere, TooMuch
from cwl_ui_plugin.fetching.fetch import Answer, Received
from cwl_ui_plugin.fetching.limits import Limits
from cwl_ui_plugin.services.errors import BadRequest, NotAllowed, NotFound, ServiceError, TooLarge, Unavailable


class Budget:
    """Fetches within the bounds of one upload: bytes and seconds of all requests together."""

    def __init__(self) -> None:
        self.rules = site.host_rules()
        self._whole = site.upload_limits()
        self._bytes = self._whole.size
        self._until = time.monotonic() + self._whole.seconds

    def document(self, url: str, accept: str = "application/json") -> Answer:
        """Return what a registry answers. Raises FetchError."""
        most = replace(site.document_limits(), seconds=self.seconds)
        return fetching.fetch(url, self.rules, most, headers={"Accept": accept})

    def content(self, url: str, accept: str = "*/*") -> bytes:
        """Return a file of the workflow. Raises FetchError."""
        content = fetching.fetch(url, self.rules, self._left(), headers={"Accept": accept}).content
        self._bytes -= len(content)
        return content

    def file(self, url: str, path: Path, checksums: Checksums | None = None) -> Received:
        """Put what is at an address into a file. Raises FetchError."""
        received = fetching.fetch_file(url, path, self.rules, self._left(), checksums=checksums)
        self._bytes -= received.size
        return received

    @property
    def seconds(self) -> float:
        """The seconds that are left; raises :class:`TooMuch` where there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TooMuch(
                f"The import did not end within {self._whole.seconds:g} seconds ({self._whole.seconds_option})."
            )
        return left

    @property
    def size(self) -> int:
        """The bytes that are left."""
        return self._bytes

    def _left(self) -> Limits:
        return replace(self._whole, size=self._bytes, seconds=self.seconds)


def as_service_error(error: FetchError) -> ServiceError:
    """Return the error of this layer for one of fetching."""
    if isinstance(error, HostNotAllowed):
        return NotAllowed(str(error))
    if isinstance(error, NotThere):
        return NotFound(str(error))
    if isinstance(error, TooMuch):
        return TooLarge(str(error))
    return Unavailable(str(error)) if error.may_pass else BadRequest(str(error))
