"""Find in the lake all that it has of one payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.lake import INGESTED, OFFSET, PARTITION, TOPIC
from lakehouse import catalog
from lakehouse.fraud.log import PAYMENTS, SCORES, VECTORS, VERDICTS
from lakehouse.reading import in_ms, rows, show

_PLACE = (TOPIC, PARTITION, OFFSET, INGESTED)


@dataclass(frozen=True, slots=True)
class Found:
    """A record: its place in Kafka, Kafka's time of it, its fields; times in ms."""

    topic: str
    partition: int
    offset: int
    time: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """The records of a payment by kind, each in the order of their places.

    `absent` names the tables that are not there.
    """

    payments: list[Found] = field(default_factory=list)
    verdicts: list[Found] = field(default_factory=list)
    vectors: list[Found] = field(default_factory=list)
    scores: list[Found] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def trace(con: duckdb.DuckDBPyConnection, lake: Catalog, transaction_id: str) -> Trace:
    """Return what the lake has of the payment with this id."""
    found = Trace()
    for name, records in (
        (PAYMENTS, found.payments),
        (VERDICTS, found.verdicts),
        (VECTORS, found.vectors),
        (SCORES, found.scores),
    ):
        table = catalog.found(lake, name)
        if table is None:
            found.absent.append(name)
        else:
            records += _records(con, table, name, transaction_id)
    return found


def _records(
    con: duckdb.DuckDBPyConnection, table: Table, name: str, transaction_id: str
) -> list[Found]:
    show(con, name, table)
    asked = con.execute(
        f"select {in_ms(table)} from {name} where transaction_id = $id "
        f"order by {PARTITION}, {OFFSET}",
        {"id": transaction_id},
    )
    return list(map(_found, rows(asked)))


def _found(row: Mapping[str, Any]) -> Found:
    fields = {name: value for name, value in row.items() if name not in _PLACE}
    return Found(row[TOPIC], row[PARTITION], row[OFFSET], row[INGESTED], fields)
