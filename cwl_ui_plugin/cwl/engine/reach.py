"""Which files of the machine a document may use where it is kept in containers. Without, a tool reads what it likes.

A document names files as defaults, makes them up in expressions, and has cwltool read or mount them. What it may use
is its own (the upload), what it is given by the job and by earlier steps, files beside these (secondary files), and
what it makes itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cwltool.errors import WorkflowException
from cwltool.stdfsaccess import StdFsAccess

from cwl_ui_plugin.cwl.engine.cwltool_internals import checking
from cwl_ui_plugin.cwl.files import local_paths

if TYPE_CHECKING:
    from cwltool.job import JobBase


_STAGED = ("File", "Directory", "WritableFile", "WritableDirectory")
_REMOTE = ("http://", "https://")
_LITERAL = "_:"
"""What cwltool calls a file begins so whose contents the document has."""


class OutOfReach(WorkflowException):
    """A document uses a file that is none of its own, and not given to it."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"it uses {path}, which is neither an input nor a file of the workflow: tools are kept in containers here "
            "([cwl] require_container)"
        )


class Reach:
    """What one task may use: all in ``folders``, and what ``given`` (values of CWL) names."""

    def __init__(self, folders: Iterable[Path], given: object) -> None:
        paths = [path.resolve() for path in local_paths(given)]
        self._inside = {folder.resolve() for folder in folders} | set(paths)
        self._beside = {path.parent for path in paths if not path.is_dir()}

    def has(self, path: Path) -> bool:
        """Whether a file or folder is in reach, with all links followed."""
        real = path.resolve()
        return real.parent in self._beside or real in self._inside or not self._inside.isdisjoint(real.parents)

    def check(self, values: object) -> None:
        """Raise :class:`OutOfReach` if values of CWL name anything else."""
        for path in local_paths(values):
            if not self.has(path):
                raise OutOfReach(path)

    def check_job(self, job: JobBase) -> None:
        """Raise :class:`OutOfReach` if a job of cwltool would have anything else mounted."""
        self.check(job.generatefiles)
        for location, entry in job.pathmapper.items():
            if entry.type in _STAGED and not location.startswith(_REMOTE) and not self.has(Path(entry.resolved)):
                raise OutOfReach(entry.resolved)

    def access(self, access: type[StdFsAccess] = StdFsAccess) -> type[StdFsAccess]:
        """Return a class with which cwltool reads what is in reach only, and what ``access`` lets it read."""

        def check(place: str, path: str) -> None:
            if not place.startswith((*_REMOTE, _LITERAL)) and not self.has(Path(path)):
                raise OutOfReach(path)

        return checking(access, check)
