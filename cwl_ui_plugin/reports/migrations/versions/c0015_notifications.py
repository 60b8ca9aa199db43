"""Keep what users want to be told of runs, and what they were told."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0015"
down_revision = "c0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_notification_choice",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user", sa.String(250), nullable=False),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("address", sa.String(260), nullable=False),
        sa.Column("events", sa.String(50), nullable=False),
        sa.Column("only_mine", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("idx_cwl_notification_choice_user", "cwl_notification_choice", ["user"])
    op.create_table(
        "cwl_notification",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(250), nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("address", sa.String(260), nullable=False),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("mark", sa.String(60), nullable=False),
        sa.Column("shown_state", sa.String(20), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("next_try_at", UtcDateTime, nullable=True),
        sa.Column("sent_at", UtcDateTime, nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
    )
    op.create_index("idx_cwl_notification_state", "cwl_notification", ["state", "next_try_at"])
    op.create_index("idx_cwl_notification_user", "cwl_notification", ["user", "recorded_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_notification")
    op.drop_table("cwl_notification_choice")
