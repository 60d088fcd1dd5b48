"""Declare a job's graph of feature sets: how records become rows, and rows a feature record.

The Flink job is made from its SQL (processing/graph.py), the plain-Python twin from the functions
beside it (domain/features/twin.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.features.declaration import DeclarationError, FeatureSet, RowFeature
from domain.features.table import FeatureTable
from domain.features.version import version_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a record in its topic, and Kafka's timestamp of it (ms).

    The fields are columns where the record's fields are columns.
    """

    partition: Any = 0
    offset: Any = 0
    timestamp: Any = 0

    def values(self) -> Row:
        """Return the position under the names that it has in a source table."""
        return {
            "kafka_partition": self.partition,
            "kafka_offset": self.offset,
            "kafka_time": self.timestamp,
        }


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Column:
    """A column computed from others, with both its meanings.

    `sql` is an expression for the job. `python` takes the same columns as a mapping (times in ms)
    and must give what `sql` gives. Of a source's columns the mapping may hold whole columns, so
    `python` must not branch on values.
    """

    name: str
    sql: str
    python: Callable[[Mapping[str, Any]], Any]


def constant(name: str, text: str) -> Column:
    """Return a column that holds `text` in every row."""
    quoted = text.replace("'", "''")
    return Column(name, f"CAST('{quoted}' AS STRING)", lambda _: text)


PLACE = (
    Column(
        "partition", "CAST(kafka_partition AS BIGINT)", lambda record: record["kafka_partition"]
    ),
    Column("sequence", "kafka_offset", lambda record: record["kafka_offset"]),
    Column(
        "order_partition",
        "CAST(kafka_partition AS BIGINT)",
        lambda record: record["kafka_partition"],
    ),
    Column("order_sequence", "kafka_offset", lambda record: record["kafka_offset"]),
    Column("produced_at", "kafka_time", lambda record: record["kafka_time"]),
)
"""Where a row's record stands: in its topic, and in the log whose order the next set sees."""


@dataclass(frozen=True, slots=True)
class Source:
    """How a record of one type becomes a row.

    `record` is the type's name, `fields` are the fields taken under their own names, `columns` are
    computed from the record's fields and position, `rows` from the row (in SQL: from the same
    fields). Other inputs of the feature sets are NULL.
    """

    record: str
    fields: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    rows: tuple[RowFeature, ...] = ()

    def sql(self) -> dict[str, str]:
        """Return the SQL of each column of the row, by name."""
        return {
            **{name: f"`{name}`" for name in self.fields},
            **{column.name: column.sql for column in self.columns},
            **{row.name: row.sql for row in self.rows},
        }


@dataclass(frozen=True, slots=True)
class Graph:
    """Records of each source through the feature sets of `table`, in order, to its feature record.

    A row that a set marks as a duplicate, or does not emit, goes no further. `columns` are computed
    for records of every source. Raise DeclarationError for parts that do not fit.
    """

    sources: tuple[Source, ...]
    table: FeatureTable
    columns: tuple[Column, ...] = ()
    version: str = field(init=False)
    """`<name>-<digest>` of the whole: how rows are filled, the table and its sets
    (domain/features/version.py). Feature records carry it, and models are matched by it."""
    inputs: tuple[str, ...] = field(init=False)
    """The columns of a row before any feature set."""
    outputs: tuple[str, ...] = field(init=False)
    """The columns of the feature record."""
    results: tuple[Column, ...] = field(init=False)
    """The columns of the feature record that rows do not have: `late` says that some set could not
    know its features, `feature_set_version` which declaration computed them, and the derived
    features. They win over inputs of the same name."""

    def __post_init__(self) -> None:
        """Refuse columns that no set reads, inputs that no source fills, and names used twice."""
        # Kept, not asked for each time: every row needs them.
        object.__setattr__(self, "version", version_of(self))
        object.__setattr__(self, "inputs", tuple(name for name, _ in self.stages[0].inputs))
        object.__setattr__(self, "outputs", self.table.columns)
        object.__setattr__(self, "results", self._results())
        what = f"graph of {self.table.name!r}"
        records = [source.record for source in self.sources]
        if not records or len(set(records)) != len(records):
            raise DeclarationError(f"{what}: needs sources, each of another record")
        filled = {column.name for column in self.columns}
        for source in self.sources:
            self._check(source, f"{what}, {source.record}")
            filled |= source.sql().keys()
        for stage in self.stages:
            if missing := sorted({name for name, _ in stage.inputs} - filled):
                raise DeclarationError(f"{what}: nothing fills {', '.join(missing)}")
            filled |= stage.columns().keys()

    def _check(self, source: Source, what: str) -> None:
        names = [*source.fields, *(row.name for row in source.rows)]
        names += [column.name for column in (*source.columns, *self.columns)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DeclarationError(f"{what}: names used twice: {', '.join(twice)}")
        if unread := sorted(set(names) - set(self.inputs)):
            raise DeclarationError(f"{what}: no input of a feature set: {', '.join(unread)}")
        if other := sorted(row.name for row in source.rows if row not in self.table.rows):
            raise DeclarationError(f"{what}: not in the feature table: {', '.join(other)}")

    def _results(self) -> tuple[Column, ...]:
        marks, version = [stage.late for stage in self.stages], self.version
        return (
            Column("late", " OR ".join(marks), lambda row: any(row[mark] for mark in marks)),
            Column("feature_set_version", f"'{version}'", lambda _: version),
            *(Column(one.name, one.sql, one.python) for one in self.table.derived),
        )

    @property
    def name(self) -> str:
        """Return the name of its table."""
        return self.table.name

    @property
    def stages(self) -> tuple[FeatureSet, ...]:
        """Return the feature sets that rows go through, in order."""
        return self.table.sets

    def source(self, record: str) -> Source:
        """Return the source of records of that type. Raise KeyError for an unknown one."""
        for source in self.sources:
            if source.record == record:
                return source
        raise KeyError(record)

    def given(self, record: str, fields: Mapping[str, Any], place: Place = NOWHERE) -> Row:
        """Return the row of a record without its row features, which are None.

        `fields` are the record's by name, times in ms; they may be columns as well as values.
        Raise KeyError for a type of record without a source and for a missing field.
        """
        source, known = self.source(record), {**fields, **place.values()}
        return {
            **dict.fromkeys(self.inputs),
            **{name: fields[name] for name in source.fields},
            **{column.name: column.python(known) for column in (*source.columns, *self.columns)},
        }

    def row(self, record: str, fields: Mapping[str, Any], place: Place = NOWHERE) -> Row:
        """Return the row of a record as the first feature set reads it; arguments as of `given`."""
        given = self.given(record, fields, place)
        return given | {row.name: row.python(given) for row in self.source(record).rows}

    def after(self, stage: FeatureSet) -> tuple[str, ...]:
        """Return the columns of a row that goes on after `stage`: all but marks of duplicates."""
        passed = self.stages[: self.stages.index(stage) + 1]
        added = [name for one in passed for name in one.columns() if name != one.duplicate]
        return (*self.inputs, *added)

    def record(self, row: Mapping[str, Any]) -> Row:
        """Return the feature record of a row that went through every stage."""
        out = {**row, **{column.name: column.python(row) for column in self.results}}
        return {name: out[name] for name in self.outputs}
