"""Run migrations on the connection that `serving.anomalies.tables` hands over."""

from __future__ import annotations

from alembic import context

from serving.anomalies.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="anomaly_migrations",
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
