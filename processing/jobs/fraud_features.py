"""fraud-features.

Every card payment with what was known of its customer and terminal when it was made.

    transactions ─────── rolling(customer) ──┐
                                             ├── rolling(terminal) ── fraud-features
    transaction-labels ──────────────────────┘
    what can't be read of both ── quarantine

Which features, and over which windows, is declared in `domain/fraud/features.py`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from domain.features.declaration import FeatureSet
from domain.fraud.features import CUSTOMER, FRAUD, TERMINAL
from processing.tables import columns, literal, sink_ddl, source_ddl, unreadable

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "fraud_features"
SOURCES = ("transactions", "transaction-labels")
SINKS = ("fraud-features", "quarantine")
_SQL_TYPES = {"TIMESTAMP": "TIMESTAMP_LTZ(3)"}


def payments() -> str:
    """Readable transactions as rows of `CUSTOMER`, row features added."""
    rows = "".join(f", {row.sql} AS {row.name}" for row in FRAUD.rows)
    return f"""
        SELECT CAST('transaction' AS STRING) AS kind, transaction_id AS event_id,
               transaction_id, event_time, customer_id, terminal_id, amount,
               CAST(NULL AS BOOLEAN) AS is_fraud,
               kafka_offset AS sequence, kafka_time AS produced_at{rows}
        FROM transactions WHERE unreadable_reason IS NULL"""


def rolling(features: FeatureSet, table: str, uid: str) -> str:
    """`table` with the declared features added by the kernel.

    `uid` keeps the state's place in savepoints.
    """
    spec = literal(json.dumps(features.spec(), ensure_ascii=False))
    return f"""
        SELECT * FROM rolling(
            `in` => TABLE {table} PARTITION BY ({", ".join(features.keys)}),
            spec => {spec}, uid => {literal(uid)})"""


def payments_and_verdicts() -> str:
    """Each payment once, and labels as rows that update the terminal but are not emitted."""
    inputs = dict(CUSTOMER.inputs)
    carried = [*inputs, *(feature.name for feature in CUSTOMER.features), CUSTOMER.late]
    verdict = {
        "kind": "CAST('label' AS STRING)",
        "event_id": "'label/' || transaction_id",
        "sequence": "kafka_offset",
        "produced_at": "kafka_time",
        **{name: name for name in columns("FraudLabel")},
    }
    types = inputs | CUSTOMER.columns()
    blank = {name: f"CAST(NULL AS {_SQL_TYPES.get(types[name], types[name])})" for name in carried}
    blank[CUSTOMER.late] = "FALSE"
    labels = ", ".join(f"{verdict.get(name, blank[name])} AS {name}" for name in carried)
    return f"""
        SELECT {", ".join(carried)} FROM customers WHERE NOT {CUSTOMER.duplicate}
        UNION ALL
        SELECT {labels} FROM transaction_labels WHERE unreadable_reason IS NULL"""


def features() -> str:
    """The columns of `fraud-features`.

    A late payment comes with `late` set and NULL for what can't be known.
    """
    special = {
        "late": f"{CUSTOMER.late} OR {TERMINAL.late}",
        "feature_set_version": literal(FRAUD.version),
        **{derived.name: derived.sql for derived in FRAUD.derived},
    }
    selected = ", ".join(f"{special.get(name, name)} AS {name}" for name in columns(FRAUD.record))
    return f"SELECT {selected} FROM terminals WHERE NOT {TERMINAL.duplicate}"


def topology(environment: TableEnvironment) -> StatementSet:
    """The whole job, ready to execute."""
    for topic in SOURCES:
        environment.execute_sql(source_ddl(topic, group=f"millrace-{JOB}"))
    for topic in SINKS:
        environment.execute_sql(sink_ddl(topic))
    views = {
        "payments": payments(),
        "customers": rolling(CUSTOMER, "payments", uid="fraud-customer"),
        "payments_and_verdicts": payments_and_verdicts(),
        "terminals": rolling(TERMINAL, "payments_and_verdicts", uid="fraud-terminal"),
    }
    for name, query in views.items():
        # Tables, not SQL views: expanding a view over a process table function does not parse.
        environment.create_temporary_view(name, environment.sql_query(query))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO fraud_features {features()}")
    statements.add_insert_sql(
        "INSERT INTO quarantine " + " UNION ALL ".join(unreadable(topic, JOB) for topic in SOURCES)
    )
    return statements
