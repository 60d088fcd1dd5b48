"""Each event with what is known of its @KEY@.

@TOPIC@-events ── rolling(@KEY@) ── @TOPIC@-features
               └─ what can't be read ── quarantine
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from processing.tables import columns, literal, sink_ddl, source_ddl, table_name, unreadable

from @NAME@.features import FEATURES, TABLE

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "@NAME@_features"
SOURCE, SINK = "@TOPIC@-events", "@TOPIC@-features"


def events() -> str:
    """Select the readable events, as rows of the feature set."""
    names = ", ".join(f"`{name}`" for name, _ in FEATURES.inputs)
    return f"SELECT {names} FROM `{table_name(SOURCE)}` WHERE unreadable_reason IS NULL"


def rolling() -> str:
    """Select the events with the declared features added by the kernel."""
    spec = literal(json.dumps(FEATURES.spec(), ensure_ascii=False))
    return f"""
        SELECT * FROM rolling(
            `in` => TABLE events PARTITION BY ({", ".join(FEATURES.keys)}),
            spec => {spec}, uid => '@NAME@')"""


def features() -> str:
    """Select the columns of the feature topic; an event that came twice counts once."""
    special = {"late": FEATURES.late}
    selected = ", ".join(f"{special.get(name, name)} AS `{name}`" for name in columns(TABLE.record))
    return f"SELECT {selected} FROM rolled WHERE NOT {FEATURES.duplicate}"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}"))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    for name, query in {"events": events(), "rolled": rolling()}.items():
        environment.create_temporary_view(name, environment.sql_query(query))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO `{table_name(SINK)}` {features()}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements
