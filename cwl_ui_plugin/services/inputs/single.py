"""Files that users send as inputs, and which paths a job may name as they are."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin import config
from cwl_ui_plugin.library.errors import BadUpload
from cwl_ui_plugin.library.intake import safe_name
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.errors import BadRequest, Conflict, TooLarge, Unavailable
from cwl_ui_plugin.services.inputs import owners
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.strict_json import is_text

log = logging.getLogger(__name__)
CHUNK = 1024 * 1024
MAX_PATHS = 10_000
MAX_NAME = 255
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


def save_input(name: str, stream: BinaryIO, *, user: str, folder: str | None = None) -> Path:
    """Keep a file that a job will name. Files with one ``folder`` (a UUID) lie together; ``name`` may have folders.

    Raises:
        BadRequest: a name that leaves the folder, or a folder that is no UUID.
        Conflict: a file of that name is in that folder already, or the folder is another user's.
        TooLarge: more than ``[cwl] max_input_size`` bytes.
        Unavailable: it can't be written, for instance because the disk is full.

    """
    folder = folder or str(uuid.uuid4())
    target = target_of(name, folder)
    owners.claim(folder.lower(), user)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            _fill(file, stream, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Conflict(f"There is a file {name!r}, or one of a folder's name, in this folder already.") from None
    except OSError as error:
        raise Unavailable(f"{name!r} can't be stored: {error.strerror or error}.") from error
    log.info("%s sent the input %s", user, target)
    return target


def visible_inputs(paths: Iterable[str], access: InputAccess) -> dict[str, bool]:
    """Return for each path whether a job may name it as it is: it exists where inputs of this user may come from."""
    wanted = list(paths)
    if len(wanted) > MAX_PATHS:
        raise BadRequest(f"At most {MAX_PATHS} paths can be asked for at once.")
    if not all(map(is_text, wanted)):
        raise BadRequest("A path has a null character or half of a surrogate pair in it.")
    return {path: _is_visible(path, access) for path in wanted}


def target_of(name: str, folder: str) -> Path:
    """Return where a sent file will be; raise :class:`BadRequest` for a name that leads elsewhere."""
    if not is_uuid(folder):
        raise BadRequest("The folder of an input must be a UUID; leave it out to get a new one.")
    try:
        relative = safe_name(name)
    except BadUpload as error:
        raise BadRequest(f"The name {name[:80]!r} can't be used: {error}") from error
    if any(len(part.encode("utf-8", "replace")) > MAX_NAME for part in relative.parts):
        raise BadRequest("The name of the file is too long.")
    return config.uploads_folder() / folder.lower() / relative


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, and so can be the name of a folder."""
    return _UUID.fullmatch(text.lower()) is not None


def _fill(file: BinaryIO, stream: BinaryIO, target: Path) -> None:
    """Copy a stream into a new file; whatever breaks that off, no part of a file stays."""
    try:
        _copy(stream, file)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _copy(stream: BinaryIO, file: BinaryIO) -> None:
    limit = int(config.number("max_input_size"))
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The file is larger than {bytes_text(limit)} ([cwl] max_input_size).")
        file.write(chunk)


def _is_visible(path: str, access: InputAccess) -> bool:
    try:
        parts = urlsplit(path)
        if parts.scheme not in ("", "file"):
            return False
        local = Path(unquote(parts.path) if parts.scheme else path)
        target = (config.inputs_folder() / local).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return False
    return access.allows(target, whole=target.is_dir())
