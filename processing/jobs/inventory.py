"""Keep the book of each item's stock, and the demand for it.

    shop-events ── sales and cancellations ┐
    stock-movements ───────────────────────┴─ stock-log ─┐
    ┌────────────────────────────────────────────────────┘
    └─ rolling(demand) ── rolling(book) ── rolling(shelf) ── stock-levels
    records that cannot be read ── quarantine

Sales come from many partitions, and movements from another topic: which of two comes first is a
race. The log writes its outcome down, and all that follows is computed from the log alone
(docs/decisions/0030). `domain/inventory/features.py` declares how entries become levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.inventory.features import BOOK, DEMAND, GRAPH, SHELF, TERMS
from processing.graph import events, features, passed, rolling
from processing.submission import run
from processing.tables import (
    SOURCE_TIME,
    columns,
    create_views,
    readable,
    sink_ddl,
    source_ddl,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "inventory"
SHOP, MOVEMENTS, LOG = "shop-events", "stock-movements", "stock-log"
SINKS = ("stock-levels", "quarantine")

_PRICE = "CASE WHEN event_type = 'transaction' THEN price END"
_SALE = {
    "entry_id": "'sale/' || event_id",
    "kind": "CASE event_type WHEN 'transaction' THEN 'sale' ELSE event_type END",
    "quantity": "CAST(quantity AS BIGINT)",
    **dict.fromkeys(TERMS, "CAST(NULL AS DOUBLE)"),
    "price": _PRICE,
    "produced_at": SOURCE_TIME,
}
_MOVEMENT = {"entry_id": "'movement/' || movement_id", "produced_at": SOURCE_TIME}
_TRADED = "WHERE event_type IN ('transaction', 'cancellation')"


def logged() -> str:
    """Return the SELECT of the columns of `stock-log`: sales, cancellations and movements."""
    sales, movements = (
        ", ".join(f"{given.get(name, f'`{name}`')} AS `{name}`" for name in columns("StockEntry"))
        for given in (_SALE, _MOVEMENT)
    )
    return (
        f"SELECT {sales} FROM sold {_TRADED} UNION ALL SELECT {movements} FROM movements_readable"
    )


VIEWS = {
    "sold": readable(SHOP),
    "movements_readable": readable(MOVEMENTS),
    "log_readable": readable(LOG),
    "entries": events(GRAPH, "log_readable"),
    "demanded": rolling(DEMAND, "entries", uid="stock-demand"),
    "known": passed(GRAPH, DEMAND, "demanded"),
    "booked": rolling(BOOK, "known", uid="stock-book"),
    "book": passed(GRAPH, BOOK, "booked"),
    "shelved": rolling(SHELF, "book", uid="stock-shelf"),
}


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    for topic in (SHOP, MOVEMENTS, LOG):
        environment.execute_sql(source_ddl(topic, group=f"millrace-{JOB}"))
    for topic in SINKS:
        environment.execute_sql(sink_ddl(topic))
    environment.execute_sql(sink_ddl(LOG, table="stock_log_out"))
    create_views(environment, VIEWS)
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO stock_log_out {logged()}")
    statements.add_insert_sql(f"INSERT INTO stock_levels {features(GRAPH, 'shelved')}")
    put_aside = (unreadable(topic, JOB) for topic in (SHOP, MOVEMENTS, LOG))
    statements.add_insert_sql("INSERT INTO quarantine " + " UNION ALL ".join(put_aside))
    return statements


if __name__ == "__main__":
    run(JOB, topology)
