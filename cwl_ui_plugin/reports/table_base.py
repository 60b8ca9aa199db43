"""What the plugin's tables have in common."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

ID_LENGTH = 250


class Base(DeclarativeBase):
    """Base of the plugin's tables."""

    metadata = MetaData()
