"""What cwltool may read and stage while it runs a task: the folders of inputs and the run's own, links resolved.

A job was checked before; meanwhile a link may have been put in the place of a file. So each file is looked at again
where cwltool opens it, or puts it into the folder of a command. Documents are held by the same rule: a ``glob`` with
``..``, an output elsewhere, a name in a working directory that is a path out of it.
"""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

from cwltool.context import RuntimeContext
from cwltool.errors import WorkflowException
from cwltool.pathmapper import MapperEnt, PathMapper
from cwltool.stdfsaccess import StdFsAccess

from cwl_ui_plugin.cwl.engine.cwltool_internals import absolute, planned
from cwl_ui_plugin.cwl.jobs.types import FileRules, is_remote

_OUTSIDE = "{} is outside of the folders that this run may read ([cwl] input_roots), or holds or leads to what is"
_NOT_STAGED = "_:"
_PLACE = getattr(os, "O_PATH", 0)
"""Opens where something is, and not what is there; 0 where the system has no such opening."""
_ON_NETWORK = (
    "{} is on the network: a step fetches nothing. Give the file as an input of the run, which is fetched before the "
    "first step ([cwl] fetch_hosts, storage_roots)"
)


class Outside(WorkflowException):
    """A file that a run may not read, or a name that leads out of its folder."""


@dataclass(frozen=True)
class Confines:
    """What a task may read: ``files`` says where inputs are, ``own`` are the folders of the run and its document.

    ``kept`` are folders of outputs that are used again, and of inputs from the network. They are of all runs, so only
    what is in one may be read: names there are digests that nobody knows who does not have the same inputs.
    """

    files: FileRules
    own: tuple[Path, ...]
    kept: tuple[Path, ...] = ()

    def allows(self, real: Path) -> bool:
        """Whether a path without links may be read; a folder with all that is in it, since it is taken whole."""
        return self.is_own(real) or self.files.allows(real, whole=os.path.isdir(real))  # noqa: PTH112 - never raises

    def is_own(self, real: Path) -> bool:
        """Whether a path without links is in a folder that only tasks write to."""
        return self._is_in_own(str(real))

    def _is_in_own(self, real: str) -> bool:
        """As text: of a million outputs each is asked for four times."""
        return real in self._own_names or real.startswith(self._beginnings)

    @cached_property
    def _own_names(self) -> frozenset[str]:
        return frozenset(map(str, self.own))

    @cached_property
    def _beginnings(self) -> tuple[str, ...]:
        return tuple(f"{str(folder).rstrip('/')}/" for folder in (*self.own, *self.kept))

    def real(self, path: str) -> str:
        """Return a path with its links resolved; raise :class:`Outside` if what is there may not be read."""
        real = _resolved(path)
        if not self._is_in_own(real) and not self.allows(Path(real)) and os.path.lexists(real):
            raise Outside(_OUTSIDE.format(path))
        return real

    def check_folder(self, folder: str) -> None:
        """Raise :class:`Outside` if a link in a folder leads to what may not be read."""
        if self.is_own(Path(folder)):
            return  # what a step makes is looked at when it ends
        for parent, folders, names in os.walk(folder):
            for name in (*folders, *names):
                path = os.path.join(parent, name)  # noqa: PTH118 - there may be a million
                if os.path.islink(path):  # noqa: PTH114
                    self.real(path)


def _resolved(path: str) -> str:
    """Return a path with its links resolved; by the kernel, at once, where there is something."""
    if not _PLACE:
        return os.path.realpath(path)
    try:
        descriptor = os.open(path, _PLACE | os.O_CLOEXEC)
    except OSError:
        return os.path.realpath(path)
    try:
        found = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return os.path.realpath(path)
    finally:
        os.close(descriptor)
    # What is not reachable, or was removed meanwhile, is called by no path.
    return os.path.realpath(path) if not found.startswith("/") or found.endswith(" (deleted)") else found


