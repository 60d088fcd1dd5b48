"""Read the log of payments and verdicts, and the vectors made of it, from the lake.

The lake has a record's place in Kafka, so its rows are the log in its order, as far back as it
reaches. Where an offset is in no table, something may have stood that the job saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog

from config.errors import UserError
from domain.features.graph import Place
from domain.fraud.graph import GRAPH, PAYMENT, VERDICT
from lakehouse import catalog, forgotten, handovers
from lakehouse.reading import in_ms, quoted, rows, show

Row = dict[str, Any]

TOPIC = "transactions"
VECTORS, PAYMENTS, VERDICTS = "bronze.fraud_features", "bronze.transactions", "bronze.fraud_labels"
_AT_ONCE = 10_000
SCORES, ASIDE = "bronze.fraud_scores", "bronze.quarantine"
# The vectors first: what they rest on is read later, so it is not older.
_TABLES = (VECTORS, ASIDE, VERDICTS, PAYMENTS)


@dataclass(frozen=True, slots=True)
class Event:
    """A payment or verdict: the type of its record, its fields (times in ms), and its place."""

    record: str
    fields: Mapping[str, Any]
    place: Place

    def row(self) -> Row:
        """Return the event as the job feeds it to the first feature set."""
        return GRAPH.row(self.record, self.fields, self.place)


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets before `end` that no table has; `known_ms`: Kafka's time of the record at `end`.

    `certain`: an event time instead, from behind which nothing is missing.
    """

    end: int
    known_ms: int
    certain: bool = False


