"""Removing intermediate files of a run that goes on, and telling a task that needs them nevertheless.

A task that begins just now must find either all of its files or none. So whoever removes says so first
(:func:`removing`), and looks in the database then: a task that runs by then keeps its files. A task that begins later
sees the word, waits, and looks whether its files are there. What is dead is only renamed meanwhile, which takes no
time; its room is given back afterwards (:func:`empty_bins`). Killed anywhere in between, the word grows old, and what
was renamed goes with the next round or with the run.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import local_paths
from cwl_ui_plugin.cwl.fingerprints import TAKEN
from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.folders.run_folder import REMOVING, TaskTry
from cwl_ui_plugin.opened import FOLDER, Place

REMOVED = "removed"
"""In the folder of a try: files were removed that its task has handed on."""
GONE = "gone: intermediate files are removed as soon as no task can read them any more"
"""What the message of a task says whose files were removed."""
MAX_REMOVING_SECONDS = 10.0
"""How long somebody who has said that files are being removed may go on with it."""
STALE_SECONDS = 30.0
"""The word of a removal that is older is of somebody who was killed."""
SAY_AGAIN_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_BIN = ".removed-"
_TRY_DEPTH = 3
_MAX_LINKS = 40
Parts = tuple[str, ...]


@dataclass(frozen=True)
class _Removal:
    by: str


class Live:
    """The files of a run, by where they are below its folder ``root``, that some task may read yet.

    They are the ``paths``, what links at these places lead to, and what links in folders there lead to. Where that
    can't be told, it ``has_all``.
    """

    def __init__(self, root: Path, paths: Iterable[Path], named_root: Path | None = None) -> None:
        self.has_all = False
        self._roots = tuple(dict.fromkeys((str(root), str(named_root or root))))
        self._places: dict[Parts, set[Parts]] = {}
        real_folders: dict[str, str] = {}  # there may be a hundred thousand files in some folders
        seen: set[str] = set()
        waiting = [str(path) for path in paths]
        while waiting:
            for hop in _hops(waiting.pop(), real_folders):
                if hop not in seen:
                    seen.add(hop)
                    self._note(hop)
                    waiting += self._links_in(hop)

    def below(self, task: Parts, name: str) -> set[Parts]:
        """Return the live places in a folder of a try: parts below that folder; an empty tuple is the folder itself."""
        return self._places.get((*task, name), set())

    def _note(self, path: str) -> None:
        for root in self._roots:
            if path == root or path.startswith(f"{root}/"):
                parts = tuple(part for part in path[len(root) :].split("/") if part not in ("", "."))
                self.has_all = self.has_all or len(parts) <= _TRY_DEPTH
                self._places.setdefault(parts[: _TRY_DEPTH + 1], set()).add(parts[_TRY_DEPTH + 1 :])
            elif root.startswith(f"{path.rstrip('/')}/"):
                self.has_all = True

    def _links_in(self, folder: str) -> Iterator[str]:
        """Yield the links in a folder of the run."""
        if not any(folder.startswith(f"{root}/") for root in self._roots) or not _is_folder(folder):
            return
        for parent, folders, files in os.walk(folder, onerror=self._give_up):
            for name in (*folders, *files):
                path = f"{parent}/{name}"
                if os.path.islink(path):  # noqa: PTH114 - there may be a million
                    yield path

    def _give_up(self, error: OSError) -> None:
        if not isinstance(error, (NotADirectoryError, FileNotFoundError)):
            self.has_all = True


def dead_parts(place: Place, task: TaskTry, live: Live, handed_on: Callable[[], object]) -> list[str]:
    """Return what of the folder of a try, which ended well, nobody can read any more: names relative to it.

    A folder of its that has no live file goes as a whole. Of another one goes what the task has handed on and nobody
    reads; what it has not handed on stays beside the files that it may belong to.
    """
    if live.has_all:
        return []
    own = _parts_of(task)
    folders = [name for name in _folders(place) if not name.startswith(_BIN)]
    dead = [name for name in folders if not live.below(own, name)]
    if len(dead) < len(folders):
        root = run_folder.run_tmp(task.dag_id, task.run_id)
        given = {(name, *rest) for name, rest in _below(handed_on(), (root, root.resolve()), own) if name not in dead}
        living = {name: _Living(live.below(own, name)) for name in {name for name, *_rest in given}}
        dead += ["/".join(parts) for parts in _outermost(given) if not living[parts[0]].touches(parts[1:])]
    return dead


def place_of_try(task: TaskTry) -> Place | None:
    """Return the folder of a try, which tools write to; None where it is not to be touched."""
    root = run_folder.real_run_tmp(task.dag_id, task.run_id)
    return None if root is None else Place(root, _parts_of(task))


def has_folders(place: Place) -> bool:
    """Whether there is anything left in the folder of a try that could be removed."""
    return bool(_folders(place))


@contextmanager
def removing(dag_id: str, run_id: str) -> Iterator[Callable[[], bool]]:
    """Say that files of a run are being removed; yield what says whether that still holds.

    Raises:
        OSError: that can't be said, so nothing may be removed.

    """
    path, mine, began = _word(dag_id, run_id), uuid.uuid4().hex, time.monotonic()
    is_bare = _leave_word(path, mine)

    def holds() -> bool:
        found = control_files.read(_Removal, path)
        return time.monotonic() - began < MAX_REMOVING_SECONDS and found is not None and found.by == mine

    try:
        yield holds
    finally:
        if holds() or (is_bare and _is_empty(path)):
            control_files.remove(path)


def _leave_word(path: Path, mine: str) -> bool:
    """Leave the word of a removal; return whether it is a bare one: that takes no room on a disk which is full."""
    try:
        control_files.write(path, {"by": mine})
    except OSError as error:
        if not may_pass(error):
            raise
        path.touch(exist_ok=False)
        return True
    return False


def _is_empty(path: Path) -> bool:
    try:
        return path.lstat().st_size == 0
    except OSError:
        return False


@contextmanager
def said_again(dag_id: str, run_id: str) -> Iterator[None]:
    """Keep the word of a removal from growing old while it lasts: a million files take longer than it holds."""
    done, path = threading.Event(), _word(dag_id, run_id)

    def say() -> None:
        while not done.wait(SAY_AGAIN_SECONDS):
            with suppress(OSError):  # it is gone as soon as the files are
                os.utime(path)

    saying = threading.Thread(target=say, name="cwl-removal", daemon=True)
    saying.start()
    try:
        yield
    finally:
        done.set()
        saying.join()


def is_removing(dag_id: str, run_id: str) -> bool:
    """Whether somebody has said that files of a run are being removed, and is not known to have been killed."""
    path = _word(dag_id, run_id)
    return os.path.lexists(path) and control_files.age(path) < STALE_SECONDS


def put_aside(place: Place, names: Iterable[str]) -> int:
    """Rename what is dead in the folder of a try, so that no task finds it any more; return how many.

    What can't be renamed, for instance since it is another user's, stays for the end of the run.
    """
    moved = 0
    with place.folder() as folder:
        with suppress(FileExistsError):
            os.close(os.open(REMOVED, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder))
        for name in names:
            above, _slash, last = name.rpartition("/")
            with suppress(OSError), place.folder(above) as parent:
                os.rename(last, f"{_BIN}{uuid.uuid4().hex}", src_dir_fd=parent, dst_dir_fd=folder)
                moved += 1
    return moved


def empty_bins(place: Place) -> None:
    """Give back the room of what was put aside in the folder of a try, also by somebody who was killed."""
    with suppress(OSError):
        names = [entry.name for entry in place.entries()[0] if entry.name.startswith(_BIN)]
        for name in names:
            with place.folder() as folder:
                _remove(name, folder)


def check_there(task: TaskTry, values: object, reader: str) -> None:
    """Raise :class:`StepError` for files of earlier tasks that were removed, once nobody removes any.

    The task must have its lease; ``reader`` is what the message calls it.
    """
    _wait_for_removal(task.dag_id, task.run_id)
    root = run_folder.run_tmp(task.dag_id, task.run_id)
    roots = (root, root.resolve())
    for path in local_paths(values):
        own = next((found for found in roots if path.is_relative_to(found)), None)
        if own is None or os.path.lexists(path):
            continue
        parts = path.relative_to(own).parts
        made_by = parts[:_TRY_DEPTH]
        if parts[_TRY_DEPTH : _TRY_DEPTH + 1] == (TAKEN,) or (own.joinpath(*made_by) / REMOVED).exists():
            raise StepError(
                f"{reader} needs {path.name}, which the task {made_by[0]} has made, and which is {GONE}. "
                f"Clear {made_by[0]}, too, with all tasks after it, or start the run again. With "
                "[cwl] keep_intermediate they stay until the run has succeeded."
            )


def _wait_for_removal(dag_id: str, run_id: str) -> None:
    deadline = time.monotonic() + STALE_SECONDS
    while is_removing(dag_id, run_id):
        if time.monotonic() > deadline:
            raise StepError("Its input files are just being removed, and that takes too long.", kind="temporaryFail")
        time.sleep(_LOOK_SECONDS)


def _word(dag_id: str, run_id: str) -> Path:
    return control_files.run_control(dag_id, run_id) / REMOVING


def _parts_of(task: TaskTry) -> Parts:
    return task.task_id, str(task.map_index), str(task.try_number)


def _folders(place: Place) -> list[str]:
    try:
        return [entry.name for entry in place.entries()[0] if entry.kind == FOLDER]
    except OSError:
        return []  # it has none, or is no folder


def _below(values: object, roots: Iterable[Path], task: Parts) -> Iterator[tuple[str, Parts]]:
    """Yield where the files of values are that are in folders of a try: the folder's name, and the parts below it."""
    for path in local_paths(values):
        for root in roots:
            parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
            if parts[:_TRY_DEPTH] == task and len(parts) > _TRY_DEPTH + 1 and ".." not in parts:
                yield parts[_TRY_DEPTH], parts[_TRY_DEPTH + 1 :]
                break


