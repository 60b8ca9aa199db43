"""Keep each report from before it is sent until some days after. Runs that are open now are told from their start."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0003"
down_revision = "c0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_report",
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("run_id", sa.String(250), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("route", sa.String(20), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("answer", sa.Integer, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
    op.create_index("idx_cwl_report_ended_at", "cwl_report", ["ended_at"])
    with op.batch_alter_table("cwl_report_state") as table:
        table.add_column(sa.Column("recorded", sa.Text, nullable=False, server_default="{}"))
        table.add_column(sa.Column("delivered", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("failures", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("next_try_at", UtcDateTime, nullable=True))
        table.add_column(sa.Column("settled_state", sa.String(20), nullable=True))
        table.drop_column("acknowledged")
        table.drop_column("waiting")
    op.execute("UPDATE cwl_report_state SET delivered = sequence, last_error = NULL")
    op.create_index("idx_cwl_report_state_progress", "cwl_report_state", ["sequence", "delivered"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("idx_cwl_report_state_progress", "cwl_report_state")
    with op.batch_alter_table("cwl_report_state") as table:
        table.add_column(sa.Column("acknowledged", sa.Text, nullable=False, server_default="{}"))
        table.add_column(sa.Column("waiting", sa.Integer, nullable=False, server_default="0"))
        for name in ("recorded", "delivered", "failures", "next_try_at", "settled_state"):
            table.drop_column(name)
    op.drop_table("cwl_report")
