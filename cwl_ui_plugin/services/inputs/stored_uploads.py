"""Input files that browsers upload to an object store (``[cwl] uploads_storage``), part by part.

What is on its way is known by files in ``inputs_folder/uploads``::

    .stored/<id>.json    an upload that waits for its parts
    .stored/<id>.done    one that has ended, for a while: its answer may have been lost
    .gone/<folder>       a folder whose objects are being removed: its name can't be claimed meanwhile
    <folder>/            the folder's claim and last use, as for files that lie here; it may be empty
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.fetching.errors import FetchError, NotThere, OtherContent
from cwl_ui_plugin.fetching.site import uploads_root
from cwl_ui_plugin.fetching.storage_roots import StorageAddress, StorageRoot, key_problem
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs import owners
from cwl_ui_plugin.services.inputs.resumable import KEPT_SECONDS
from cwl_ui_plugin.services.inputs.single import is_uuid, target_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)
PART_BYTES = 8 * config.MEBIBYTE
"""The least that a part has, but for the last one."""
MAX_PART = 16 * config.MEBIBYTE
"""The most that goes through the server."""
_MANY_PARTS, _MAX_PARTS = 1000, 10_000
_PART_SECONDS = 60.0
"""How long a store may take for a part that goes through the server."""
_DONE_SECONDS = 24 * 3600
MAX_WAITING = 200
"""Uploads that one user may have begun and not ended: all files go so, also those of a folder that fail one by one."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class StoredUpload:
    """An upload of so many parts, of which those with these numbers have arrived; ``location`` is set at the end."""

    id: str
    size: int
    part_size: int
    parts: int
    arrived: tuple[int, ...]
    name: str
    location: str = ""


@dataclass(frozen=True)
class _State:
    user: str
    folder: str
    size: int
    part_size: int
    key: str
    upload: str

    @property
    def sizes(self) -> list[int]:
        from cwl_ui_plugin.storing.browser_uploads import sizes_of

        return list(sizes_of(self.size, self.part_size))

    def shown(self, upload_id: str, arrived: tuple[int, ...], location: str = "") -> StoredUpload:
        name = self.key.rpartition("/")[2]
        return StoredUpload(upload_id, self.size, self.part_size, len(self.sizes), arrived, name, location)


def is_on() -> bool:
    """Whether uploads go to a store here."""
    return uploads_root() is not None


def start(name: str, size: int, *, user: str, folder: str | None = None) -> StoredUpload:
    """Begin an upload.

    Raises:
        NotFound: uploads do not go to a store here.
        BadRequest: a name or folder that can't be used.
        Conflict: there is a file of that name in the folder, or the folder is another user's.
        TooLarge: more than ``[cwl] max_input_size`` bytes, or than can be sent, or too many uploads at once.
        Unavailable: the store, or the disk, does not take it now.

    """
    from cwl_ui_plugin.storing import browser_uploads

    root, limit = _root(), int(config.number("max_input_size"))
    if size > limit:
        raise TooLarge(f"The file is larger than {bytes_text(limit)} ([cwl] max_input_size).")
    folder = (folder or str(uuid.uuid4())).lower()
    key = root.prefix + target_of(name, folder).relative_to(config.uploads_folder()).as_posix()
    if reason := key_problem(key):
        raise BadRequest(f"The name {name[:80]!r} can't be used: {reason}.")
    part_size = _part_size(size)
    if part_size > MAX_PART and not config.uploads_origin():
        raise TooLarge(
            f"The file is too large for uploads through the server: its {_MAX_PARTS} parts would have more than "
            f"{bytes_text(MAX_PART)} each. Browsers can send it to the bucket where [cwl] uploads_origin is set."
        )
    if sum(state.user == user for _path, state in _waiting()) >= MAX_WAITING:
        raise TooLarge(f"You have {MAX_WAITING} uploads that were not ended; end them, or wait a week.")
    owners.claim(folder, user)
    begun = _asked(StorageAddress(root, key), lambda system: browser_uploads.begin(system, StorageAddress(root, key)))
    if begun is None:
        raise _taken(name)
    state = _State(user, folder, size, part_size, key, begun.id)
    upload_id = str(uuid.uuid4())
    _write(_path(upload_id), state)
    return state.shown(upload_id, ())


