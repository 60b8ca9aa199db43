"""Keep which tokens started runs by their contents, for all Dags, and until when."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0006"
down_revision = "c0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("cwl_signed_trigger") as table:
        table.add_column(sa.Column("content", sa.String(64), nullable=True))
        table.add_column(sa.Column("expires_at", UtcDateTime, nullable=True))
    op.create_index("idx_cwl_signed_trigger_content", "cwl_signed_trigger", ["content"], unique=True)
    op.create_index("idx_cwl_signed_trigger_run_id", "cwl_signed_trigger", ["run_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("idx_cwl_signed_trigger_run_id", "cwl_signed_trigger")
    op.drop_index("idx_cwl_signed_trigger_content", "cwl_signed_trigger")
    with op.batch_alter_table("cwl_signed_trigger") as table:
        table.drop_column("expires_at")
        table.drop_column("content")
