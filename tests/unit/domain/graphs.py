"""A graph made up for tests: readings of meters in towns, and repairs that pass the meter."""

from __future__ import annotations

from domain.features.declaration import (
    DAY,
    Comparison,
    DerivedFeature,
    Feature,
    FeatureSet,
    RowFeature,
    Type,
    Window,
)
from domain.features.graph import PLACE, Graph, Source, constant
from domain.features.table import FeatureTable

INPUTS: tuple[tuple[str, Type], ...] = (
    ("kind", "STRING"),
    ("id", "STRING"),
    ("at", "TIMESTAMP"),
    ("meter", "STRING"),
    ("town", "STRING"),
    ("value", "DOUBLE"),
    ("double", "DOUBLE"),
    *(
        (name, "TIMESTAMP" if name == "produced_at" else "BIGINT")
        for name in (column.name for column in PLACE)
    ),
)
_REPAIR = (Comparison("kind", "eq", "repair"),)
_READING = (Comparison("kind", "eq", "it's read"),)
DOUBLE = RowFeature("double", "DOUBLE", "value + value", lambda row: 2 * row["value"], "Twice.")


def _set(name: str, passes: tuple[Comparison, ...], emit: tuple[Comparison, ...]) -> FeatureSet:
    return FeatureSet(
        name=name,
        entity=name,
        key=name,
        time="at",
        id="id",
        inputs=INPUTS,
        windows=(Window("9d", DAY, 9),),
        features=(Feature(f"{name}_rows", "count", "9d"),),
        passes=passes,
        emit=emit,
    )


FIRST = _set("meter", passes=_REPAIR, emit=())
SECOND = _set("town", passes=(), emit=_READING)
TABLE = FeatureTable(
    name="readings",
    record="ReadingFeatures",
    description="A reading.",
    key="meter",
    carried=(
        {"name": "id", "type": "string", "doc": "The reading."},
        {"name": "sequence", "type": "long", "doc": "Its offset."},
        {"name": "late", "type": "boolean", "doc": "Too old."},
        {"name": "feature_set_version", "type": "string", "doc": "The declaration."},
    ),
    rows=(DOUBLE,),
    sets=(FIRST, SECOND),
    model=("double", "meter_rows", "town_rows", "others"),
    derived=(
        DerivedFeature(
            "others",
            "BIGINT",
            "town_rows - meter_rows",
            lambda row: None if row["meter_late"] else row["town_rows"] - row["meter_rows"],
            "Readings of other meters and repairs.",
        ),
    ),
)
READING = Source(
    "Reading",
    fields=("id", "at", "meter", "town", "value"),
    columns=(constant("kind", "it's read"),),
    rows=(DOUBLE,),
)
REPAIR = Source(
    "Repair", fields=("id", "at", "meter", "town"), columns=(constant("kind", "repair"),)
)
GRAPH = Graph((READING, REPAIR), TABLE, PLACE)
