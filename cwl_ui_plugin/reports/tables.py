"""The plugin's tables, beside Airflow's in its database; ``airflow db migrate`` makes them.

What is true of a run stands in Airflow's own tables. Ours keep what the receiver has acknowledged, and which signed
triggers were taken.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.utils.db_manager import BaseDBManager
from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_LENGTH = 250
_FOLDER = Path(__file__).parent


class Base(DeclarativeBase):
    """Base of the plugin's tables."""

    metadata = MetaData()


class ReportState(Base):
    """What the receiver knows about a run. ``run_key`` is the id of the run's row: a run deleted and made anew differs.

    ``acknowledged`` is JSON, see ``due.Acknowledged``. ``settled_end`` is the end of the run whose last report was
    acknowledged; a run that was cleared has another end, or none, and is looked at again.
    """

    __tablename__ = "cwl_report_state"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    acknowledged: Mapped[str] = mapped_column(Text, nullable=False, default="{}")
    sequence: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    waiting: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    last_error: Mapped[str | None] = mapped_column(Text, nullable=True)
    settled_end: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class SignedTrigger(Base):
    """A signed trigger that was taken. It stays when its run is deleted, so that nobody can use the token again."""

    __tablename__ = "cwl_signed_trigger"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    algorithm: Mapped[str] = mapped_column(String(20), nullable=False)
    fingerprint: Mapped[str] = mapped_column(String(100), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class Lease(Base):
    """Which of several API servers does the work of the background loop."""

    __tablename__ = "cwl_lease"

    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    holder: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class CwlDBManager(BaseDBManager):
    """Lets Airflow's database commands take care of the plugin's tables."""

    metadata = Base.metadata
    version_table_name = "alembic_version_cwl_ui_plugin"
    migration_dir = str(_FOLDER / "migrations")
    alembic_file = str(_FOLDER / "alembic.ini")
    supports_table_dropping = True
