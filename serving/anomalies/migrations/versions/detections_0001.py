"""Make the table of detections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
TABLE = "anomaly_detections"


def upgrade() -> None:
    """Make the table and the indexes by which it is read."""
    op.create_table(
        TABLE,
        sa.Column("detection_id", sa.String(64), primary_key=True),
        sa.Column("asset_id", sa.String(200)),
        sa.Column("sensor_id", sa.String(200), nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("detected_at", sa.BigInteger, nullable=False),
        sa.Column("criticality", sa.String(16), nullable=False),
        sa.Column("score", sa.Float(53), nullable=False),
        sa.Column("threshold", sa.Float(53), nullable=False),
        sa.Column("is_anomaly", sa.Boolean, nullable=False),
        sa.Column("model_version", sa.String(200), nullable=False),
        sa.Column("detectors", sa.JSON, nullable=False),
        sa.Column("features", sa.JSON, nullable=False),
        sa.Column("explanation", sa.JSON, nullable=False),
    )
    op.create_index("anomaly_detections_time", TABLE, ["timestamp", "detection_id"])
    op.create_index("anomaly_detections_asset", TABLE, ["asset_id", "timestamp"])
    op.create_index("anomaly_detections_sensor", TABLE, ["sensor_id", "timestamp"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(TABLE)
