"""The files that come with a WES request: a folder of uploaded inputs of who sends them, so that jobs may name them."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote

from cwl_ui_plugin import config
from cwl_ui_plugin.library.errors import BadUpload
from cwl_ui_plugin.library.intake import safe_name
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, ServiceError, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs import owners
from cwl_ui_plugin.services.inputs.single import MAX_NAME
from cwl_ui_plugin.services.retention.removed import sweep_removed

log = logging.getLogger(__name__)
MAX_PATH = 1000


class Attachments:
    """The attachments of one request, written one after the other; before the first there is nothing on the disk."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.id = str(uuid.uuid4())
        self._files: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = set()
        self._limit = self._left = int(config.number("max_input_size"))
        self._most = int(config.number("max_unpacked_files"))
        self._open: BinaryIO | None = None

    @property
    def folder(self) -> Path:
        """Where they are."""
        return config.uploads_folder() / self.id

    def begin(self, name: str) -> None:
        """Make the file for the next attachment.

        Raises:
            BadRequest: the name leads elsewhere, is too long or taken; or there are too many.
            Unavailable: it can't be stored.

        """
        path = self._checked(name)
        if not self._files:
            owners.claim(self.id, self.user)
        self._files.add(path)
        self._folders.update(path.parents)
        with _storing(name):
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._open = target.open("xb")

    def write(self, content: bytes) -> None:
        """Write more of it; raise :class:`TooLarge` where all attachments together are too large."""
        self._left -= len(content)
        if self._left < 0:
            limit = bytes_text(self._limit)
            raise TooLarge(f"The attachments have more than {limit} together ([cwl] max_input_size).")
        assert self._open is not None  # noqa: S101 - begin was called
        with _storing("An attachment"):
            self._open.write(content)

    def end(self) -> None:
        """Close it."""
        if self._open is not None:
            with _storing("An attachment"):
                self._open.close()
            self._open = None

    def find(self, name: str) -> Path | None:
        """Return where the attachment is, or the folder of attachments, that a relative location names."""
        for text in dict.fromkeys((name, unquote(name))):
            path = PurePosixPath(os.path.normpath(text)) if text else None
            if path in self._files or (path in self._folders and path != PurePosixPath()):
                return self.folder / str(path)
        return None

    def discard(self) -> None:
        """Remove them all, with their folder."""
        with suppress(ServiceError):
            self.end()
        if not self._files:
            return
        self._files.clear()
        self._folders.clear()
        try:
            owners.remove_unused(self.id, unused_since=time.time() + 1)
            sweep_removed(config.uploads_folder())
        except (OSError, ServiceError) as error:  # a clean-up by age finds them
            log.warning("The attachments in %s can't be removed: %s", self.folder, error)

    def _checked(self, name: str) -> PurePosixPath:
        if len(self._files) >= self._most:
            raise BadRequest(f"There are more than {self._most} attachments ([cwl] max_unpacked_files).")
        try:
            path = safe_name(name)
        except BadUpload as error:
            raise BadRequest(f"An attachment can't be called {name[:80]!r}: {error}") from error
        if len(name) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in path.parts):
            raise BadRequest(f"The name of the attachment {name[:80]!r} is too long.")
        if path in self._files or path in self._folders or any(parent in self._files for parent in path.parents):
            raise BadRequest(f"Two attachments are called {name[:80]!r}, or one as the folder of another.")
        return path


@contextmanager
def _storing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what} can't be stored: {error.strerror or error}.") from error
