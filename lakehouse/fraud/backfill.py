"""Keep a training set of vectors: history computed from the log, then what the job logs.

`silver.fraud_vectors` has one vector for each payment from a date on. Up to the *seam*, a place in
the log, vectors are computed from bronze by the present declaration, in the order of arrival;
behind it they are those that the job has logged. The table's property says where the seam is, and
changes with the rows in one commit, so that no payment is missing or twice, whenever a run ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform

from config.errors import RetryableError, UserError
from domain.fraud.graph import GRAPH
from lakehouse import catalog
from lakehouse.files import discard, live, swap, write
from lakehouse.fraud.log import PAYMENTS, VECTORS, VERDICTS, Event, Log, Row
from lakehouse.fraud.verification import Reach, begin
from lakehouse.positions import next_offsets
from lakehouse.reading import quoted, show
from lakehouse.tables import PROPERTIES

NAME = "silver.fraud_vectors"
STATE = "millrace.backfill"
COMPUTED, LOGGED = "computed", "logged"
_PARTITION = 0
_CHUNK, _FILE_ROWS = 16_384, 250_000
_SHOWN = 10

Engine = Callable[[Iterable[list[Event]]], Iterator[list[Row]]]
"""Computes: of each chunk of the log, in order, the feature records of the payments in it."""


@dataclass(frozen=True, slots=True)
class State:
    """The extent of the table: payments from event time `start` (ms) on, and up to place `end`.

    Up to place `seam` vectors are computed, behind it logged.
    """

    version: str
    start: int
    seam: int
    end: int


@dataclass(frozen=True, slots=True)
class Filled:
    """The outcome of a run: `left_out` are payments whose windows reach back before the lake.

    `waits_for` is the place of the first payment whose vector the job has not logged yet.
    """

    state: State
    computed: int = 0
    logged: int = 0
    left_out: int = 0
    waits_for: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def complete(lake: Catalog) -> int:
    """Return the last place up to which bronze has all of the log, -1 if it has nothing.

    To be asked before the log is opened. Raise UserError if there are no such tables.
    """
    held = {}
    for name in (PAYMENTS, VERDICTS):
        table = catalog.found(lake, name)
        if table is None:
            raise UserError("the lake has no payments: type `millrace up --with lake`")
        # What one without any commit may still lack shows as a gap, and blinds what follows.
        if table.current_snapshot() is not None:
            held[name] = table
    return next_offsets(held).get(_PARTITION, 0) - 1


def rebuild(
    lake: Catalog,
    history: Log,
    reach: Reach,
    engine: Engine,
    *,
    start: int,
    seam: int,
    done: Callable[[int], None] = lambda _: None,
) -> Filled:
    """Compute the vectors of all payments from event time `start` on, up to the place `seam`.

    They take the place of all that the table had, in one commit. Raise UserError for a log of
    several partitions, RetryableError if others wrote the table meanwhile.
    """
    _one_log(history)
    table = _table(lake)
    new, counted = list[DataFile](), {COMPUTED: 0, "left_out": 0}
    gathered: list[pa.Table] = []
    events = history.events(_PARTITION, begin(start), seam)
    reach.blind(_PARTITION, seam)  # asked before the log is read, which must not be disturbed
    try:
        for records in engine(_chunks(events)):
            wanted = [one for one in records if one["event_time"] >= start]
            known = [
                one for one in wanted if reach.whole(_PARTITION, one["sequence"], one["event_time"])
            ]
            counted[COMPUTED] += len(known)
            counted["left_out"] += len(wanted) - len(known)
            gathered.append(_arrow(table, known, COMPUTED))
            if sum(map(len, gathered)) >= _FILE_ROWS:
                new += write(table, pa.concat_tables(gathered))
                gathered = []
            done(counted[COMPUTED])
        if sum(map(len, gathered)):
            new += write(table, pa.concat_tables(gathered))
        state = State(GRAPH.version, start, seam, seam)
        _commit(table, live(table), new, state)
    except BaseException:
        discard(table, new)
        raise
    return Filled(state, counted[COMPUTED], 0, counted["left_out"])


def follow(lake: Catalog, history: Log, reach: Reach, last: int) -> Filled:
    """Append what the job has logged behind the table's end, as far as no payment is missing.

    `last`: the place up to which bronze has all of the log. Raise UserError without a table, for a
    log of several partitions, and for vectors that the table must not take: of another declaration,
    or computed before the job's windows held all that they cover.
    """
    _one_log(history)
    table = catalog.found(lake, NAME)
    if table is None:
        raise UserError("nothing to go on from: `millrace backfill fraud-features --from …`")
    known = state(table)
    if known is None or known.version != GRAPH.version:
        raise UserError(
            "the features have changed since: `millrace backfill fraud-features --from …`"
        )
    open_ = history.unanswered(_PARTITION, known.end, GRAPH.version)
    waits = open_ if open_ is not None and open_ <= last else None
    end = last if waits is None else waits - 1
    if waits is not None and history.told(_PARTITION, waits):
        raise UserError(
            f"the payment at place {waits} has a vector of another declaration alone: "
            "compute it, `millrace backfill fraud-features --from …`"
        )
    if end <= known.end:
        return Filled(known, waits_for=waits)
    rows = _logged(history, known, end)
    young = [one for one in rows if not reach.whole(_PARTITION, one["sequence"], one["event_time"])]
    if young:
        raise UserError(
            f"{len(young)} vectors were logged before the job's windows held all that they cover: "
            "compute them, `millrace backfill fraud-features --from …`"
        )
    after = State(known.version, known.start, known.seam, end)
    new = write(table, _arrow(table, rows, LOGGED)) if rows else []
    try:
        _commit(table, [], new, after)
    except BaseException:
        discard(table, new)
        raise
    return Filled(after, logged=len(rows), waits_for=waits)


def _one_log(history: Log) -> None:
    if history.several():
        raise UserError(
            "transactions has several partitions: the lake lacks the order that terminals saw"
        )


def _logged(history: Log, known: State, end: int) -> list[Row]:
    """Return the vectors of places behind the table's end, the first of each."""
    where = (
        "partition = $partition and sequence > $after and sequence <= $end "
        "and event_time >= epoch_ms($start) and feature_set_version = $version"
    )
    values = {
        "partition": _PARTITION,
        "after": known.end,
        "end": end,
        "start": known.start,
        "version": known.version,
    }
    first: dict[int, Row] = {}
    for one in history.vectors(where, values, "_partition, _offset"):
        first.setdefault(one["sequence"], one)
    return [first[place] for place in sorted(first)]


