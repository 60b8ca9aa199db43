"""Large input files that are sent in parts, so that an upload that was broken off goes on where it was.

An upload is a folder ``uploads/.parts/<id>`` below the folder for inputs: ``state.json`` says what it will be, ``data``
is what has arrived.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cwl_ui_plugin import config
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs import owners
from cwl_ui_plugin.services.inputs.single import is_uuid, target_of

log = logging.getLogger(__name__)
KEPT_SECONDS = 7 * 24 * 3600
"""How long an upload waits for its next part."""
MAX_WAITING = 20
"""Uploads that one user may have begun and not ended."""
_STATE = "state.json"
_DATA = "data"


@dataclass(frozen=True)
class PartialUpload:
    """An upload on its way; ``path`` is where the file is once all of it has arrived."""

    id: str
    size: int
    received: int
    path: Path | None = None


@dataclass(frozen=True)
class _State:
    user: str
    name: str
    folder: str
    size: int


def start(name: str, size: int, *, user: str, folder: str | None = None) -> PartialUpload:
    """Begin an upload.

    Raises:
        BadRequest: a name or folder that can't be used.
        Conflict: there is a file of that name in the folder, or the folder is another user's.
        TooLarge: more than ``[cwl] max_input_size`` bytes, or too many uploads at once.
        Unavailable: it can't be written.

    """
    limit = int(config.number("max_input_size"))
    if size > limit:
        raise TooLarge(f"The file is larger than {bytes_text(limit)} ([cwl] max_input_size).")
    state = _State(user, name, folder or str(uuid.uuid4()), size)
    target = target_of(name, state.folder)
    owners.claim(state.folder.lower(), user)
    if target.exists():
        raise _taken(name)
    remove_forgotten()
    if sum(_owner(path) == user for path in _waiting()) >= MAX_WAITING:
        raise TooLarge(f"You have {MAX_WAITING} uploads that were not ended; end them, or wait a week.")
    upload_id = str(uuid.uuid4())
    place = _parts() / upload_id
    try:
        place.mkdir(parents=True)
        (place / _DATA).touch()
        (place / _STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{name!r} can't be stored: {error.strerror or error}.") from error
    return PartialUpload(upload_id, size, 0)


def get(upload_id: str, *, user: str) -> PartialUpload:
    """Return how far an upload is; raise :class:`NotFound` for one that ended, or is another user's."""
    place, state = _find(upload_id, user)
    try:
        return PartialUpload(upload_id, state.size, (place / _DATA).stat().st_size)
    except FileNotFoundError:
        raise _unknown(upload_id) from None


def add(upload_id: str, offset: int, content: bytes, *, user: str) -> PartialUpload:
    """Add a part; the last one makes it an input file.

    Raises:
        NotFound: no such upload of this user.
        Conflict: ``offset`` is not what has arrived, another part is arriving, or the file's name is taken.
        BadRequest: more than the file was said to have.
        Unavailable: it can't be written.

    """
    place, state = _find(upload_id, user)
    try:
        with _locked(place / _DATA) as data:
            received = _append(data, offset, content, state)
            if received < state.size:
                return PartialUpload(upload_id, state.size, received)
            return PartialUpload(upload_id, state.size, received, _finish(place, state))
    except FileNotFoundError:
        raise _unknown(upload_id) from None
    except OSError as error:
        raise Unavailable(f"{state.name!r} can't be stored: {error.strerror or error}.") from error


def cancel(upload_id: str, *, user: str) -> None:
    """Forget an upload, and what has arrived of it.

    Raises:
        NotFound: no such upload of this user.
        Conflict: a part of it is arriving just now.

    """
    place, _state = _find(upload_id, user)
    try:
        with _locked(place / _DATA):
            shutil.rmtree(place, ignore_errors=True)
    except FileNotFoundError:
        raise _unknown(upload_id) from None


def _append(data: IO[bytes], offset: int, content: bytes, state: _State) -> int:
    arrived = data.seek(0, os.SEEK_END)
    if offset != arrived:
        raise Conflict(f"{arrived} bytes have arrived; send the part that begins there.")
    if arrived + len(content) > state.size:
        raise BadRequest(f"These are more than the {state.size} bytes that the file was said to have.")
    try:
        data.write(content)
        data.flush()
    except OSError:
        data.truncate(arrived)
        raise
    return arrived + len(content)


def _finish(place: Path, state: _State) -> Path:
    """Give the file its name, which must be free."""
    target = target_of(state.name, state.folder)
    owners.claim(state.folder.lower(), state.user)  # it may have been removed meanwhile
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.open("xb").close()
    except FileExistsError:
        raise _taken(state.name) from None
    (place / _DATA).replace(target)
    shutil.rmtree(place, ignore_errors=True)
    log.info("%s sent the input %s", state.user, target)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("r+b") as data:
        try:
            fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another part of this file is arriving just now.") from None
        yield data


def _find(upload_id: str, user: str) -> tuple[Path, _State]:
    if not is_uuid(upload_id):
        raise _unknown(upload_id)
    place = _parts() / upload_id
    try:
        state = _State(**json.loads((place / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise _unknown(upload_id) from None
    if state.user != user:
        raise _unknown(upload_id)
    return place, state


def remove_forgotten() -> None:
    """Remove what has arrived of uploads that were broken off."""
    oldest = time.time() - KEPT_SECONDS
    for place in _waiting():
        try:
            if (place / _DATA).stat().st_mtime < oldest:
                shutil.rmtree(place, ignore_errors=True)
        except OSError:
            continue


def _owner(place: Path) -> str | None:
    try:
        return str(json.loads((place / _STATE).read_text(encoding="utf-8"))["user"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _waiting() -> list[Path]:
    return sorted(_parts().iterdir()) if _parts().is_dir() else []


def _parts() -> Path:
    return config.uploads_folder() / ".parts"


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a file {name!r} in this folder already.")


def _unknown(upload_id: str) -> NotFound:
    return NotFound(f"There is no upload {upload_id[:80]!r} of yours that waits for a part.")
