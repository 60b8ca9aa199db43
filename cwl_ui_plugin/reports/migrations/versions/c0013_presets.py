"""Keep presets: inputs of workflows under a name."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "c0013"
down_revision = "c0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cwl_preset",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("name_key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("is_shared", sa.Boolean, nullable=False),
        sa.Column("owner", sa.String(512), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("updated_by", sa.String(512), nullable=False),
    )
    op.create_index("idx_cwl_preset_name_key", "cwl_preset", ["name_key"], unique=True)
    op.create_index("idx_cwl_preset_dag_id", "cwl_preset", ["dag_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("cwl_preset")
