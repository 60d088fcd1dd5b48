"""Keep the topics' records in the lake's tables, each exactly once.

    each topic that joins the lake ── a table of bronze for each of its records

A job of its own, so that it cannot slow a decision. It commits with each of its checkpoints, and it
starts from what its tables hold (lakehouse/start.py), never from a savepoint. Records that cannot
be read are left to the jobs and consumers that need them: those put them into quarantine, which is
itself a topic of the lake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.lake import START, lake_tables
from config.settings import settings
from config.topics import topics
from processing.lake import Start, catalog_ddl, insert, view_name
from processing.submission import run
from processing.tables import create_views, readable, source_ddl

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "lakehouse"
OPTIONS = {"execution.checkpointing.interval": f"{settings().lake_commit_seconds} s"}


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    start = Start.parse(environment.get_config().get(START, ""))
    environment.execute_sql(catalog_ddl(settings()))
    statements = environment.create_statement_set()
    tables = lake_tables(topics().values())
    for topic in dict.fromkeys(table.topic for table in tables):
        environment.execute_sql(
            source_ddl(topic, group=f"millrace-{JOB}", offsets=start.offsets[topic])
        )
        create_views(environment, {view_name(topic): readable(topic)})
    for table in tables:
        held = start.written.get(table.name, {})
        statements.add_insert_sql(insert(table, view_name(table.topic), held))
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS)
