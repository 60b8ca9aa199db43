"""Keep which files runs were given and made, so that a file leads to the runs that made and used it."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0017"
down_revision = "c0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_noted_run",
        sa.Column("run_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Column("noted_end", UtcDateTime, nullable=False),
        sa.Column("is_whole", sa.Boolean, nullable=False),
    )
    op.create_table(
        "cwl_run_file",
        sa.Column("run_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("port", sa.String(250), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("location_key", sa.String(64), nullable=False),
        sa.Column("state_key", sa.String(64), nullable=True),
        sa.Column("checksum", sa.String(80), nullable=True),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.Column("waits", sa.Boolean, nullable=False),
    )
    for column in ("location_key", "state_key", "checksum", "waits"):
        op.create_index(f"idx_cwl_run_file_{column}", "cwl_run_file", [column])


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_run_file")
    op.drop_table("cwl_noted_run")