def get(upload_id: str, *, user: str) -> StoredUpload:
    """Return how far an upload is; raise :class:`NotFound` for one that is not there, or another user's."""
    from cwl_ui_plugin.storing import browser_uploads

    path, state = _find(upload_id, user)
    address = _address(state)
    if path.suffix == ".done":
        return state.shown(upload_id, (), address.url)
    upload = browser_uploads.Upload(address, state.upload)
    found = _asked(address, lambda system: browser_uploads.arrived(system, upload))
    if found is None:
        if not _asked(address, lambda system: browser_uploads.is_there(system, address)):
            path.unlink(missing_ok=True)  # the store has given it up
        raise _unknown(upload_id)
    sizes = dict(enumerate(state.sizes, start=1))
    return state.shown(upload_id, tuple(number for number, part in found.items() if sizes.get(number) == part.size))


def signed_part(upload_id: str, number: int, *, user: str) -> str:
    """Return the address by which the browser sends a part; empty where it sends it to the server.

    Raises:
        NotFound: no such upload of this user, or no such part.
        Unavailable: it can't be signed now.

    """
    from cwl_ui_plugin.storing import browser_uploads

    state, origin = _find_part(upload_id, number, user), config.uploads_origin()
    if not origin:
        return ""
    address = _address(state)
    upload, size = browser_uploads.Upload(address, state.upload), state.sizes[number - 1]
    return _asked(address, lambda _system: browser_uploads.signed_part(upload, number, size, origin))


def add_part(upload_id: str, number: int, content: bytes, *, user: str) -> None:
    """Pass a part on to the store.

    Raises:
        NotFound: no such upload of this user, or no such part.
        BadRequest: it has not the size of this part.
        Unavailable: the store does not take it now.

    """
    from cwl_ui_plugin.storing import browser_uploads

    state = _find_part(upload_id, number, user)
    if origin := config.uploads_origin():
        _tell_once(origin)
    if len(content) != state.sizes[number - 1]:
        raise BadRequest(f"Part {number} has {state.sizes[number - 1]} bytes, not {len(content)}.")
    address = _address(state)
    upload = browser_uploads.Upload(address, state.upload)
    _asked(address, lambda system: browser_uploads.put_part(system, upload, number, content), _PART_SECONDS)


def complete(upload_id: str, *, user: str) -> StoredUpload:
    """Make an upload an input file, if all of it has arrived; one that is already one stays it.

    Raises:
        NotFound: no such upload of this user.
        Conflict: parts are missing, or another upload was made the file of this name.
        Unavailable: the store does not make it a file now, or has something else there.

    """
    from cwl_ui_plugin.storing import browser_uploads

    path, state = _find(upload_id, user)
    address = _address(state)
    if path.suffix != ".done":
        owners.claim(state.folder, user)  # it may have been removed meanwhile
        upload = browser_uploads.Upload(address, state.upload)
        missing = _asked(address, lambda system: browser_uploads.complete(system, upload, state.sizes), _PART_SECONDS)
        if missing is None:
            raise _taken(state.key.rpartition("/")[2])
        if missing:
            raise Conflict(f"{len(missing)} parts have not arrived, such as part {missing[0]}.")
        with suppress(FileNotFoundError):
            os.utime(path)
            path.rename(path.with_suffix(".done"))
        log.info("%s sent the input %s", user, address.url)
    return state.shown(upload_id, (), address.url)


def cancel(upload_id: str, *, user: str) -> None:
    """Forget an upload, and what has arrived of it; raise :class:`NotFound` where there is none of this user."""
    path, state = _find(upload_id, user)
    if path.suffix != ".done":
        _abort(state)
    path.unlink(missing_ok=True)


