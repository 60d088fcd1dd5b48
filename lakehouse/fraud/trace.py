"""Find in the lake all that it has of one payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.types import TimestamptzType

from config.lake import INGESTED, OFFSET, PARTITION, TOPIC
from lakehouse.fraud.log import PAYMENTS, SCORES, VECTORS, VERDICTS
from lakehouse.reading import quoted, show

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
        try:
            records += _records(con, lake, name, transaction_id)
        except (NoSuchTableError, NoSuchNamespaceError):
            found.absent.append(name)
    return found


def _records(
    con: duckdb.DuckDBPyConnection, lake: Catalog, name: str, transaction_id: str
) -> list[Found]:
    table = lake.load_table(name)
    show(con, name, table)
    timed = ", ".join(
        f"epoch_ms({quoted(one.name)}) as {quoted(one.name)}"
        for one in table.schema().fields
        if isinstance(one.field_type, TimestamptzType)
    )
    asked = con.execute(
        f"select * replace ({timed}) from {name} where transaction_id = $id "
        f"order by {PARTITION}, {OFFSET}",
        {"id": transaction_id},
    )
    names = [one[0] for one in asked.description or ()]
    return [_found(dict(zip(names, row, strict=True))) for row in asked.fetchall()]


def _found(row: Mapping[str, Any]) -> Found:
    fields = {name: value for name, value in row.items() if name not in _PLACE}
    return Found(row[TOPIC], row[PARTITION], row[OFFSET], row[INGESTED], fields)
