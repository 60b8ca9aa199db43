"""An index for the runs whose end is not recorded: the reporter looks for them every second.

Revision ID: c0004
Revises: c0003
"""

from __future__ import annotations

from alembic import op

revision = "c0004"
down_revision = "c0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("idx_cwl_report_state_settled", "cwl_report_state", ["settled_end"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("idx_cwl_report_state_settled", "cwl_report_state")
