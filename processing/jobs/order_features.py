"""Compute the features of every order line from its visitor's and its item's history.

    shop-events ── rolling(visitor) ── order-log ── rolling(item) ── order-features

All that a visitor does counts; order lines alone go on. `shop-events` has several partitions, so
which of two visitors' lines an item sees first is a race: the log writes its outcome down
(docs/decisions/0008). Records that cannot be read go to quarantine. `domain/orders/features.py`
declares the features and their windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.orders.features import GRAPH, ITEM, LOG, VISITOR
from processing.graph import events, features, logged, ordered, passed, rolling
from processing.submission import run
from processing.tables import create_views, readable, sink_ddl, source_ddl, unreadable

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "order_features"
SHOP, BETWEEN, SINK = "shop-events", "order-log", "order-features"

VIEWS = {
    "shop_readable": readable(SHOP),
    "events": events(GRAPH, "shop_readable"),
    "visitors": rolling(VISITOR, "events", uid="order-visitor"),
    "known": passed(GRAPH, VISITOR, "visitors"),
    "log_readable": readable(BETWEEN),
    "lines": ordered(LOG, "log_readable"),
    "items": rolling(ITEM, "lines", uid="order-item"),
}


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    for topic in (SHOP, BETWEEN):
        environment.execute_sql(source_ddl(topic, group=f"millrace-{JOB}"))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    environment.execute_sql(sink_ddl(BETWEEN, table="order_log_out"))
    create_views(environment, VIEWS)
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO order_log_out {logged(LOG, 'known')}")
    statements.add_insert_sql(f"INSERT INTO order_features {features(GRAPH, 'items')}")
    aside = " UNION ALL ".join(unreadable(topic, JOB) for topic in (SHOP, BETWEEN))
    statements.add_insert_sql(f"INSERT INTO quarantine {aside}")
    return statements


if __name__ == "__main__":
    run(JOB, topology)
