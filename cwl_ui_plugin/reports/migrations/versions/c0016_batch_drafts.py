"""Keep sheets on their way to a batch."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0016"
down_revision = "c0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_batch_draft",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("owner", sa.String(512), nullable=False),
        sa.Column("title", sa.String(250), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("idx_cwl_batch_draft_dag_id", "cwl_batch_draft", ["dag_id"])
    op.create_index("idx_cwl_batch_draft_updated_at", "cwl_batch_draft", ["updated_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_batch_draft")
