"""What is known of each @KEY@ when one of its events comes."""

from __future__ import annotations

from typing import Any

from domain.features.declaration import HOUR, MINUTE, Feature, FeatureSet, Type, Window
from domain.features.graph import Graph, Source
from domain.features.table import FeatureTable

INPUTS: tuple[tuple[str, Type], ...] = (
@INPUTS@
)
FEATURES = FeatureSet(
    name="@NAME@",
    entity="@KEY@",
    key="@KEY@",
    time="@TIME@",
    id="@ID@",
    inputs=INPUTS,
    windows=(
        Window("1h", 5 * MINUTE, 12),
        Window("1d", HOUR, 24),
    ),
    features=(
@FEATURES@
    ),
)
_TIME: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
TABLE = FeatureTable(
    name="@NAME@",
    record="@CLASS@Features",
    description="An event with what was known of its @KEY@ when it came.",
    key="@KEY@",
    carried=(
        {"name": "@KEY@", "type": "string", "doc": "Whom the features are about."},
        {"name": "@ID@", "type": "string", "doc": "The event."},
        {"name": "@TIME@", "type": _TIME, "doc": "When it happened, UTC."},
        {"name": "late", "type": "boolean", "doc": "Older than every window: features unknown."},
    ),
    rows=(),
    sets=(FEATURES,),
    model=tuple(feature.name for feature in FEATURES.features),
)
GRAPH = Graph(
    sources=(Source("@RECORD@", fields=tuple(name for name, _ in INPUTS)),),
    table=TABLE,
)
