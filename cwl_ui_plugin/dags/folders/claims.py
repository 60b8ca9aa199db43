"""Which run a folder belongs to: nothing is written into a folder that another run delivers to, or has delivered to.

::

    <control folder>/deliveries/<key>.json        the claim: {"dag_id", "run_id", "folder", "created"}
    <control folder>/deliveries/<key>.record      what the run has delivered there (cwl.delivery)
    <control folder>/deliveries/<key>.below/<key of a folder in it>

``key`` is the SHA-256 of the folder's path, links resolved. A claim stays when its run is deleted: the files stay, too.

Two runs that claim at the same time can't both get it: each first writes that it claims, then looks for others.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.cwl.engine.outputs.record import Owner
from cwl_ui_plugin.cwl.errors import FolderTaken

MAX_BYTES = 65_536
_FOLDER = "deliveries"
_CLAIM, _RECORD, _BELOW = ".json", ".record", ".below"
_SAME_MOMENT = 1.0


@dataclass(frozen=True)
class Claim:
    """A folder of a run; ``created`` is the ``run_after`` of the run, in seconds since the epoch.

    A run that was deleted and one that has its name since differ in ``created``.
    """

    dag_id: str
    run_id: str
    folder: str
    created: float

    def is_of(self, other: Claim) -> bool:
        """Whether both are of the same run."""
        same_name = (self.dag_id, self.run_id) == (other.dag_id, other.run_id)
        return same_name and abs(self.created - other.created) < _SAME_MOMENT

    @property
    def path(self) -> Path:
        """Where the folder is."""
        return Path(self.folder)

    @property
    def shown(self) -> str:
        """What users call the folder."""
        return store_paths.text_of(self.path)

    @property
    def owner(self) -> Owner:
        """Whose what is delivered there is, for a record that lies in a store."""
        return Owner(f"{self.dag_id}/{self.run_id}", self.created)


_UNREADABLE = Claim("", "", "", 0.0)


def take(claim: Claim, root: Path) -> bool:
    """Claim a folder for a run; return whether it did not have it before. ``root`` is the site's folder that it is in.

    Raises:
        FolderTaken: another run has it, one in it, or one that it is in.
        OSError, ConfigError: claims can't be written.

    """
    place = _deliveries()  # looked for once: each look checks whose it is
    key, *above = _keys(claim.path)
    found = _read(key, place)
    is_new = found is None or not found.is_of(claim)
    if is_new:
        _tell_above(claim.path, root, key, above, place)
        _write(key, claim, place)
    try:
        _check_above(claim, above, place)
        _check_below(claim, key, place)
    except FolderTaken:
        if is_new:
            _file(key, place).unlink(missing_ok=True)
        raise
    return is_new


def release(claim: Claim) -> None:
    """Give up a folder that nothing was delivered to, if it is this run's."""
    key = _key(claim.path)
    found = _read(key)
    if found and found.is_of(claim):
        record_of(claim.path).unlink(missing_ok=True)
        _file(key).unlink(missing_ok=True)


def release_named(dag_id: str, run_id: str, folder: Path) -> None:
    """Give up a folder that is a run's, whenever that was created, and empty now."""
    found = _read(_key(folder))
    if found and (found.dag_id, found.run_id) == (dag_id, run_id) and not is_in_use(folder):
        release(found)


def record_of(folder: Path) -> Path:
    """Return the file that knows what was delivered to a folder."""
    return _deliveries() / f"{_key(folder)}{_RECORD}"


