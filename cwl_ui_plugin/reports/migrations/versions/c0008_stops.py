"""Keep who stopped a run, and when.

Revision ID: c0008
Revises: c0007
"""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0008"
down_revision = "c0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_stop",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("run_id", sa.String(250), primary_key=True),
        sa.Column("run_key", sa.Integer, nullable=False),
        sa.Column("clear_number", sa.Integer, nullable=False),
        sa.Column("user", sa.String(512), nullable=False),
        sa.Column("stopped_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_stop")