class Log:
    """The log at the snapshots that were current when it was opened."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Catalog) -> None:
        """Open the tables. Raise UserError if one is not there."""
        self._con = con
        for name in _TABLES:
            table = catalog.found(lake, name)
            if table is None:
                raise UserError(f"the lake has no {name}: type `millrace up --with lake`")
            show(con, name, table)
            if name == VECTORS:
                self.columns = tuple(one.name for one in table.schema().fields)
                self._in_ms = in_ms(table)
        forgotten.show(con, lake)
        handovers.show(con, lake)
        con.execute(f"create or replace temp view log as {_union()}")

    def vectors(self, where: str, values: Mapping[str, Any], order: str = "_offset") -> list[Row]:
        """Return the vectors of a condition, times in ms."""
        query = f"select {self._in_ms} from {VECTORS} where {where} order by {order}"
        return rows(self._con.execute(query, dict(values)))

    def sample(self, count: int, seed: int) -> list[Row]:
        """Return vectors at random: the same ones for the same seed and snapshot."""
        drawn = f"hash(_partition, _offset, {int(seed)})"
        return self.vectors("true", {}, f"{drawn}, _partition, _offset limit {int(count)}")

    def newest(self) -> int | None:
        """Return the event time (ms) of the newest payment; None if there is none."""
        found: int | None = self._one(f"select max(epoch_ms(event_time)) from {PAYMENTS}")
        return found

    def several(self) -> bool:
        """Return whether the log has several partitions: then it is not what terminals saw."""
        return bool(self._one("select coalesce(max(_partition), 0) > 0 from log"))

    def changed(self, version: str) -> list[Gap]:
        """Return each place where the features' declaration became `version` from another.

        What the job had not computed until then it did not know, or knew from before the other,
        but for what a handover has given it. A place that has vectors of both counts, too.
        """
        query = f"""
            with places as (
                select sequence, bool_or(feature_set_version <> $version) as other,
                       min(epoch_ms(produced_at)) filter (feature_set_version = $version) as known
                from {VECTORS} group by sequence
            ), runs as (
                select *, lag(sequence) over (order by sequence) as earlier,
                       other or lag(other) over (order by sequence) as begins from places
            ), begun as (
                select sequence, earlier, other, known from runs where begins and known is not null
            )
            select sequence, any_value(known), arg_max(known_from, "at")
            from begun left join {handovers.NAME} given
              on not other and given.version = $version and seam > earlier and seam <= sequence
            group by sequence order by sequence"""
        found = self._con.execute(query, {"version": version}).fetchall()
        return [
            Gap(at, known) if given is None else Gap(at, given - 1, certain=True)
            for at, known, given in found
        ]

    def gaps(self, partition: int) -> list[Gap]:
        """Return the gaps before records of a partition: neither put aside nor forgotten."""
        query = f"""
            with held as (
                select _offset as place, ts from log where _partition = $partition
                union all
                select source_offset, null from {ASIDE}
                where source_topic = '{TOPIC}' and source_partition = $partition
                union all
                select "offset", null from {forgotten.NAME}
                where topic = '{TOPIC}' and "partition" = $partition
            ), places as (
                select place, max(ts) as ts, lag(place, 1, -1) over (order by place) as earlier
                from held group by place
            ), timed as (
                select place, earlier, first_value(ts ignore nulls) over (
                    order by place rows between current row and unbounded following) as known
                from places
            )
            select place, known from timed where earlier < place - 1 order by place"""
        places = self._con.execute(query, {"partition": partition}).fetchall()
        return [Gap(at, known) for at, known in places if known is not None]

    def forgotten(self, vector: Mapping[str, Any], start: int) -> bool:
        """Return whether rows that bore on a vector were removed for good: its terminal's."""
        query = f"""
            select count(*) > 0 from {forgotten.NAME}
            where topic = '{TOPIC}' and "partition" = $partition and "offset" < $last
              and terminal_id = $terminal and epoch_ms("day") + 86400000 > $start"""
        values = {
            "partition": vector["partition"],
            "last": vector["sequence"],
            "terminal": vector["terminal_id"],
            "start": start,
        }
        return bool(self._one(query, values))

    def before(self, vector: Mapping[str, Any], start: int) -> Iterator[Event]:
        """Yield what bears on a vector, in order, up to its payment; from event time `start` on.

        That is all of its customer and of its terminal. Of others, all is yielded in two cases. A
        payment at the terminal may be a repeat, which its customer's side drops. And a verdict of
        fraud there counts by how its payment compares with what its customer had paid before.
        """
        query = """
            with mine as (
                select * from log
                where _partition = $partition and _offset <= $last and event_time >= $start
            ), twice as (
                select customer_id from mine
                where record = $payment and transaction_id in (
                    select transaction_id from mine
                    where terminal_id = $terminal and record = $payment)
                group by customer_id, transaction_id, event_time having count(*) > 1
            ), struck as (
                select customer_id from mine where terminal_id = $terminal and is_fraud
            )
            select * from mine
            where customer_id = $customer or terminal_id = $terminal
               or customer_id in (select customer_id from twice union select * from struck)
            order by _offset"""
        values = {
            "partition": vector["partition"],
            "last": vector["sequence"],
            "start": start,
            "payment": PAYMENT.record,
            "customer": vector["customer_id"],
            "terminal": vector["terminal_id"],
        }
        yield from map(event, rows(self._con.execute(query, values)))

    def events(self, partition: int, start: int, last: int) -> Iterator[Event]:
        """Yield the log up to the place `last`, in order; from event time `start` on.

        The log must not be asked anything else meanwhile.
        """
        query = """
            select * from log where _partition = $partition and _offset <= $last
              and event_time >= $start order by _offset"""
        values = {"partition": partition, "start": start, "last": last}
        found = self._con.execute(query, values)
        names = [one[0] for one in found.description or ()]
        while some := found.fetchmany(_AT_ONCE):
            yield from (event(dict(zip(names, row, strict=True))) for row in some)

    def unanswered(self, partition: int, after: int, version: str) -> int | None:
        """Return the first place after `after` whose payment has no vector yet, and needs one.

        A repeat of a payment that stands before it needs none.
        """
        query = f"""
            with paid as (
                select _offset as place, row_number() over (
                    partition by transaction_id, event_time, customer_id order by _offset) as nth
                from log where _partition = $partition and record = $payment
            )
            select min(place) from paid where place > $after and nth = 1 and place not in (
                select sequence from {VECTORS} where partition = $partition
                  and sequence > $after and feature_set_version = $version)"""
        values = {
            "partition": partition,
            "payment": PAYMENT.record,
            "after": after,
            "version": version,
        }
        place: int | None = self._one(query, values)
        return place

    def told(self, partition: int, place: int) -> bool:
        """Return whether a place has a vector, by whatever declaration."""
        query = (
            f"select count(*) > 0 from {VECTORS} where partition = $partition and sequence = $at"
        )
        return bool(self._one(query, {"partition": partition, "at": place}))

    def _one(self, query: str, values: Mapping[str, Any] = MappingProxyType({})) -> Any:
        found = self._con.execute(query, dict(values)).fetchone()
        return found[0] if found else None


def event(row: Mapping[str, Any]) -> Event:
    """Return a row of the log as an event."""
    source = GRAPH.source(row["record"])
    fields = {name: row[name] for name in source.fields}
    return Event(source.record, fields, Place(row["_partition"], row["_offset"], row["ts"]))


def _union() -> str:
    """Return the query of the log: the two tables, times in ms."""
    return " union all by name ".join(
        f"select '{source.record}' as record, _partition, _offset, "
        f"epoch_ms(_ingested_at) as ts, {_fields(source.fields)} from {table}"
        for source, table in ((PAYMENT, PAYMENTS), (VERDICT, VERDICTS))
    )


def _fields(names: tuple[str, ...]) -> str:
    return ", ".join(
        f"epoch_ms({quoted(name)}) as {quoted(name)}" if name == "event_time" else quoted(name)
        for name in names
    )
