"""Keep batches: runs of a workflow, one for each row of a sheet."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0014"
down_revision = "c0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_batch",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("name", sa.String(250), nullable=False),
        sa.Column("user", sa.String(512), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("max_active", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("mapping", sa.Text, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("stop_asked", sa.Integer, nullable=False),
        sa.Column("stop_done", sa.Integer, nullable=False),
        sa.Column("stopped_by", sa.String(512), nullable=True),
        sa.Column("stopped_at", UtcDateTime, nullable=True),
        sa.Column("problem", sa.Text, nullable=True),
        sa.Column("request_key", sa.String(64), nullable=True),
        sa.Column("request_digest", sa.String(64), nullable=True),
    )
    op.create_index("idx_cwl_batch_dag", "cwl_batch", ["dag_id", "created_at"])
    op.create_index("idx_cwl_batch_open", "cwl_batch", ["is_open"])
    op.create_index("idx_cwl_batch_request", "cwl_batch", ["request_key"], unique=True)
    op.create_table(
        "cwl_batch_row",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String(250), nullable=True),
        sa.Column("run_key", sa.Integer, nullable=True),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("roots", sa.Text, nullable=False),
        sa.Column("problems", sa.Text, nullable=True),
    )
    op.create_index("idx_cwl_batch_row_state", "cwl_batch_row", ["batch_id", "state"])
    op.create_index("idx_cwl_batch_row_run", "cwl_batch_row", ["run_key"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_batch_row")
    op.drop_table("cwl_batch")