def file_of(folder: Path) -> Path:
    """Return the file with the claim of a folder; its time says when somebody used what was delivered there."""
    return _file(_key(folder))


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Keep out the delivery into a claimed folder, and whoever removes that; yield whether nobody was faster."""
    try:
        held = file_of(folder).open("r+b")
    except FileNotFoundError:
        yield False
        return
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def revive(folder: Path) -> bool:
    """Let what was delivered be used again whose removal was broken off; return False while it is being removed."""
    with alone(folder) as is_ours:
        if is_ours:
            os.utime(file_of(folder))
        return is_ours


def of(folder: Path) -> Claim | None:
    """Return the claim of a folder itself; None where there is none that can be read."""
    found = _read(_key(folder))
    return found if found != _UNREADABLE else None


def claims() -> Iterator[Claim]:
    """Yield all claims."""
    with suppress(OSError), os.scandir(_deliveries()) as found:
        for entry in found:
            if entry.name.endswith(_CLAIM) and (claim := _read(entry.name.removesuffix(_CLAIM))):
                yield claim


def below(folder: Path) -> Iterator[Claim]:
    """Yield the claims of folders in a folder."""
    with suppress(OSError), os.scandir(_deliveries() / f"{_key(folder)}{_BELOW}") as found:
        for entry in found:
            if claim := _read(entry.name):
                yield claim


def holder(path: Path, root: Path) -> Claim | None:
    """Return the claim of the folder that a path is, or is in, below a folder of the site; None where there is none."""
    for folder in (path, *path.parents):
        if folder == root or not folder.is_relative_to(root):
            return None
        if (claim := _read(_key(folder))) is not None:
            return claim if claim != _UNREADABLE else None
    return None


def is_in_use(folder: Path) -> bool:
    """Whether there is anything in a folder; in a store: whether something was delivered there, and not removed."""
    if store_paths.is_stored(folder):
        return record_of(folder).exists()
    try:
        with os.scandir(folder) as found:
            return next(found, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False


def _deliveries() -> Path:
    return config.control_folder() / _FOLDER


def _file(key: str, place: Path | None = None) -> Path:
    return (place or _deliveries()) / f"{key}{_CLAIM}"


def _key(folder: Path) -> str:
    return _keys(folder)[0]


def _keys(folder: Path) -> list[str]:
    """Return the keys of a folder and of all that it is in, the nearest first."""
    return [hashlib.sha256(os.fsencode(path)).hexdigest() for path in reversed(_canonical(folder))]


def _canonical(folder: Path) -> list[str]:
    """Return paths of all that a folder is in and of itself, which are the same for all spellings of it.

    That is so on a disk that ignores upper and lower case, too.
    """
    place, found, ignores_case = folder.anchor, [folder.anchor], False
    for part in folder.parts[1:]:
        inner = os.path.join(place, part)  # noqa: PTH118 - each trigger asks for some dozen
        if part.swapcase() != part and os.path.lexists(inner):
            ignores_case = _is_one(inner, os.path.join(place, part.swapcase()))  # noqa: PTH118
        place = inner
        found.append(os.path.join(found[-1], part.casefold() if ignores_case else part))  # noqa: PTH118
    return found


def _is_one(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False


def _tell_above(folder: Path, root: Path, key: str, keys_above: list[str], place: Path) -> None:
    """Tell the folders that a folder is in, whose keys are given, that there is a claim below them."""
    for above, key_above in zip(folder.parents, keys_above, strict=True):
        if not above.is_relative_to(root):
            return
        below = place / f"{key_above}{_BELOW}"
        below.mkdir(parents=True, exist_ok=True)
        (below / key).touch()


def _write(key: str, claim: Claim, place: Path) -> None:
    """Write a claim, unless there is one of another run."""
    path = _file(key, place)
    beside = path.with_name(f".{key[:16]}.{uuid.uuid4().hex}")
    beside.parent.mkdir(exist_ok=True)
    beside.write_text(json.dumps(asdict(claim)), encoding="utf-8")
    try:
        os.link(beside, path)
    except FileExistsError:
        found = _read(key, place)
        if found is None or not found.is_of(claim):
            _check_deleted(found or _UNREADABLE, claim)
            record_of(claim.path).unlink(missing_ok=True)
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _check_deleted(found: Claim, claim: Claim) -> None:
    """Let a run have the folder of one that had its name before and has left nothing in it; of nobody else."""
    if (found.dag_id, found.run_id) != (claim.dag_id, claim.run_id):
        raise _taken(claim, found)
    if is_in_use(claim.path):
        raise FolderTaken(
            f"The folder {claim.shown} has files of an earlier run {claim.run_id!r}, which was deleted: choose "
            "another run_id or output_folder, or have the folder removed."
        )


def _check_above(claim: Claim, keys_above: list[str], place: Path) -> None:
    for key in keys_above:
        found = _read(key, place)
        if found is not None:
            raise _taken(claim, found)


def _check_below(claim: Claim, key: str, place: Path) -> None:
    try:
        names = os.scandir(place / f"{key}{_BELOW}")
    except FileNotFoundError:
        return
    with names:
        for entry in names:
            found = _read(entry.name, place)
            if found is not None:
                raise _taken(claim, found)


def _taken(claim: Claim, found: Claim) -> FolderTaken:
    """Return whose a folder is; runs of other workflows are not named, since not everybody may see them."""
    if found == _UNREADABLE:
        return FolderTaken(f"The folder {claim.shown} can't be used: the file that says whose it is can't be read.")
    run = f"the run {found.run_id!r}" if found.dag_id == claim.dag_id else "a run of another workflow"
    how = "belongs to" if found.folder == claim.folder else "is in, or has in it, a folder that belongs to"
    return FolderTaken(f"The folder {claim.shown} {how} {run}: choose another output_folder or tmp_folder.")


def _read(key: str, place: Path | None = None) -> Claim | None:
    """Return a claim; None where there is none. What can't be read is taken for somebody else's."""
    path = _file(key, place)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = json.loads(file.read(MAX_BYTES))
        return Claim(str(found["dag_id"]), str(found["run_id"]), str(found["folder"]), float(found["created"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return _UNREADABLE
