"""Compute the features of every card payment from its customer's and its terminal's history.

    transactions ── rolling(customer) ── rolling(terminal) ── fraud-features

Verdicts travel in `transactions` among the payments, through the same operators: what a payment
sees is what stands before it in the log. Where the log has several partitions, the customers' side
writes a second log, whose order its terminals see (docs/decisions/0008):

    transactions ── rolling(customer) ── fraud-terminal-log ── rolling(terminal) ── fraud-features

Records that cannot be read go to quarantine. The features and their windows are declared in
`domain/fraud/features.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from config.topics import topics
from domain.features.declaration import FeatureSet
from domain.fraud.features import CUSTOMER, FRAUD, TERMINAL, TERMINAL_LOG
from processing.submission import run
from processing.tables import (
    columns,
    literal,
    readable,
    sink_ddl,
    source_ddl,
    table_name,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "fraud_features"
SOURCE, LOG = "transactions", "fraud-terminal-log"
SINKS = ("fraud-features", "quarantine")

_PAYMENT, _VERDICT = "record_type = 'Transaction'", "record_type = 'FraudLabel'"
_EVENT = {
    "kind": f"CAST(CASE WHEN {_VERDICT} THEN 'label' ELSE 'transaction' END AS STRING)",
    "event_id": f"CASE WHEN {_VERDICT} THEN 'label/' || transaction_id ELSE transaction_id END",
    "partition": "CAST(kafka_partition AS BIGINT)",
    "sequence": "kafka_offset",
    "order_partition": "CAST(kafka_partition AS BIGINT)",
    "order_sequence": "kafka_offset",
    "produced_at": "kafka_time",
    **{row.name: f"CASE WHEN {_PAYMENT} THEN {row.sql} END" for row in FRAUD.rows},
}


def select(wanted: list[str], given: dict[str, str], source: str) -> str:
    """Return a SELECT of the wanted columns; `given` maps columns to expressions."""
    listed = ", ".join(f"{given.get(name, f'`{name}`')} AS `{name}`" for name in wanted)
    return f"SELECT {listed} FROM {source}"


def events() -> str:
    """Return the SELECT of payments and verdicts as rows of `CUSTOMER`, with row features."""
    return select([name for name, _ in CUSTOMER.inputs], _EVENT, "transactions_readable")


def rolling(features: FeatureSet, table: str, uid: str) -> str:
    """Return `table` with the declared features added by the kernel.

    `uid` identifies the state in savepoints.
    """
    spec = literal(json.dumps(features.spec(), ensure_ascii=False))
    return f"""
        SELECT * FROM rolling(
            `in` => TABLE {table} PARTITION BY ({", ".join(features.keys)}),
            spec => {spec}, uid => {literal(uid)})"""


def known() -> str:
    """Return the SELECT of each payment once, with its customer's features, and of the verdicts."""
    carried = [name for name in CUSTOMER.columns() if name != CUSTOMER.duplicate]
    wanted = [*(name for name, _ in CUSTOMER.inputs), *carried]
    return select(wanted, {}, f"customers WHERE NOT {CUSTOMER.duplicate}")


def logged() -> str:
    """Return the columns of `fraud-terminal-log`."""
    return select(list(columns(TERMINAL_LOG.record)), {}, "known")


def ordered() -> str:
    """Return the SELECT of the rows of `known` as `fraud-terminal-log` holds them, in its order."""
    place = {
        "order_partition": "CAST(kafka_partition AS BIGINT)",
        "order_sequence": "kafka_offset",
    }
    wanted = [*columns(TERMINAL_LOG.record), *place]
    return select(wanted, place, f"{table_name(LOG)} WHERE unreadable_reason IS NULL")


def features() -> str:
    """Return the SELECT of the columns of `fraud-features`.

    A late payment comes with `late` set and NULL for the features that cannot be known.
    """
    special = {
        "late": f"{CUSTOMER.late} OR {TERMINAL.late}",
        "feature_set_version": literal(FRAUD.version),
        **{derived.name: derived.sql for derived in FRAUD.derived},
    }
    wanted = list(columns(FRAUD.record))
    return select(wanted, special, f"terminals WHERE NOT {TERMINAL.duplicate}")


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    several = topics()[SOURCE].partitions > 1
    sources = (SOURCE, LOG) if several else (SOURCE,)
    for topic in sources:
        environment.execute_sql(source_ddl(topic, group=f"millrace-{JOB}"))
    for topic in SINKS:
        environment.execute_sql(sink_ddl(topic))
    views = {
        "transactions_readable": readable(SOURCE),
        "events": events(),
        "customers": rolling(CUSTOMER, "events", uid="fraud-customer"),
        "known": known(),
        **({"ordered": ordered()} if several else {}),
        "terminals": rolling(TERMINAL, "ordered" if several else "known", uid="fraud-terminal"),
    }
    for name, query in views.items():
        # Tables, not SQL views: expanding a view over a process table function does not parse.
        environment.create_temporary_view(name, environment.sql_query(query))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO fraud_features {features()}")
    if several:
        environment.execute_sql(sink_ddl(LOG, table="terminal_log_out"))
        statements.add_insert_sql(f"INSERT INTO terminal_log_out {logged()}")
    statements.add_insert_sql(
        "INSERT INTO quarantine " + " UNION ALL ".join(unreadable(topic, JOB) for topic in sources)
    )
    return statements


if __name__ == "__main__":
    run(JOB, topology)
