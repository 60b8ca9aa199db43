"""Keep which sets of files of watched folders have started a run, and how these folders stand."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0011"
down_revision = "c0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_folder_set",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("set_key", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "cwl_folder_watch",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("looked_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_folder_watch")
    op.drop_table("cwl_folder_set")
