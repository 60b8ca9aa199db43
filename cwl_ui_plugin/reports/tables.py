"""The plugin's tables, beside Airflow's in its database; ``airflow db migrate`` makes them.

What is true of a run stands in Airflow's own tables. Ours keep the reports about it until the receiver has them and for
some days after, which signed triggers were taken, and whose the uploaded inputs are.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.utils.db_manager import BaseDBManager
from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import Index, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_LENGTH = 250
RunKey = tuple[str, str]
"""dag_id and run_id."""
GONE = 0
"""The ``run_key`` of a run that was deleted: no run of Airflow has this id."""
_FOLDER = Path(__file__).parent


class Base(DeclarativeBase):
    """Base of the plugin's tables."""

    metadata = MetaData()


class ReportState(Base):
    """How far the reports of a run are. ``run_key`` is the id of the run's row: a run deleted and made anew differs.

    ``recorded`` is JSON, see ``due.Known``: what there are reports of. ``sequence`` is the number of the last of them,
    ``delivered`` that of the last one that the receiver has acknowledged. ``settled_end`` and ``settled_state`` are the
    end of the run that was recorded last; a run that was cleared, or set to another state, is looked at again.
    """

    __tablename__ = "cwl_report_state"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    recorded: Mapped[str] = mapped_column(Text, nullable=False, default="{}")
    sequence: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    delivered: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    failures: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    last_error: Mapped[str | None] = mapped_column(Text, nullable=True)
    settled_end: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    settled_state: Mapped[str | None] = mapped_column(String(20), nullable=True)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)

    __table_args__ = (
        Index("idx_cwl_report_state_progress", "sequence", "delivered"),
        Index("idx_cwl_report_state_settled", "settled_end"),
        Index("idx_cwl_report_state_updated", "updated_at"),
    )


class RecordedReport(Base):
    """One report: what it says is fixed before it is sent the first time.

    ``ended_at`` is when it was delivered, or, with ``retry_for``, given up; ``answer`` the receiver's HTTP status.
    """

    __tablename__ = "cwl_report"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    route: Mapped[str] = mapped_column(String(20), nullable=False)
    payload: Mapped[str] = mapped_column(Text, nullable=False)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    answer: Mapped[int | None] = mapped_column(Integer, nullable=True)
    attempts: Mapped[int] = mapped_column(Integer, nullable=False, default=0)

    __table_args__ = (Index("idx_cwl_report_ended_at", "ended_at"),)


class SignedTrigger(Base):
    """A signed trigger that was taken. It stays when its run is deleted, so that nobody can use the token again.

    ``content`` is ``signing.triggers.content_of`` its claims, None from before that was kept; the row may go from
    ``expires_at`` on, None for never, if the run is gone, too.
    """

    __tablename__ = "cwl_signed_trigger"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    algorithm: Mapped[str] = mapped_column(String(20), nullable=False)
    fingerprint: Mapped[str] = mapped_column(String(100), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    content: Mapped[str | None] = mapped_column(String(64), nullable=True)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)

    __table_args__ = (
        Index("idx_cwl_signed_trigger_content", "content", unique=True),
        Index("idx_cwl_signed_trigger_run_id", "run_id"),
    )


class InputFolder(Base):
    """Whose a folder of uploaded inputs is, by its name below ``inputs_folder/uploads``."""

    __tablename__ = "cwl_input_folder"

    folder: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class Stop(Base):
    """The stop of a run: of the run with that id, since it was cleared so often."""

    __tablename__ = "cwl_stop"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    clear_number: Mapped[int] = mapped_column(Integer, nullable=False)
    user: Mapped[str] = mapped_column(String(512), nullable=False)
    stopped_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class Removal(Base):
    """Something of a run in Airflow's list that an option of ``[cwl]`` had removed: what, which option, and when."""

    __tablename__ = "cwl_removal"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    option: Mapped[str] = mapped_column(String(50), nullable=False)
    removed_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class GrantKey(Base):
    """A key that API servers sign grants of runs with; ``private_key`` is encrypted with Airflow's Fernet key."""

    __tablename__ = "cwl_grant_key"

    key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    private_key: Mapped[str] = mapped_column(Text, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class Lease(Base):
    """Which of several API servers does the work of a background loop."""

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
