"""Whose the uploaded inputs are. It is kept in the database, where no job and no upload can change it."""

from __future__ import annotations

from datetime import datetime, timezone

from cwl_ui_plugin import config
from cwl_ui_plugin.services.database import with_patience
from cwl_ui_plugin.services.errors import Conflict


def owner_of(folder: str) -> str | None:
    """Return the name of the user that a folder of uploads belongs to; None for one from before this was kept."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import InputFolder

    with create_session(scoped=False) as session:
        kept = session.get(InputFolder, folder)
        return kept.owner if kept is not None else None


def claim(folder: str, user: str) -> None:
    """Let a folder of uploads belong to a user; nothing is put there before.

    Raises:
        Conflict: it is another user's, or was there before owners were kept.

    """
    if not with_patience(lambda: _claimed(folder, user), f"the upload to the folder {folder}"):
        raise Conflict(f"The folder {folder} is not yours; choose another UUID, or none to get a new one.")


def _claimed(folder: str, user: str) -> bool:
    owner = owner_of(folder)
    if owner is None:
        if (config.uploads_folder() / folder).exists():
            return False
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
