"""The plugin's tables, beside Airflow's in its database; ``airflow db migrate`` makes them.

What is true of a run stands in Airflow's own tables. Ours keep the reports about it until the receiver has them and for
some days after, which signed triggers were taken, whose the uploaded inputs are, and what people call runs.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.utils.db_manager import BaseDBManager
from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import BigInteger, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cwl_ui_plugin.reports import batch_tables  # noqa: F401 - makes its tables known to the manager
from cwl_ui_plugin.reports.table_base import ID_LENGTH, Base

RunKey = tuple[str, str]
"""dag_id and run_id."""
GONE = 0
"""The ``run_key`` of a run that was deleted: no run of Airflow has this id."""
_FOLDER = Path(__file__).parent


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


class RunLabel(Base):
    """What people call a run besides its id: ``tags`` is a JSON list of texts. Of the run with that id since then."""

    __tablename__ = "cwl_run_label"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    title: Mapped[str | None] = mapped_column(String(ID_LENGTH), nullable=True)
    tags: Mapped[str] = mapped_column(Text, nullable=False, default="[]")
    labelled_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class NotificationChoice(Base):
    """What a user wants to be told, see ``services.notifying.choices``. ``dag_id`` is empty for all runs."""

    __tablename__ = "cwl_notification_choice"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    channel: Mapped[str] = mapped_column(String(40), nullable=False)
    address: Mapped[str] = mapped_column(String(ID_LENGTH + 10), nullable=False)
    events: Mapped[str] = mapped_column(String(50), nullable=False)
    only_mine: Mapped[bool] = mapped_column(Boolean, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)

    __table_args__ = (Index("idx_cwl_notification_choice_user", "user"),)


class Notification(Base):
    """A message to a user, see ``services.notifying.outbox``. ``id`` is a digest of what happened and who is told how.

    ``run_id`` is empty for a message about several runs, whose ``text`` is kept; of one run it is made when it is sent.
    """

    __tablename__ = "cwl_notification"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    channel: Mapped[str] = mapped_column(String(40), nullable=False)
    address: Mapped[str] = mapped_column(String(ID_LENGTH + 10), nullable=False)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    mark: Mapped[str] = mapped_column(String(60), nullable=False)
    shown_state: Mapped[str] = mapped_column(String(20), nullable=False)
    subject: Mapped[str] = mapped_column(Text, nullable=False)
    text: Mapped[str | None] = mapped_column(Text, nullable=True)
    state: Mapped[str] = mapped_column(String(20), nullable=False)
    attempts: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    last_error: Mapped[str | None] = mapped_column(Text, nullable=True)

    __table_args__ = (
        Index("idx_cwl_notification_state", "state", "next_try_at"),
        Index("idx_cwl_notification_user", "user", "recorded_at"),
    )


class Removal(Base):
    """Something of a run in Airflow's list that an option of ``[cwl]`` had removed: what, which option, and when."""

    __tablename__ = "cwl_removal"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    run_key: Mapped[int] = mapped_column(Integer, nullable=False)
    option: Mapped[str] = mapped_column(String(50), nullable=False)
    removed_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class FolderSet(Base):
    """A set of files of a watched folder that has started its run; it stays when the run is deleted."""

    __tablename__ = "cwl_folder_set"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    set_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    name: Mapped[str] = mapped_column(Text, nullable=False)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class FolderWatch(Base):
    """How a watched folder stood when it was looked at last: ``state`` is JSON, see ``services.watching.states``."""

    __tablename__ = "cwl_folder_watch"

    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    state: Mapped[str] = mapped_column(Text, nullable=False)
    looked_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)


class PresetRow(Base):
    """Inputs of a workflow under a name, see ``services.presets``: of their ``owner`` alone, or shared.

    ``name_key`` is what only one preset has (``services.presets.names``), ``job`` JSON, ``version`` the digest of the
    version of the workflow that it was written for.
    """

    __tablename__ = "cwl_preset"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    name_key: Mapped[str] = mapped_column(String(64), nullable=False)
    name: Mapped[str] = mapped_column(String(200), nullable=False)
    is_shared: Mapped[bool] = mapped_column(Boolean, nullable=False)
    owner: Mapped[str] = mapped_column(String(512), nullable=False)
    version: Mapped[str] = mapped_column(String(64), nullable=False)
    job: Mapped[str] = mapped_column(Text, nullable=False)
    revision: Mapped[int] = mapped_column(Integer, nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    updated_by: Mapped[str] = mapped_column(String(512), nullable=False)

    __table_args__ = (
        Index("idx_cwl_preset_name_key", "name_key", unique=True),
        Index("idx_cwl_preset_dag_id", "dag_id"),
    )
    __mapper_args__ = {"version_id_col": revision}


class NotedRun(Base):
    """A run whose files are in ``cwl_run_file``, as they were when it ended at ``noted_end``.

    ``is_whole`` is False where it had more files than are noted, or what it was given could not be read.
    """

    __tablename__ = "cwl_noted_run"

    run_key: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    run_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    noted_end: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    is_whole: Mapped[bool] = mapped_column(Boolean, nullable=False)


class RunFile(Base):
    """A file that a run was given (``direction`` in) or has made (out); ``port`` is the id of its input or output.

    ``location_key`` stands for ``location``, ``state_key`` for a file there of one size and time: both are SHA-256.
    ``waits`` tells that the file is to be read for its ``checksum``, which is written as CWL does (``sha1$...``).
    """

    __tablename__ = "cwl_run_file"

    run_key: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    direction: Mapped[str] = mapped_column(String(3), nullable=False)
    port: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    name: Mapped[str] = mapped_column(Text, nullable=False)
    location: Mapped[str] = mapped_column(Text, nullable=False)
    location_key: Mapped[str] = mapped_column(String(64), nullable=False)
    state_key: Mapped[str | None] = mapped_column(String(64), nullable=True)
    checksum: Mapped[str | None] = mapped_column(String(80), nullable=True)
    size: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    waits: Mapped[bool] = mapped_column(Boolean, nullable=False)

    __table_args__ = (
        Index("idx_cwl_run_file_location_key", "location_key"),
        Index("idx_cwl_run_file_state_key", "state_key"),
        Index("idx_cwl_run_file_checksum", "checksum"),
        Index("idx_cwl_run_file_waits", "waits"),
    )


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