def _outermost(places: set[Parts]) -> list[Parts]:
    """Return places without those that are in others of them."""
    return sorted(parts for parts in places if not any(parts[:end] in places for end in range(1, len(parts))))


class _Living:
    """Live places of a folder: there may be a hundred thousand, and as many places to be compared with them."""

    def __init__(self, live: set[Parts]) -> None:
        self._live = live
        self._above = {parts[:end] for parts in live for end in range(len(parts))}

    def touches(self, place: Parts) -> bool:
        """Whether a place is live, is in what is live, or has something live in it."""
        return place in self._above or any(place[:end] in self._live for end in range(len(place) + 1))


def _hops(path: str, real_folders: dict[str, str]) -> Iterator[str]:
    """Yield a path, where it is with the links of its folder resolved, and each place that links there lead to."""
    yield path
    for _link in range(_MAX_LINKS):
        folder, name = posixpath.split(path)
        if name in ("", ".", ".."):
            yield os.path.realpath(path)
            return
        if folder not in real_folders:
            real_folders[folder] = os.path.realpath(folder)
        folder = real_folders[folder]
        path = f"{folder.rstrip('/')}/{name}"
        yield path
        if not os.path.islink(path):  # noqa: PTH114
            return
        try:
            path = posixpath.join(folder, os.readlink(path))  # noqa: PTH115
        except OSError:
            return


def _is_folder(path: str) -> bool:
    """Whether there is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _remove(name: str, folder: int) -> None:
    """Remove a file, or a folder with all that is in it; never what a link leads to."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        # Of the folder that is open: Python 3.10's rmtree takes no descriptor.
        shutil.rmtree(f"/proc/self/fd/{folder}/{name}", ignore_errors=True)
