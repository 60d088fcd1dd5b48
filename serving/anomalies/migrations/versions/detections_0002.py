"""Keep the record of a detection on the stream, so that it is told of again as it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
TABLE = "anomaly_detections"


def upgrade() -> None:
    """Add the column; what was sent to the API has none."""
    op.add_column(TABLE, sa.Column("record", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column(TABLE, "record")