def sweep() -> None:
    """Give up uploads that were broken off a week ago, and remove the objects of folders that are nobody's any more."""
    if not is_on():
        return
    try:
        _give_up_forgotten()
        _remove_gone()
    except (FetchError, Unavailable, NotFound) as error:
        log.warning("What was uploaded to the store can't be tidied up now: %s", error)


def _give_up_forgotten() -> None:
    now = time.time()
    for path in (config.uploads_folder() / ".stored").glob("*"):
        with suppress(FileNotFoundError):
            age = now - path.stat().st_mtime
            if path.suffix == ".json" and age > KEPT_SECONDS and (state := _read(path)) is not None:
                _abort(state)
            if age > (KEPT_SECONDS if path.suffix == ".json" else _DONE_SECONDS):
                path.unlink()


def _remove_gone() -> None:
    root = _root()
    for path in (config.uploads_folder() / owners.GONE).glob("*"):
        if is_uuid(path.name):
            owners.end_gone(path.name, partial(_remove_objects, StorageAddress(root, root.prefix + path.name)))


def _remove_objects(folder: StorageAddress) -> None:
    from cwl_ui_plugin.storing import browser_uploads

    _asked(folder, lambda system: browser_uploads.remove_below(system, folder), _PART_SECONDS)


def _abort(state: _State) -> None:
    from cwl_ui_plugin.storing import browser_uploads

    upload = browser_uploads.Upload(_address(state), state.upload)
    _asked(upload.address, lambda system: browser_uploads.abort(system, upload))


def _asked(
    address: StorageAddress, ask: Callable[[AbstractFileSystem], _Answer], seconds: float | None = None
) -> _Answer:
    from cwl_ui_plugin.fetching.quick_answers import WRITING, answered

    try:
        return answered(address, ask, WRITING, seconds=seconds)
    except (NotThere, OtherContent) as error:
        raise NotFound(str(error)) from error
    except FetchError as error:
        raise Unavailable(str(error)) from error


def _part_size(size: int) -> int:
    """Return what parts have: few of them, of which the server can pass on each unless they would be too many then."""
    return max(PART_BYTES, min(MAX_PART, -(-size // _MANY_PARTS)), -(-size // _MAX_PARTS))


def _root() -> StorageRoot:
    root = uploads_root()
    if root is None:
        raise NotFound("Uploads do not go to an object store here ([cwl] uploads_storage).")
    return root


def _address(state: _State) -> StorageAddress:
    return StorageAddress(_root(), state.key)


def _find_part(upload_id: str, number: int, user: str) -> _State:
    path, state = _find(upload_id, user)
    if path.suffix == ".done" or not 1 <= number <= len(state.sizes):
        raise NotFound(f"The upload {upload_id[:80]!r} waits for no part {number}.")
    with suppress(FileNotFoundError):
        os.utime(path)  # it waits from now on
    return state


def _find(upload_id: str, user: str) -> tuple[Path, _State]:
    if is_uuid(upload_id):
        for path in (_path(upload_id), _path(upload_id).with_suffix(".done")):
            if (state := _read(path)) is not None and state.user == user:
                return path, state
    raise _unknown(upload_id)


def _waiting() -> list[tuple[Path, _State]]:
    paths = (config.uploads_folder() / ".stored").glob("*.json")
    return [(path, state) for path in paths if (state := _read(path)) is not None]


def _read(path: Path) -> _State | None:
    try:
        return _State(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, state: _State) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, json.dumps(asdict(state)))
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror or error}.") from error


def _path(upload_id: str) -> Path:
    return config.uploads_folder() / ".stored" / f"{upload_id.lower()}.json"


@cache
def _tell_once(origin: str) -> None:
    log.warning(
        "Parts of uploads come through this server, though browsers should send them to %s ([cwl] uploads_origin): see "
        "whether that is how addresses of the bucket begin, whether browsers reach it, and its rules for CORS.",
        origin,
    )


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a file {name!r} in this folder already.")


def _unknown(upload_id: str) -> NotFound:
    return NotFound(f"There is no upload {upload_id[:80]!r} of yours.")
