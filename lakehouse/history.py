"""Read a topic's records from bronze as Kafka had them: by partition, in the order of offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.lake import INGESTED, OFFSET, PARTITION, LakeTable, lake_tables
from config.topics import Topic
from ingestion.kafka.copies import Record
from ingestion.wire.codec import Codec
from lakehouse.reading import in_ms, quoted, show

_AT_ONCE = 10_000


def records(
    con: duckdb.DuckDBPyConnection,
    lake: Catalog,
    codec: Codec,
    topic: Topic,
    *,
    start: int,
    end: Mapping[int, int],
) -> Iterator[Record]:
    """Yield what bronze has of a topic, encoded by the present contract.

    From event time `start` (ms) on, of each partition up to before the offset `end` says. Nothing
    else may be asked of the connection meanwhile.
    """
    tables = lake_tables([topic])
    for table in tables:
        show(con, str(table), lake.load_table(table.identifier))
    listed = " union all by name ".join(
        _select(table, lake.load_table(table.identifier)) for table in tables
    )
    last = " or ".join(f"({PARTITION} = {one} and {OFFSET} < {to})" for one, to in end.items())
    asked = con.execute(
        f"select * from ({listed}) where _time >= $start and ({last or 'false'}) "
        f"order by {PARTITION}, {OFFSET}",
        {"start": start},
    )
    names = [one[0] for one in asked.description or ()]
    yield from _encoded(asked, names, codec, topic)


def _select(table: LakeTable, found: Table) -> str:
    return (
        f"select '{table.record}' as _record, epoch_ms({quoted(table.time)}) as _time, "
        f"{in_ms(found)} from {table}"
    )


def _encoded(
    asked: duckdb.DuckDBPyConnection, names: Sequence[str], codec: Codec, topic: Topic
) -> Iterator[Record]:
    encoders = {one: codec.encoder(topic.name, one) for one in topic.records}
    while some := asked.fetchmany(_AT_ONCE):
        for values in some:
            row: dict[str, Any] = dict(zip(names, values, strict=True))
            encoder = encoders[row["_record"]]
            # What bronze has no value of is what a record without the field has.
            given = {name: row[name] for name in encoder.fields if row.get(name) is not None}
            key = row[topic.key]
            yield Record(
                row[PARTITION],
                row[OFFSET],
                row[INGESTED],
                None if key is None else str(key).encode(),
                encoder.record(given),
            )
