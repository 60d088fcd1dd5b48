"""Each event with what is known of its @KEY@.

@TOPIC@-events ── rolling(@KEY@) ── @TOPIC@-features
               └─ what can't be read ── quarantine
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processing.graph import events, features, rolling
from processing.tables import readable, sink_ddl, source_ddl, table_name, unreadable

from @NAME@.features import FEATURES, GRAPH

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "@NAME@_features"
SOURCE, SINK = "@TOPIC@-events", "@TOPIC@-features"


def views() -> dict[str, str]:
    """Return the query of each view, by name, in order."""
    return {
        "readable": readable(SOURCE),
        "events": events(GRAPH, "readable"),
        "rolled": rolling(FEATURES, "events", uid="@NAME@"),
    }


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}"))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    for name, query in views().items():
        environment.create_temporary_view(name, environment.sql_query(query))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO `{table_name(SINK)}` {features(GRAPH, 'rolled')}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements
