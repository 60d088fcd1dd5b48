"""Declare the book of an item's stock, and the demand for it, as features of its log.

The log holds sales and stock movements in one order (docs/decisions/0030). Three feature sets read
it, all by item: demand over windows of event time, which also knows repeated and late entries; then
the sum of all that ever moved; then that sum as it was at the last count. The level follows:

    level = what was counted + what moved since

An item's book opens with its first delivery or count. Before that its level is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.features.declaration import (
    DAY,
    HOUR,
    MINUTE,
    Comparison,
    DerivedFeature,
    Feature,
    FeatureSet,
    RowFeature,
    Type,
    Window,
)
from domain.features.graph import Column, Graph, Source
from domain.features.table import FeatureTable

TERMS = ("threshold", "lead_days", "pack", "price", "price_least", "price_most")
"""What is agreed for an item; a sale tells its price, too."""
WINDOWS = (
    Window("1h", 5 * MINUTE, 12),
    Window("24h", HOUR, 24),
    Window("7d", 6 * HOUR, 28),
    Window("28d", DAY, 28),
)
EVER = Window("ever", 2**50, 1)
"""Of places in the log, not of time: more than a partition will ever hold."""
FOR_EVER = 2**63 - 1

_IN, _OUT = ("delivery", "correction", "cancellation"), "sale"


def _signed(row: Mapping[str, Any]) -> int:
    quantity: int = row["quantity"]
    return -quantity if row["kind"] == _OUT else quantity if row["kind"] in _IN else 0


def _units(row: Mapping[str, Any]) -> int:
    quantity: int = row["quantity"]
    return {"sale": quantity, "cancellation": -quantity}.get(row["kind"], 0)


ROWS = (
    RowFeature(
        "delta",
        "BIGINT",
        "CASE WHEN kind = 'sale' THEN -quantity "
        "WHEN kind IN ('delivery', 'correction', 'cancellation') THEN quantity "
        "ELSE CAST(0 AS BIGINT) END",
        _signed,
        "Units by which the entry changes the stock; 0 for a count, which replaces it.",
    ),
    RowFeature(
        "units",
        "BIGINT",
        "CASE kind WHEN 'sale' THEN quantity WHEN 'cancellation' THEN -quantity "
        "ELSE CAST(0 AS BIGINT) END",
        _units,
        "Units demanded: those sold, less those cancelled.",
    ),
    RowFeature(
        "squared",
        "DOUBLE",
        "CASE WHEN kind = 'sale' THEN CAST(quantity AS DOUBLE) * CAST(quantity AS DOUBLE) "
        "ELSE 0.0E0 END",
        lambda row: float(row["quantity"]) * float(row["quantity"]) if row["kind"] == _OUT else 0.0,
        "The square of the units sold: orders of many units make demand less even.",
    ),
    RowFeature(
        "occurred",
        "BIGINT",
        "EXTRACT(EPOCH FROM event_time) * 1000 + EXTRACT(MILLISECOND FROM event_time)",
        lambda row: int(row["event_time"]),
        "When it happened, in ms since 1970.",
    ),
)

INPUTS: tuple[tuple[str, Type], ...] = (
    ("entry_id", "STRING"),
    ("item_id", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("kind", "STRING"),
    ("quantity", "BIGINT"),
    *((name, "DOUBLE") for name in TERMS),
    ("produced_at", "TIMESTAMP"),
    ("partition", "BIGINT"),
    ("sequence", "BIGINT"),
    *((row.name, row.type) for row in ROWS),
)

DEMAND = FeatureSet(
    name="demand",
    entity="item",
    key="item_id",
    time="event_time",
    id="entry_id",
    inputs=INPUTS,
    windows=WINDOWS,
    features=(
        *(
            Feature(
                f"sold_{window.name}",
                "sum",
                window.name,
                "units",
                description=f"Units sold less those cancelled within the last {window.name}.",
            )
            for window in WINDOWS
        ),
        Feature(
            "squared_28d",
            "sum",
            "28d",
            "squared",
            description="Sum of the squares of the units of each sale within the last 28 days.",
        ),
    ),
)

_TIMELY = Comparison(DEMAND.late, "eq", value=False)
TRADED = ("sale", "cancellation")
_SOLD = tuple(feature.name for feature in DEMAND.features)
_COUNT = Comparison("kind", "eq", "count")
_DELIVERY = Comparison("kind", "eq", "delivery")

BOOK = FeatureSet(
    name="book",
    entity="item",
    key="item_id",
    time="sequence",
    inputs=(*INPUTS, *((name, "DOUBLE") for name in _SOLD), (DEMAND.late, "BOOLEAN")),
    windows=(EVER,),
    keep_idle_ms=FOR_EVER,
    features=(
        Feature(
            "moved",
            "sum",
            "ever",
            "delta",
            filter=(_TIMELY,),
            description="Units that ever came in, less those that went out.",
        ),
        Feature(
            "openings",
            "count",
            "ever",
            filter=(_TIMELY, Comparison("kind", "in", ("delivery", "count"))),
            description="Deliveries and counts so far; the first one opens the book.",
        ),
        Feature(
            "late_units",
            "sum",
            "ever",
            "delta",
            filter=(Comparison(DEMAND.late, "eq", value=True),),
            description="Units of entries that were too late to know whether they came before: "
            "not in the level.",
        ),
        Feature(
            "first_at", "min", "ever", "occurred", description="When the item's first entry was."
        ),
        *(
            Feature(
                f"{name}_before",
                "last",
                "ever",
                name,
                filter=(_TIMELY,),
                description=f"What was set as {name} before this entry.",
            )
            for name in TERMS
        ),
        *(
            Feature(
                f"{name}_before",
                "last",
                "ever",
                name,
                filter=(_TIMELY, Comparison("kind", "in", TRADED)),
                description=f"`{name}` at the sale before this entry.",
            )
            for name in (*_SOLD, "occurred")
        ),
    ),
)

SHELF = FeatureSet(
    name="shelf",
    entity="item",
    key="item_id",
    time="sequence",
    inputs=(*BOOK.inputs, ("moved", "DOUBLE"), ("openings", "BIGINT")),
    windows=(EVER,),
    keep_idle_ms=FOR_EVER,
    features=tuple(
        Feature(
            f"{what}_{column}",
            "last",
            "ever",
            column,
            filter=(_TIMELY, *which),
            description=f"`{column}` at {told} before this entry.",
        )
        for what, which, told in (
            ("counted", (_COUNT,), "the last count"),
            ("opened", (_DELIVERY, Comparison("openings", "eq", 1)), "the delivery that opened"),
        )
        for column in ("quantity", "moved")
    ),
)

_OPENS = "(kind = 'count' OR (kind = 'delivery' AND openings = 1))"


def _base(row: Mapping[str, Any]) -> float | None:
    """Return the units that were there before anything moved, by what was known before the row."""
    for what in ("counted", "opened"):
        if row[f"{what}_quantity"] is not None:
            return float(row[f"{what}_quantity"] - row[f"{what}_moved"])
    return None


def _level(row: Mapping[str, Any]) -> float | None:
    opens = row["kind"] == "count" or (row["kind"] == "delivery" and row["openings"] == 1)
    if opens and not row[DEMAND.late]:
        return float(row["quantity"])
    base = _base(row)
    return None if base is None else base + float(row["moved"])


def _expected(row: Mapping[str, Any]) -> float | None:
    base = _base(row)
    return base + float(row["moved"]) if row["kind"] == "count" and base is not None else None


_BEFORE = "COALESCE(counted_quantity - counted_moved, opened_quantity - opened_moved) + moved"


def _now(name: str) -> DerivedFeature:
    return DerivedFeature(
        f"{name}_now",
        "DOUBLE",
        f"CASE WHEN {DEMAND.late} OR {name} IS NULL THEN {name}_before ELSE {name} END",
        lambda row: row[f"{name}_before"] if row[DEMAND.late] or row[name] is None else row[name],
        f"The {name} in force; negative: taken back.",
    )


def _demand(name: str, source: str, told: str) -> DerivedFeature:
    """Return what a sale knows of demand; a movement, whenever it is dated, what the last did."""

    def known(row: Mapping[str, Any]) -> float | None:
        sold = row["kind"] in TRADED and not row[DEMAND.late] and row[source] is not None
        found: float | None = row[source] if sold else row[f"{source}_before"]
        return None if found is None else float(found)

    sql = (
        f"CASE WHEN kind IN ('sale', 'cancellation') AND NOT {DEMAND.late} "
        f"AND {source} IS NOT NULL THEN CAST({source} AS DOUBLE) ELSE {source}_before END"
    )
    return DerivedFeature(name, "DOUBLE", sql, known, told)


DERIVED = (
    DerivedFeature(
        "level",
        "DOUBLE",
        f"CASE WHEN {_OPENS} AND NOT {DEMAND.late} THEN CAST(quantity AS DOUBLE) "
        f"ELSE {_BEFORE} END",
        _level,
        "Units in stock; NULL before the first delivery or count.",
    ),
    DerivedFeature(
        "expected",
        "DOUBLE",
        f"CASE WHEN kind = 'count' THEN {_BEFORE} END",
        _expected,
        "For a count: the level that the book had; NULL if it had none.",
    ),
    *(
        _demand(
            f"demand_{window.name}",
            f"sold_{window.name}",
            f"Units demanded within the {window.name} before `demand_at`; NULL if never sold.",
        )
        for window in WINDOWS
    ),
    _demand("demand_squared", "squared_28d", "`squared_28d` as of `demand_at`."),
    _demand("demand_at", "occurred", "When the sale was that knows the demand, in ms since 1970."),
    *(_now(name) for name in TERMS),
)

_TIME = {"type": "long", "logicalType": "timestamp-millis"}

STOCK = FeatureTable(
    name="stock",
    record="StockLevel",
    description="An entry of the stock's log with its item's level and demand right after it. "
    "Of two records of an item the one with the greater sequence is newer. Key: item_id.",
    key="item_id",
    carried=(
        {"name": "item_id", "type": "string", "doc": "The item.", "minLength": 1},
        {"name": "entry_id", "type": "string", "doc": "The entry.", "minLength": 1},
        {"name": "event_time", "type": _TIME, "doc": "When it happened, UTC."},
        {"name": "kind", "type": "string", "doc": "sale, cancellation, or a movement's kind."},
        {"name": "quantity", "type": "long", "doc": "Units, as they were told."},
        {"name": "partition", "type": "long", "doc": "Partition of the log stock-log."},
        {"name": "sequence", "type": "long", "doc": "Offset of the entry in that partition."},
        {"name": "produced_at", "type": _TIME, "doc": "Kafka's timestamp of what it came from."},
        {"name": "late", "type": "boolean", "doc": "Older than every window: changes nothing."},
        {
            "name": "feature_set_version",
            "type": "string",
            "doc": "The version of the features' declaration.",
        },
    ),
    rows=ROWS,
    sets=(DEMAND, BOOK, SHELF),
    model=(
        "level",
        "expected",
        *(f"demand_{window.name}" for window in WINDOWS),
        "demand_squared",
        "demand_at",
        "openings",
        "late_units",
        "first_at",
        *(f"{name}_now" for name in TERMS),
    ),
    derived=DERIVED,
)

ENTRY = Source(
    record="StockEntry",
    fields=("entry_id", "item_id", "event_time", "kind", "quantity", *TERMS, "produced_at"),
    columns=(
        Column("partition", "CAST(kafka_partition AS BIGINT)", lambda one: one["kafka_partition"]),
        Column("sequence", "kafka_offset", lambda one: one["kafka_offset"]),
    ),
    rows=ROWS,
)

GRAPH = Graph(sources=(ENTRY,), table=STOCK)
