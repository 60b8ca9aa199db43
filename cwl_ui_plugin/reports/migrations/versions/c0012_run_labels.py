"""Keep what people call runs besides their ids."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0012"
down_revision = "c0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_run_label",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("run_id", sa.String(250), primary_key=True),
        sa.Column("run_key", sa.Integer, nullable=False),
        sa.Column("title", sa.String(250), nullable=True),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_run_label")