class ConfinedAccess(StdFsAccess):
    """cwltool's file access, for what may be read."""

    def __init__(self, confines: Confines, basedir: str) -> None:
        super().__init__(basedir)
        self._confines = confines

    def glob(self, pattern: str) -> list[str]:
        """Return what matches a pattern."""
        if ".." in pattern.split("/"):
            raise Outside(f"the glob {posixpath.relpath(pattern, self.basedir)} leads out of the folder of the step")
        found: list[str] = super().glob(pattern)
        for place in found:
            self._seen(place)
        return found

    def open(self, fn: str, mode: str) -> IO[Any]:
        """Open a file, and look then whether it may be read: it can't change any more."""
        if set(mode) & set("wax+"):
            return super().open(fn, mode)
        path = absolute(self, fn)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            opened = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            if not self._confines.allows(Path(opened)):
                raise Outside(_OUTSIDE.format(path))
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Outside(f"{path} is no file, but a folder, a device, a pipe or a socket")
            return os.fdopen(descriptor, mode)
        except BaseException:
            os.close(descriptor)
            raise

    def exists(self, fn: str) -> bool:
        """Whether there is something that may be read."""
        return super().exists(self._seen(fn))

    def size(self, fn: str) -> int:
        """Return the size of a file."""
        return super().size(self._seen(fn))

    def isfile(self, fn: str) -> bool:
        """Whether it is a file."""
        return super().isfile(self._seen(fn))

    def isdir(self, fn: str) -> bool:
        """Whether it is a folder."""
        return super().isdir(self._seen(fn))

    def listdir(self, fn: str) -> list[str]:
        """Return what is in a folder."""
        return super().listdir(self._seen(fn))

    def _seen(self, place: str) -> str:
        if not is_remote(place):
            self._confines.real(absolute(self, place))
        return place


class ConfinedPathMapper(PathMapper):
    """cwltool's plan of what is put where for a command, for what may be read and with names that stay inside.

    ``folder`` is the task's. Paths that are not in it are those of a container.
    """

    def __init__(self, confines: Confines, folder: str, *arguments: Any) -> None:
        self._confines = confines
        self._folder = folder
        self._seen: list[str] = []
        super().__init__(*arguments)

    def visit(self, obj: Any, stagedir: str, basedir: str, copy: bool = False, staged: bool = False) -> None:
        """Plan a File or Directory, and what belongs to it."""
        location = obj["location"]
        if location in planned(self):
            return
        if is_remote(location):
            raise Outside(_ON_NETWORK.format(location[:200]))
        super().visit(obj, stagedir, basedir, copy=copy, staged=staged)
        entry = planned(self)[location]
        self._check_target(entry.target)
        if entry.type is None or entry.type.startswith("Create") or location.startswith(_NOT_STAGED):
            return
        real = self._confines.real(entry.resolved)
        if entry.type.endswith("Directory") and not any(Path(real).is_relative_to(folder) for folder in self._seen):
            self._confines.check_folder(real)
            self._seen.append(real)
        planned(self)[location] = MapperEnt(real, entry.target, entry.type, entry.staged)

    def update(self, key: str, resolved: str, target: str, ctype: str | None, stage: bool | None) -> MapperEnt:
        """Change where something is put."""
        self._check_target(target)
        return super().update(key, resolved, target, ctype, stage)

    def _check_target(self, target: str) -> None:
        """Raise :class:`Outside` if a target is not below the folder of the task, or not plain in a container's."""
        plain = posixpath.normpath(target)
        inside = not self.stagedir.startswith(self._folder) or plain.startswith(f"{self._folder}/")
        if ".." in target.split("/") or not inside or not posixpath.isabs(target):
            raise Outside(f"{posixpath.relpath(plain, self.stagedir)} can't be put beside the command: it leads out")


def confine(context: RuntimeContext, confines: Confines, folder: Path) -> None:
    """Let cwltool read and stage only what a task may read."""

    class Access(ConfinedAccess):
        """As cwltool makes it: a class whose objects know a folder, and nothing else."""

        def __init__(self, basedir: str) -> None:
            super().__init__(confines, basedir)

    context.make_fs_access = Access
    context.path_mapper = partial(ConfinedPathMapper, confines, str(folder.resolve()))  # type: ignore[assignment]
