"""Remove a customer from the lake: which tables hold one, and what quarantine holds of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import AlwaysTrue

from config.lake import lake_tables
from config.topics import Topic
from ingestion.persons import COLUMN, SHORT, topics_of
from lakehouse.forgetting import Removed, Rows, anywhere, delete, holding, purge, purging

QUARANTINE = "bronze.quarantine"
_WITHIN_AN_ID = "0-9A-Za-z_-"


def removed(
    lake: Catalog,
    customer: str,
    every: Mapping[str, Topic],
    now: datetime,
    rebuild: Callable[[], None] = lambda: None,
) -> Iterator[Removed]:
    """Remove a customer's rows from every table, snapshot and file; yield what was done.

    `rebuild` makes the marts anew, once the rows are gone from what they are made of. A table in
    which no snapshot has the customer is left as it is. Called again it goes on where it ended.
    """
    declared = {str(one): one for one in lake_tables(every.values())}
    # Bronze first: what is made of it meanwhile no longer has them.
    affected = {
        name: delete(lake, name, rows, declared.get(name))
        for name, rows in _wanted(lake, customer, every).items()
        if anywhere(table := lake.load_table(name), rows) or purging(table) is not None
    }
    made = {name for name in affected if name.startswith(("silver.", "gold."))}
    for name in sorted(affected.keys() - made):
        yield _purged(lake, name, affected[name], now)
    # Also where rows are gone already: an earlier run may have ended before the marts were made.
    # Their past goes last, as it says that they are to be made anew.
    if made:
        rebuild()
    for name in sorted(made):
        yield _purged(lake, name, affected[name], now)


def _purged(lake: Catalog, name: str, count: int, now: datetime) -> Removed:
    return Removed(name, count, *purge(lake.load_table(name), now))


def _wanted(lake: Catalog, customer: str, every: Mapping[str, Topic]) -> dict[str, Rows]:
    """Return the rows that are a customer's, by table."""
    found = {name: Rows.equal(COLUMN, customer) for name in holding(lake, COLUMN)}
    if QUARANTINE in holding(lake, "source_topic"):
        found[QUARANTINE] = quarantined(customer, topics_of(every))
    return found


def left(lake: Catalog, customer: str, every: Mapping[str, Topic]) -> list[str]:
    """Return the tables of which a snapshot still has the customer."""
    wanted = _wanted(lake, customer, every)
    return [name for name, rows in wanted.items() if anywhere(lake.load_table(name), rows)]


def quarantined(customer: str, topics: list[Topic]) -> Rows:
    """Return the records put aside that are a customer's.

    They cannot be decoded, or were refused. A customer is known by the record's key, where the
    topic is keyed so, or by the id in the value: as Avro writes it, length first, or as a word of
    its own, as in JSON. An id of less than four bytes could stand there by chance and is looked for
    in the key alone.
    """
    keyed = pa.array([one.name for one in topics if one.key == COLUMN], pa.string())
    names = pa.array([one.name for one in topics], pa.string())
    identity = customer.encode()

    def mask(rows: pa.Table) -> pa.ChunkedArray:
        topic = rows["source_topic"]
        by_key = pc.and_(pc.is_in(topic, keyed), _is(rows["key"], identity))
        if len(identity) < SHORT:
            return by_key
        value = rows["value"].cast(pa.large_binary())
        within = pc.or_(_has(value, _written(identity)), _has_word(value, identity))
        return pc.or_(by_key, pc.and_(pc.is_in(topic, names), within))

    return Rows(AlwaysTrue(), mask)


def _is(column: pa.ChunkedArray, value: bytes) -> pa.ChunkedArray:
    return pc.fill_null(pc.equal(column.cast(pa.large_binary()), value), False)


def _has(column: pa.ChunkedArray, value: bytes) -> pa.ChunkedArray:
    return pc.fill_null(pc.match_substring(column, value), False)


def _has_word(column: pa.ChunkedArray, value: bytes) -> pa.ChunkedArray:
    """Return where the bytes stand that no other id goes on with."""
    exactly = "".join(f"\\x{one:02x}" for one in value)
    edges = f"(^|[^{_WITHIN_AN_ID}]){exactly}($|[^{_WITHIN_AN_ID}])"
    return pc.fill_null(pc.match_substring_regex(column, edges), False)


def _written(text: bytes) -> bytes:
    """Return a string as Avro writes it: its length, seven bits a byte, then its bytes."""
    number, head = len(text) << 1, bytearray()
    while number > 0x7F:
        head.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*head, number]) + text
