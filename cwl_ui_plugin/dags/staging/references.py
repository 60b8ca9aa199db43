"""What values say of a file or folder that is an object: its place in the store, named by its content.

::

    <storage>/sha256/<aa>/<digest>           the bytes of a file
    <storage>/sha256/<aa>/<digest>.folder    a folder, see ``folders``

A ``#x`` at the end of a location tells that the file may be executed. No tool can make an object whose key ends with
``.folder``, so nothing that a tool writes is ever taken for the list of a folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cwl_ui_plugin.fetching.storage_roots import StorageRoot

OBJECTS = "sha256"
FOLDER = ".folder"
_EXECUTABLE = "#x"


@dataclass(frozen=True)
class Reference:
    """A file or folder by the SHA-256 of its object."""

    digest: str
    is_folder: bool = False
    is_executable: bool = False

    @property
    def key(self) -> str:
        """The key of the object, below the storage."""
        return f"{OBJECTS}/{self.digest[:2]}/{self.digest}{FOLDER if self.is_folder else ''}"


class References:
    """The locations of objects of one storage."""

    def __init__(self, root: StorageRoot) -> None:
        self._base = f"{root.scheme}://{root.bucket}/{root.prefix}"
        end = f"({re.escape(FOLDER)}|{_EXECUTABLE})?"
        self._form = re.compile(rf"{re.escape(self._base)}{OBJECTS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}}){end}")

    def location(self, reference: Reference) -> str:
        """Return what the ``location`` of a File or Directory is."""
        return f"{self._base}{reference.key}{_EXECUTABLE if reference.is_executable else ''}"

    def has(self, location: object) -> bool:
        """Whether a location is one of this storage, of an object or of anything else."""
        return isinstance(location, str) and location.startswith(self._base)

    def of(self, location: object) -> Reference | None:
        """Return what a location refers to; None where it is none of an object."""
        found = self._form.fullmatch(location) if isinstance(location, str) else None
        return Reference(found[2], found[3] == FOLDER, found[3] == _EXECUTABLE) if found else None
