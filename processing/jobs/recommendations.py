"""Compute each visitor's session as it stands after every click, for recommendations.

    shop-events ── sessionize, once by id and time ── sessions
    unreadable events, and those ahead of time ── quarantine

`domain/shop/sessions.py` declares the gap and the bounds, and specifies what comes of clicks that
are out of order, late or repeated. There is no watermark: nobody waits for a session's end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from domain.shop.sessions import SESSIONS
from processing.submission import run
from processing.tables import (
    Fold,
    columns,
    create_views,
    literal,
    readable,
    sink_ddl,
    source_ddl,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "recommendations"
SOURCE = "shop-events"
SINKS = {
    # In a backlog a session's clicks come within milliseconds, and readers want its newest state. A
    # late click has a session_id that may be a session's: it must not hide that.
    "sessions": Fold(ms=20, key=("user_id", "session_id", "late")),
    "quarantine": None,
}

# No column beside those that are used: what passes through is held for each click.
_CLICKS = """
    SELECT user_id, event_id, event_time, item_id, event_type, kafka_time AS produced_at
    FROM readable"""
_SESSIONS = f"""
    SELECT * FROM sessionize(
        `in` => TABLE clicks PARTITION BY (user_id),
        spec => {literal(json.dumps(SESSIONS.spec()))}, uid => 'shop-sessions')"""
_TOLD = {"event_time": "newest"}


def told() -> str:
    """Return the SELECT of the columns of topic `sessions`, one row for each click counted."""
    listed = ", ".join(f"{_TOLD.get(name, name)} AS {name}" for name in columns("Session"))
    return f"SELECT {listed} FROM visits"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}"))
    for topic, fold in SINKS.items():
        environment.execute_sql(sink_ddl(topic, fold=fold))
    create_views(
        environment, {"readable": readable(SOURCE), "clicks": _CLICKS, "visits": _SESSIONS}
    )
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO sessions {told()}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology)