def differing(
    con: duckdb.DuckDBPyConnection, lake: Catalog, history: Log, reach: Reach
) -> tuple[int, list[dict[str, Any]]]:
    """Compare computed vectors with those that the job has logged of the same places.

    Return how many there are of both, and some that differ, with their fields. Left out are logged
    ones that the job could not know wholly, or that rows bore on which somebody had removed.
    """
    show(con, NAME, lake.load_table(NAME))
    unlike = {name: _unlike(name) for name in GRAPH.outputs}
    marks = ", ".join(f"case when {sql} then '{name}' end" for name, sql in unlike.items())
    query = f"""
        select mine.partition, mine.sequence, mine.transaction_id, mine.terminal_id,
               epoch_ms(mine.event_time), list_filter([{marks}], lambda one: one is not null)
        from {NAME} mine join {VECTORS} theirs using (partition, sequence)
        where mine._source = '{COMPUTED}' and theirs.feature_set_version = $version
        order by mine.sequence"""
    rows = con.execute(query, {"version": GRAPH.version}).fetchall()
    compared, found = 0, list[dict[str, Any]]()
    for partition, sequence, name, terminal, event_time, fields in rows:
        if not reach.whole(partition, sequence, event_time):
            continue
        place = {"partition": partition, "sequence": sequence, "terminal_id": terminal}
        if fields and history.forgotten(place, begin(event_time)):
            continue
        compared += 1
        if fields and len(found) < _SHOWN:
            found.append({**place, "transaction_id": name, "fields": fields})
    return compared, found


def _unlike(name: str) -> str:
    """Return the condition that a column differs by a bit: 0.0 is not -0.0."""
    one, other = f"mine.{quoted(name)}", f"theirs.{quoted(name)}"
    return f"{one} is distinct from {other} or cast({one} as varchar) <> cast({other} as varchar)"


def state(table: Table) -> State | None:
    """Return what the table says of itself."""
    told = table.properties.get(STATE)
    return State(**json.loads(told)) if told else None


def reached(lake: Catalog) -> int | None:
    """Return the place up to which the table has all; None if there is none."""
    table = catalog.found(lake, NAME)
    known = None if table is None else state(table)
    return None if known is None else known.end


def _commit(table: Table, old: list[DataFile], new: list[DataFile], after: State) -> None:
    told = json.dumps(asdict(after))
    try:
        swap(table, old, new, {}, {STATE: told})
    except (CommitFailedException, ValidationException) as error:
        raise RetryableError(f"{NAME} was written by others meanwhile: once more") from error
    table.refresh()


def _chunks(events: Iterator[Event]) -> Iterator[list[Event]]:
    while chunk := list(islice(events, _CHUNK)):
        yield chunk


def _table(lake: Catalog) -> Table:
    """Return the table, made if there is none, with the columns of the present declaration."""
    schema = _schema(lake.load_table(VECTORS))
    table = catalog.found(lake, NAME)
    if table is None:
        lake.create_namespace_if_not_exists(NAME.partition(".")[0])
        table = lake.create_table(NAME, schema, properties=PROPERTIES)
        with table.update_spec() as update:
            update.add_field("event_time", DayTransform(), "event_time_day")
        return table
    if set(schema.names) - {one.name for one in table.schema().fields}:
        with table.update_schema() as change:
            change.union_by_name(schema)
    return table.refresh()


def _schema(logged: Table) -> pa.Schema:
    known = logged.schema().as_arrow()
    missing = [name for name in GRAPH.outputs if name not in known.names]
    if missing:
        raise UserError(f"bronze lacks {', '.join(missing)}: type `millrace lake apply`")
    fields = [pa.field(name, known.field(name).type) for name in GRAPH.outputs]
    return pa.schema([*fields, pa.field("_source", pa.string())])


def _arrow(table: Table, rows: list[Row], source: str) -> pa.Table:
    """Return records as rows of the table; times in ms."""
    schema = table.schema().as_arrow()
    columns: list[pa.Array] = []
    for one in schema:
        if one.name == "_source":
            columns.append(pa.repeat(pa.scalar(source, one.type), len(rows)))
        elif pa.types.is_timestamp(one.type):
            values = pa.array([row.get(one.name) for row in rows], pa.int64())
            columns.append(values.cast(pa.timestamp("ms", tz="UTC")).cast(one.type))
        else:
            columns.append(pa.array([row.get(one.name) for row in rows], one.type))
    return pa.table(columns, schema=schema)


def reach_of(history: Log, ahead_ms: int, *, logged: bool) -> Reach:
    """Return how far back computed vectors know the log, or logged ones.

    Those do not know what was not computed before the declaration became the present one.
    """
    return Reach(history, ahead_ms, *(history.changed(GRAPH.version) if logged else []))
