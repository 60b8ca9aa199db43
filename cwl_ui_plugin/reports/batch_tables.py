"""The plugin's tables of batches: sheets on their way, batches, and their rows."""

from __future__ import annotations

from datetime import datetime

from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cwl_ui_plugin.reports.table_base import ID_LENGTH, Base


class BatchRecord(Base):
    """A batch: runs of one version of a workflow, a row of ``cwl_batch_row`` for each.

    ``is_open`` while there may be something to begin or to stop. ``stop_asked`` counts the stops that were asked for,
    ``stop_done`` those of them that are proven. ``request_key`` is what a client calls its request, so that sending it
    again makes no second batch, ``request_digest`` what it asked for.
    """

    __tablename__ = "cwl_batch"

    batch_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    version: Mapped[str] = mapped_column(String(64), nullable=False)
    name: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    user: Mapped[str] = mapped_column(String(512), nullable=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)
    max_active: Mapped[int] = mapped_column(Integer, nullable=False)
    total: Mapped[int] = mapped_column(Integer, nullable=False)
    mapping: Mapped[str] = mapped_column(Text, nullable=False)
    is_open: Mapped[bool] = mapped_column(Boolean, nullable=False)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    stop_asked: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    stop_done: Mapped[int] = mapped_column(Integer, nullable=False, default=0)
    stopped_by: Mapped[str | None] = mapped_column(String(512), nullable=True)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    problem: Mapped[str | None] = mapped_column(Text, nullable=True)
    request_key: Mapped[str | None] = mapped_column(String(64), nullable=True)
    request_digest: Mapped[str | None] = mapped_column(String(64), nullable=True)

    __table_args__ = (
        Index("idx_cwl_batch_dag", "dag_id", "created_at"),
        Index("idx_cwl_batch_open", "is_open"),
        Index("idx_cwl_batch_request", "request_key", unique=True),
    )


class BatchRowRecord(Base):
    """A row of a batch. ``state`` is pending, started, invalid, refused or stopped; the rest its run says.

    ``run_key`` is the id of its run's row. ``job`` and ``problems`` are JSON; ``roots`` too: the folders, not
    everybody's, that its run may read, since the batch's user might when it was made.
    """

    __tablename__ = "cwl_batch_row"

    batch_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(Text, nullable=False)
    state: Mapped[str] = mapped_column(String(20), nullable=False)
    attempt: Mapped[int] = mapped_column(Integer, nullable=False, default=1)
    run_id: Mapped[str | None] = mapped_column(String(ID_LENGTH), nullable=True)
    run_key: Mapped[int | None] = mapped_column(Integer, nullable=True)
    job: Mapped[str] = mapped_column(Text, nullable=False)
    roots: Mapped[str] = mapped_column(Text, nullable=False)
    problems: Mapped[str | None] = mapped_column(Text, nullable=True)

    __table_args__ = (
        Index("idx_cwl_batch_row_state", "batch_id", "state"),
        Index("idx_cwl_batch_row_run", "run_key"),
    )


class BatchDraftRow(Base):
    """A sheet on its way to a batch, of who sent it; ``content`` is encrypted, see ``services.batches.drafts``."""

    __tablename__ = "cwl_batch_draft"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dag_id: Mapped[str] = mapped_column(String(ID_LENGTH), nullable=False)
    owner: Mapped[str] = mapped_column(String(512), nullable=False)
    title: Mapped[str] = mapped_column(String(250), nullable=False)
    content: Mapped[str] = mapped_column(Text, nullable=False)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, nullable=False)

    __table_args__ = (
        Index("idx_cwl_batch_draft_dag_id", "dag_id"),
        Index("idx_cwl_batch_draft_updated_at", "updated_at"),
    )
