"""What is known of an upload on its way, in files that every process of the API server sees.

::

    <workflows_folder>/uploads/<id>/state.json   the Upload, replaced in one step
    <workflows_folder>/uploads/<id>/lock         locked by the process that works on it

The lock goes when its process goes, however it ends: an unfinished upload that nobody holds was interrupted.
"""

from __future__ import annotations

import fcntl
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.dags.folders.control_files import as_dataclass
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.library.intake import remove
from cwl_ui_plugin.library.shared.database_lock import changing_workflows
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.opened import Place
from cwl_ui_plugin.services.errors import NotFound
from cwl_ui_plugin.services.stored_workflows import library_errors
from cwl_ui_plugin.services.workflow_models import Excerpt, Upload

KEEP_SECONDS = 24 * 3600
ABANDONED_SECONDS = 2 * 3600
"""After this long nobody works any more on an upload of another machine that has not said its end."""
INTERRUPTED = "The upload was interrupted, because the API server was restarted. Nothing was stored; upload it again."
MAX_EXCERPTS = 20
EXCERPT_CONTEXT = 3
MAX_EXCERPT_LINE = 500
MAX_EXCERPT_SOURCE = 2 * 1024 * 1024
_ID = re.compile(r"[0-9a-f]{32}")
_STATE = "state.json"
_STATES = ("validating", "registering", "done", "failed")
_LOCK = "lock"
_FINISHING = ".finishing.lock"


class UploadFolder:
    """The folder of one upload below ``root``."""

    def __init__(self, root: Path, upload_id: str) -> None:
        self.root = root
        self.id = upload_id
        self.folder = root / upload_id

    @classmethod
    def create(cls, root: Path) -> UploadFolder:
        """Make the folder for a new upload."""
        made = cls(root, uuid.uuid4().hex)
        made.folder.mkdir(parents=True)
        return made

    @property
    def source(self) -> Path:
        """Where the files of the upload are unpacked to."""
        return self.folder / "source"

    @property
    def compiled(self) -> Path:
        """Where they are compiled to."""
        return self.folder / "compiled"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the upload: as long as this process lives and works on it, it is not interrupted."""
        with (self.folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, upload: Upload) -> None:
        """Keep the state for all to see."""
        text = json.dumps(asdict(upload), ensure_ascii=False)
        write_text(self.folder / _STATE, text)
        site_store().tell_upload(self.id, text)

    def read(self) -> Upload:
        """Return the state; raise :class:`NotFound`."""
        if not self.folder.is_dir() and (elsewhere := self._read_elsewhere()):
            return elsewhere
        upload = self._read()
        if upload.has_ended:
            return upload
        if self._is_held():
            return replace(upload, seconds=seconds_since(upload.started_at))
        upload = self._read()  # it may have ended between the two looks
        return upload if upload.has_ended else replace(upload, state="failed", message=INTERRUPTED, status=503)

    def clear(self) -> None:
        """Remove the files of the upload, not its state."""
        remove(self.source)
        remove(self.compiled)

    def remove(self) -> None:
        """Remove everything of the upload."""
        remove(self.folder)

    def _read(self) -> Upload:
        if not _ID.fullmatch(self.id):
            raise NotFound(f"There is no upload {self.id!r}.")
        try:
            return _upload_of(json.loads((self.folder / _STATE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise NotFound(f"There is no upload {self.id!r}, or it is too long ago.") from None

    def _read_elsewhere(self) -> Upload | None:
        """Return how an upload is that another machine works on; None where no other machine knows it."""
        with library_errors():
            text = site_store().told_upload(self.id) if _ID.fullmatch(self.id) else None
        try:
            upload = as_dataclass(Upload, json.loads(text)) if text else None
            if upload is None or upload.id != self.id or not _is_known(upload):
                return None
            seconds = 0.0 if upload.has_ended else seconds_since(upload.started_at)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return None
        if upload.has_ended:
            return upload
        if seconds > ABANDONED_SECONDS:
            return replace(upload, state="failed", message=INTERRUPTED, status=503)
        return replace(upload, seconds=seconds)

    def _is_held(self) -> bool:
        try:
            with (self.folder / _LOCK).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False


def _is_known(upload: Upload) -> bool:
    """Whether an upload is in a state that there is, and has failed with a status that an answer can have."""
    status = upload.status
    return upload.state in _STATES and (status is None or status in range(200, 600))


def _upload_of(data: dict[str, Any]) -> Upload:
    """Return an upload as it was kept."""
    problems = tuple(Problem(**problem) for problem in data["problems"])
    excerpts = tuple(Excerpt(**{**item, "lines": tuple(item["lines"])}) for item in data.get("excerpts", ()))
    choices = tuple(data.get("choices", ()))
    return Upload(**{**data, "problems": problems, "excerpts": excerpts, "choices": choices})


@contextmanager
def finishing(root: Path) -> Iterator[None]:
    """Let one upload at a time, among all processes of all machines, go into the store and into Airflow.

    Raises:
        Unavailable: another machine takes too long, or what it has changed can't be told.

    """
    with (root / _FINISHING).open("w") as file, ExitStack() as held:
        fcntl.flock(file, fcntl.LOCK_EX)
        with library_errors():
            held.enter_context(changing_workflows())
            site_store().refresh()
        yield


def sweep(root: Path) -> None:
    """Remove what uploads of yesterday and before left behind."""
    oldest = time.time() - KEEP_SECONDS
    for folder in root.iterdir() if root.is_dir() else ():
        upload = UploadFolder(root, folder.name)
        with suppress(FileNotFoundError):  # one that is refused removes its folder at any time
            if _ID.fullmatch(folder.name) and folder.stat().st_mtime < oldest and not upload._is_held():
                upload.remove()


def excerpts_of(source: Path, problems: Iterable[Problem]) -> tuple[Excerpt, ...]:
    """Return the lines of the upload around each problem that has a place."""
    places = dict.fromkeys((item.file, item.line) for item in problems if item.file and item.line)
    found = (_excerpt(source, str(file), int(line or 0)) for file, line in list(places)[:MAX_EXCERPTS])
    return tuple(excerpt for excerpt in found if excerpt)


def _excerpt(source: Path, file: str, line: int) -> Excerpt | None:
    try:
        with Place(source).open(file) as stream:
            lines = stream.read(MAX_EXCERPT_SOURCE).decode("utf-8", "replace").split("\n")
    except (OSError, ValueError):
        return None
    first = max(1, line - EXCERPT_CONTEXT)
    shown = tuple(text.rstrip("\r")[:MAX_EXCERPT_LINE] for text in lines[first - 1 : line + EXCERPT_CONTEXT])
    return Excerpt(file, line, first, shown) if line <= len(lines) else None


def seconds_since(moment: str) -> float:
    """Return the seconds that have passed since an ISO time."""
    return (datetime.now(timezone.utc) - datetime.fromisoformat(moment)).total_seconds()
