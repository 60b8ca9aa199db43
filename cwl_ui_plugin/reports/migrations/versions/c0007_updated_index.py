"""An index for the runs that ended lately: they are compared with what there are reports of, again and again.

Revision ID: c0007
Revises: c0006
"""

from __future__ import annotations

from alembic import op

revision = "c0007"
down_revision = "c0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("idx_cwl_report_state_updated", "cwl_report_state", ["updated_at"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("idx_cwl_report_state_updated", "cwl_report_state")
