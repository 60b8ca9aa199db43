"""Secrets of runs (cwltool:Secrets) whose tasks share no folders: in the file that they have on this server anyway.

So they go with the files of the run, and whoever asks whether a run has secrets finds them.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.errors import BadRequest, NotAllowed, TooLarge
from cwl_ui_plugin.services.workers.tries import CallingTry

MAX_BYTES = 256 * 1024
"""Of all secrets of a run, as JSON."""
MAX_NAME = 255
_WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def kept(caller: CallingTry, part: str) -> dict[str, str]:
    """Return the secrets of the run of a try, or of a part of it, by their placeholders; nothing where there are none.

    Raises:
        NotAllowed: the try does not run, or has no lease.

    """
    place, name = _place(caller, part)
    try:
        with place.open(name) as file:
            found: dict[str, str] = json.loads(file.read(MAX_BYTES))
    except FileNotFoundError:
        return {}
    return found


def keep(caller: CallingTry, part: str, secrets: Mapping[str, str]) -> None:
    """Keep the secrets of the run of a try instead of what is kept; raise as :func:`kept` does.

    Raises:
        TooLarge: they are more than :data:`MAX_BYTES`.

    """
    content = json.dumps(dict(secrets)).encode()
    if len(content) > MAX_BYTES:
        raise TooLarge(f"The secrets of a run may have {MAX_BYTES} bytes in all.")
    place, name = _place(caller, part)
    place.path.mkdir(parents=True, exist_ok=True)
    beside = f".{uuid.uuid4().hex}"
    with place.folder() as folder:
        try:
            with os.fdopen(os.open(beside, _WRITTEN, atomic.OWNER_ONLY, dir_fd=folder), "wb") as file:
                file.write(content)
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise


def _place(caller: CallingTry, part: str) -> tuple[Place, str]:
    """Return the folder of the run of a try, and the name of the file in it."""
    if not caller.is_running or caller.lease is None:
        raise NotAllowed("This try of the task does not run, or has no lease.")
    file, top = run_folder.secrets_file(caller.task.dag_id, caller.task.run_id, part), config.tmp_folder()
    if len(os.fsencode(file.name)) > MAX_NAME:
        raise BadRequest("The name of the part is too long.")
    return Place(top, file.parent.relative_to(top).parts), file.name
