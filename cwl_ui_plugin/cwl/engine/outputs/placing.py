"""Writing into a folder that others may write to, too: by its descriptor, never through a link, whole or not at all.

Everything is made under a name of its own that begins with :data:`PART`, and renamed when it is whole.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cwl.engine.outputs.targets import Target
from cwl_ui_plugin.cwl.files import SCHEME

PART = ".cwl-part-"
_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PERMISSIONS = 0o777
_NO_SECOND_NAMES = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class NotPlain(ValueError):
    """What is to be delivered is neither a file nor a folder: a pipe, a socket, a device, a link that leads nowhere."""


@contextmanager
def opened(folder: Path, root: Path) -> Iterator[int]:
    """Yield a descriptor of ``folder``, which is made; from ``root`` on, no part of its path may be a link.

    Raises:
        OSError: ELOOP or ENOTDIR where a part is a link, or no folder.

    """
    root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in folder.relative_to(root).parts:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            deeper = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def plain_file(path: Path) -> Iterator[int]:
    """Yield a descriptor of a plain file; raise :class:`NotPlain` for anything else, OSError for a link."""
    source = os.open(path, _SOURCE)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise NotPlain(f"{path.name} is no plain file")
        yield source
    finally:
        os.close(source)


@dataclass(frozen=True)
class Placer:
    """Puts targets into folders. Files of the folders ``own``, which nobody else uses, are linked, not copied.

    What tools, also in containers, have made gets no rights that this process's umask takes from others.
    """

    own: tuple[Path, ...] = ()

    def place(self, folder: int, target: Target, *, is_ours: bool) -> None:
        """Put a target into a folder; what has its name already is replaced if it ``is_ours``.

        Raises:
            FileExistsError: the name is somebody else's.
            NotPlain: it can't be delivered.
            OSError: it could not be; nothing of it is there, then.

        """
        if not target.is_folder and _is_same(folder, target):
            return
        part = f"{PART}{uuid.uuid4().hex}"
        try:
            self._make(folder, part, target)
            _publish(folder, part, target.name, is_ours)
        finally:
            remove(folder, part)

    def _make(self, folder: int, name: str, target: Target) -> None:
        if target.contents is not None:
            with _new_file(folder, name) as file:
                _write(file, target.contents.encode())
        elif target.is_folder:
            self._make_folder(folder, name, target)
        else:
            self._make_file(folder, name, path_of(target.source))

    def _make_folder(self, folder: int, name: str, target: Target) -> None:
        os.mkdir(name, dir_fd=folder)
        descriptor = os.open(name, _FOLDER, dir_fd=folder)
        try:
            for child in target.children:
                self._make(descriptor, child.name, child)
            if target.source.startswith(SCHEME):
                mode = path_of(target.source).stat().st_mode & _PERMISSIONS
                os.fchmod(descriptor, (mode & ~_umask()) | stat.S_IRWXU)
        finally:
            os.close(descriptor)

    def _make_file(self, folder: int, name: str, path: Path) -> None:
        with plain_file(path) as source:
            found = os.fstat(source)
            if self._is_own(path, found) and _link(source, folder, name):
                os.fchmod(source, found.st_mode & _PERMISSIONS & ~_umask())
            else:
                _copy_to(source, folder, name)

    def _is_own(self, path: Path, found: os.stat_result) -> bool:
        """Whether nothing else is this file: another name of it could be somebody's input."""
        is_single = found.st_nlink == 1 and found.st_uid == os.geteuid()
        return is_single and any(path.is_relative_to(folder) for folder in self.own)


def add_name(source: int, folder: int, name: str) -> None:
    """Give an open file a name in a folder: a second one, or that of a copy where the disk knows no such names."""
    if not _link(source, folder, name):
        _copy_to(source, folder, name)


def remove(folder: int, name: str) -> None:
    """Remove a file or folder with all that is in it, if it is there."""
    try:
        os.unlink(name, dir_fd=folder)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        pass
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        for entry in names_in(descriptor):
            remove(descriptor, entry)
    finally:
        os.close(descriptor)
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=folder)


def names_in(folder: int) -> list[str]:
    """Return the names of what is in a folder."""
    with os.scandir(folder) as found:
        return [entry.name for entry in found]


def remove_parts(folder: int) -> None:
    """Remove what a delivery that was killed has left half-made."""
    for name in names_in(folder):
        if name.startswith(PART):
            remove(folder, name)


def path_of(location: str) -> Path:
    """Return the path of a ``file://`` location."""
    return Path(unquote(urlsplit(location).path))


def _is_same(folder: int, target: Target) -> bool:
    """Whether a file is at its target already: a name of the same file."""
    if target.contents is not None:
        return False
    there, source = _state(folder, target.name), path_of(target.source).lstat()
    return there is not None and (there.st_dev, there.st_ino) == (source.st_dev, source.st_ino)


def _publish(folder: int, part: str, name: str, is_ours: bool) -> None:
    """Give what is whole its name."""
    there, made = _state(folder, name), _state(folder, part)
    has_folder = any(found and stat.S_ISDIR(found.st_mode) for found in (there, made))
    if not is_ours:
        _publish_new(folder, part, name, has_folder)
    elif there and has_folder:
        replaced = f"{PART}{uuid.uuid4().hex}"
        os.rename(name, replaced, src_dir_fd=folder, dst_dir_fd=folder)
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        remove(folder, replaced)
    else:
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)


def _publish_new(folder: int, part: str, name: str, has_folder: bool) -> None:
    """Give what is whole a name that nobody has; a second name for a file never replaces anything."""
    if _state(folder, name):
        raise FileExistsError(errno.EEXIST, "somebody else has made a file of this name meanwhile", name)
    if not has_folder:
        try:
            os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            return
        except OSError as error:
            if error.errno not in _NO_SECOND_NAMES:
                raise
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)


def _state(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _link(source: int, folder: int, name: str) -> bool:
    """Give an open file a second name; return whether that could be done: on one disk, if it knows such names.

    What is open was looked at; what has its name by now may be another file.
    """
    try:
        os.link(f"/proc/self/fd/{source}", name, dst_dir_fd=folder, follow_symlinks=True)
    except OSError:
        return False
    return True


@contextmanager
def _new_file(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, _NEW, 0o666, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the umask without changing it, which other threads would notice; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - once a file
            return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0)
    except OSError:
        return 0


def _write(file: int, content: bytes) -> None:
    with os.fdopen(file, "wb", closefd=False) as opened_file:
        opened_file.write(content)


def _copy_to(source: int, folder: int, name: str) -> None:
    """Copy an open file with its permissions and times."""
    found = os.fstat(source)
    with _new_file(folder, name) as file:
        _copy(source, file, found)


def _copy(source: int, file: int, found: os.stat_result) -> None:
    with os.fdopen(source, "rb", closefd=False) as content, os.fdopen(file, "wb", closefd=False) as copy:
        shutil.copyfileobj(content, copy, _CHUNK)
    os.fchmod(file, found.st_mode & _PERMISSIONS & ~_umask())
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
