"""Declare features of card payments that say where, at what merchant and in what category.

The columns are those of Sparkov's simulated payments, the features of the same families as those
of the catalogue: a card, a card in a category, a merchant and a category, the last two with the
verdicts that came in. `orchestration/fraud/sparkov.py` computes them in batch; no job does.
Source of the columns: github.com/namebrandon/Sparkov_Data_Generation.
"""

from __future__ import annotations

import math
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
from domain.features.graph import Graph, Source
from domain.features.table import FeatureTable
from domain.fraud.families import SPANS, counts, family
from domain.fraud.rows import PAYMENT, VERDICT
from domain.fraud.rows import ROWS as TIMES

EARTH_KM = 6371.0088
"""Mean radius of the earth, IUGG."""
_FRAUD = (*VERDICT, Comparison("is_fraud", "eq", True))
_PLACES = ("lat", "long", "merch_lat", "merch_long")


def _distance_km(row: Mapping[str, Any]) -> float:
    """Return the great-circle distance from the card's holder to the merchant (haversine)."""
    north, east, to_north, to_east = (math.radians(row[name]) for name in _PLACES)
    half = (
        math.sin((to_north - north) / 2) ** 2
        + math.cos(north) * math.cos(to_north) * math.sin((to_east - east) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


ROWS = (
    *TIMES,
    RowFeature(
        "distance_km",
        "DOUBLE",
        f"{2 * EARTH_KM!r} * ASIN(SQRT(LEAST(CAST(1 AS DOUBLE), "
        "POWER(SIN(RADIANS(merch_lat - `lat`) / 2), 2) + COS(RADIANS(`lat`)) * "
        "COS(RADIANS(merch_lat)) * POWER(SIN(RADIANS(merch_long - `long`) / 2), 2))))",
        _distance_km,
        "Kilometres from the holder's address to the merchant.",
    ),
)
INPUTS: tuple[tuple[str, Type], ...] = (
    ("kind", "STRING"),
    ("event_id", "STRING"),
    ("transaction_id", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("card", "STRING"),
    ("merchant", "STRING"),
    ("category", "STRING"),
    ("amount", "DOUBLE"),
    *((name, "DOUBLE") for name in _PLACES),
    ("is_fraud", "BOOLEAN"),
    ("sequence", "BIGINT"),
    *((row.name, row.type) for row in ROWS),
)
_SHORT = (Window("1h", 5 * MINUTE, 12), Window("1d", HOUR, 24))
_LONG = (Window("7d", 6 * HOUR, 28), Window("30d", DAY, 30))


def _since(entity: str) -> Feature:
    return Feature(
        f"{entity}_seconds_since",
        "seconds_since",
        "30d",
        filter=PAYMENT,
        description=f"Seconds since the payment before this one of the {entity}.",
    )


CARD = FeatureSet(
    name="card",
    entity="card",
    key="card",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=(*_SHORT, *_LONG),
    features=(
        *family("card", ("count",), ("1h", "1d", "7d", "30d")),
        *family("card", ("sum",), ("1h", "1d", "7d")),
        *family("card", ("mean",), ("1d", "30d")),
        *family("card", ("max",), ("1d", "30d")),
        *family("card", ("ratio", "zscore"), ("7d", "30d")),
        _since("card"),
        Feature(
            "card_distance_zscore_30d",
            "zscore",
            "30d",
            "distance_km",
            description="Standard deviations by which the merchant lies farther than usual.",
        ),
        Feature(
            "card_hour_zscore_30d",
            "zscore",
            "30d",
            "hour",
            description="Standard deviations by which the time of day lies after the usual one.",
        ),
        Feature(
            "card_night_share_1d",
            "share",
            "1d",
            condition=(Comparison("is_night", "eq", 1),),
            description="Share of the card's payments within the last day made at night.",
        ),
        Feature(
            "card_categories_1d",
            "distinct",
            "1d",
            "category",
            description="Distinct categories of the card's payments within the last day.",
        ),
    ),
    passes=VERDICT,
)

CARD_CATEGORY = FeatureSet(
    name="habit",
    entity="card in category",
    key=("card", "category"),
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=(*_SHORT, *_LONG),
    features=(
        *family("habit", ("count",), ("1d", "30d")),
        *family("habit", ("sum",), ("1d",)),
        *family("habit", ("ratio", "zscore"), ("30d",)),
        _since("habit"),
    ),
    passes=VERDICT,
)

MERCHANT = FeatureSet(
    name="merchant",
    entity="merchant",
    key="merchant",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=(*_SHORT, *_LONG),
    features=(
        *family("merchant", ("count",), ("1h", "1d"), PAYMENT),
        *family("merchant", ("ratio", "zscore"), ("30d",), PAYMENT),
        *counts("merchant_frauds", "Verdicts of fraud that came in", ("7d", "30d"), _FRAUD),
        *counts("merchant_labels", "Verdicts that came in", ("30d",), VERDICT),
    ),
)

CATEGORY = FeatureSet(
    name="category",
    entity="category",
    key="category",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    emit=PAYMENT,
    windows=_LONG,
    features=(
        *family("category", ("ratio", "zscore"), ("7d", "30d"), PAYMENT),
        *counts("category_frauds", "Verdicts of fraud that came in", ("30d",), _FRAUD),
        *counts("category_labels", "Verdicts that came in", ("30d",), VERDICT),
    ),
)


def _risk(entity: str) -> DerivedFeature:
    frauds, labels = f"{entity}_frauds_30d", f"{entity}_labels_30d"

    def python(row: Mapping[str, Any]) -> float | None:
        above, below = row[frauds], row[labels]
        return None if above is None or not below else float(above / below)

    return DerivedFeature(
        f"{entity}_risk_30d",
        "DOUBLE",
        f"`{frauds}` / NULLIF(CAST(`{labels}` AS DOUBLE), 0)",
        python,
        f"Share of fraud among the verdicts that came in on the {entity} within {SPANS['30d']}.",
    )


_SETS = (CARD, CARD_CATEGORY, MERCHANT, CATEGORY)
TABLE = FeatureTable(
    name="sparkov",
    record="SparkovFeatures",
    description="A payment with the features of its card, merchant and category.",
    key="card",
    carried=(
        {"name": "transaction_id", "type": "string", "doc": "The payment."},
        {"name": "amount", "type": "double", "doc": "In dollars."},
        {"name": "sequence", "type": "long", "doc": "The payment's index in order of time."},
    ),
    rows=ROWS,
    sets=_SETS,
    derived=(_risk("merchant"), _risk("category")),
    model=(
        "amount",
        *(row.name for row in ROWS),
        *(feature.name for one in _SETS for feature in one.features),
        "merchant_risk_30d",
        "category_risk_30d",
    ),
)

_SHARED = ("kind", "event_id", "transaction_id", "event_time", "card", "merchant", "category")
GRAPH = Graph(
    sources=(
        Source("SparkovPayment", (*_SHARED, "amount", *_PLACES, "sequence"), rows=ROWS),
        Source("SparkovVerdict", (*_SHARED, "is_fraud", "sequence")),
    ),
    table=TABLE,
)
