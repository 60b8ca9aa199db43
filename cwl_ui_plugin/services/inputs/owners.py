"""Whose the uploaded inputs are. It is kept in the database, where no job and no upload can change it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timezone

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.services.database import retry_on_database_lock
from cwl_ui_plugin.services.errors import Conflict, Unavailable

GONE = ".gone"
"""The folder that has the names of folders of uploads whose objects in a store are being removed."""
_ASKED_AT_ONCE = 200


def owner_of(folder: str) -> str | None:
    """Return the name of the user that a folder of uploads belongs to; None for one from before this was kept."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import InputFolder

    with create_session(scoped=False) as session:
        kept = session.get(InputFolder, folder)
        return kept.owner if kept is not None else None


def claim(folder: str, user: str) -> None:
    """Let a folder of uploads belong to a user, and make it; nothing is put there before.

    Raises:
        Conflict: it is another user's, or was there before owners were kept.

    """
    uploads = config.uploads_folder()
    try:
        uploads.mkdir(parents=True, exist_ok=True)
        with last_use.locked(uploads, fcntl.LOCK_SH):  # else it could be removed as unused before anything is in it
            is_theirs = retry_on_database_lock(lambda: _claimed(folder, user), f"the upload to the folder {folder}")
            if is_theirs:
                (uploads / folder).mkdir(exist_ok=True)
                os.utime(uploads / folder)
    except OSError as error:
        raise Unavailable(f"Nothing can be stored in {uploads}: {error.strerror or error}.") from error
    if not is_theirs:
        raise Conflict(f"The folder {folder} is not yours; choose another UUID, or none to get a new one.")


def remove_unused(folder: str, *, unused_since: float, has_objects: bool = False) -> bool:
    """Move a folder of uploads away, with its owner's claim on it; return False where it was used since a time.

    Folders without an owner are from before owners were kept: they stay. A folder that has objects in a store is marked
    (:data:`GONE`) before it is nobody's, so that nobody can claim it until they are removed.
    """
    uploads = config.uploads_folder()
    with last_use.locked(uploads, fcntl.LOCK_EX):
        try:
            if (uploads / folder).lstat().st_mtime > unused_since or owner_of(folder) is None:
                return False
        except FileNotFoundError:
            return False
        if has_objects:
            (uploads / GONE).mkdir(exist_ok=True)
            (uploads / GONE / folder).touch()
        last_use.move_away(uploads / folder, uploads)
        retry_on_database_lock(lambda: _forget(folder), f"the removal of the upload {folder}")
    return True


def end_gone(folder: str, remove_objects: Callable[[], None]) -> None:
    """Remove the objects of a marked folder (:data:`GONE`), then the mark; one process at a time does that.

    A folder that is somebody's still, since its removal was broken off, loses its mark and keeps its objects.
    """
    mark = config.uploads_folder() / GONE / folder
    with suppress(FileNotFoundError, BlockingIOError), mark.open("r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with last_use.locked(config.uploads_folder(), fcntl.LOCK_EX):  # it may be marked, and not be nobody's, just now
            if not os.path.samestat(mark.lstat(), os.fstat(opened.fileno())):
                return  # another process was faster, and the folder may have been claimed and removed since
            if owner_of(folder) is not None:
                mark.unlink()
                return
        remove_objects()
        mark.unlink()


def owned(folders: Iterable[str]) -> set[str]:
    """Return which of these folders have an owner."""
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from cwl_ui_plugin.reports.tables import InputFolder

    names = list(folders)
    found: set[str] = set()
    for start in range(0, len(names), _ASKED_AT_ONCE):
        query = select(InputFolder.folder).where(InputFolder.folder.in_(names[start : start + _ASKED_AT_ONCE]))
        with create_session(scoped=False) as session:
            found.update(session.scalars(query))
    return found


def _forget(folder: str) -> None:
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from cwl_ui_plugin.reports.tables import InputFolder

    with create_session(scoped=False) as session:
        session.execute(delete(InputFolder).where(InputFolder.folder == folder))


def _claimed(folder: str, user: str) -> bool:
    owner = owner_of(folder)
    if owner is None:
        if (config.uploads_folder() / GONE / folder).exists():
            return False
        if (config.uploads_folder() / folder).exists():
            return owner_of(folder) == user  # another file of theirs may have been faster: the claim comes before
        owner = user if _insert(folder, user) else owner_of(folder)
    return owner == user


def _insert(folder: str, user: str) -> bool:
    """Write down the owner; return False if another process was faster."""
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    from cwl_ui_plugin.reports.tables import InputFolder

    try:
        with create_session(scoped=False) as session:
            session.add(InputFolder(folder=folder, owner=user, created_at=datetime.now(timezone.utc)))
    except IntegrityError:
        return False
    return True
