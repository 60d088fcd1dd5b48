"""Compute the features of every card payment from the history of its customer and its terminal.

    transactions ── rolling(customer) ── rolling(habit) ── rolling(pair) ──
        ── rolling(terminal) ── fraud-features

Verdicts travel in `transactions` among the payments, through the same operators: what a payment
sees is what stands before it in the log. Where the log has several partitions, the pairs' side
writes a second log, whose order its terminals see (docs/decisions/0008):

    transactions ── … rolling(pair) ── fraud-terminal-log ── rolling(terminal) ── fraud-features

Records that cannot be read go to quarantine. `domain/fraud/graph.py` declares how records become
rows, `domain/fraud/catalogue.py` the features and their windows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.topics import topics
from domain.fraud.catalogue import CUSTOMER, HABIT, PAIR, TERMINAL
from domain.fraud.features import TERMINAL_LOG
from domain.fraud.graph import GRAPH
from processing.graph import events, features, logged, ordered, passed, rolling
from processing.history import Tables
from processing.submission import run
from processing.tables import create_views, readable, unreadable

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "fraud_features"
SOURCE, LOG = "transactions", "fraud-terminal-log"
SINKS = ("fraud-features", "quarantine")


LIVE = Tables(f"millrace-{JOB}")


def views(*, several: bool, tables: Tables = LIVE) -> dict[str, str]:
    """Return the query of each view, by name, in order.

    `several`: the log between pairs and terminals is read.
    """
    log = {
        "log_readable": readable(LOG, table=tables.name(LOG)),
        "ordered": ordered(TERMINAL_LOG, "log_readable"),
    }
    return {
        "transactions_readable": readable(SOURCE, table=tables.name(SOURCE)),
        "events": events(GRAPH, "transactions_readable"),
        "customers": rolling(CUSTOMER, "events", uid="fraud-customer"),
        "paid": passed(GRAPH, CUSTOMER, "customers"),
        "habits": rolling(HABIT, "paid", uid="fraud-habit"),
        "usual": passed(GRAPH, HABIT, "habits"),
        "pairs": rolling(PAIR, "usual", uid="fraud-pair"),
        "known": passed(GRAPH, PAIR, "pairs"),
        **(log if several else {}),
        "terminals": rolling(TERMINAL, "ordered" if several else "known", uid="fraud-terminal"),
    }


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    several, tables = topics()[SOURCE].partitions > 1, Tables.of(environment, JOB)
    sources = (SOURCE, LOG) if several else (SOURCE,)
    for topic in sources:
        environment.execute_sql(tables.source(topic))
    for topic in SINKS:
        environment.execute_sql(tables.sink(topic))
    create_views(environment, views(several=several, tables=tables))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO fraud_features {features(GRAPH, 'terminals')}")
    if several:
        environment.execute_sql(tables.sink(LOG, table="terminal_log_out"))
        statements.add_insert_sql(f"INSERT INTO terminal_log_out {logged(TERMINAL_LOG, 'known')}")
    if not tables.copies:
        aside = " UNION ALL ".join(unreadable(topic, JOB) for topic in sources)
        statements.add_insert_sql(f"INSERT INTO quarantine {aside}")
    return statements


if __name__ == "__main__":
    run(JOB, topology)
