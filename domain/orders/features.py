"""Declare what is known of an order line's visitor and item when it is ordered.

All that a visitor does counts for the visitor; order lines alone go on to their item. Between the
two lies a log of one partition, whose order the items see, as for card payments
(docs/decisions/0008). Three patterns are in view: stolen accounts (a dear order to a new address
after few views), card testing (many small orders, each with another card) and refund abuse (orders
that are cancelled again and again). See docs/orders.md.
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
    Type,
    Window,
)
from domain.features.graph import PLACE, Column, Graph, Source
from domain.features.table import FeatureTable, Relay

TUMBLING = Window("5m", 5 * MINUTE, 1)
"""One tile: the five minutes of the clock in which the line lies, up to it."""
SESSION = Window("30m", 5 * MINUTE, 6)
"""As long as the pause that ends a session (domain/shop/sessions.py)."""
VISITOR_WINDOWS = (TUMBLING, SESSION, Window("1d", HOUR, 24), Window("30d", DAY, 30))
ITEM_WINDOWS = (
    TUMBLING,
    Window("1h", 5 * MINUTE, 12),
    Window("1d", HOUR, 24),
    Window("30d", DAY, 30),
)
SPANS: Mapping[str, str] = {
    "5m": "the running five minutes of the clock",
    "30m": "the last 30 minutes",
    "1h": "the last hour",
    "1d": "the last day",
    "30d": "the last 30 days",
}

VIEW = (Comparison("event_type", "eq", "view"),)
CART = (Comparison("event_type", "eq", "addtocart"),)
ORDER = (Comparison("event_type", "eq", "transaction"),)
CANCELLED = (Comparison("event_type", "eq", "cancellation"),)

INPUTS: tuple[tuple[str, Type], ...] = (
    ("event_id", "STRING"),
    ("event_type", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("user_id", "STRING"),
    ("item_id", "STRING"),
    ("order_id", "STRING"),
    ("value", "DOUBLE"),
    ("units", "BIGINT"),
    ("payment_card", "STRING"),
    ("address", "STRING"),
    ("partition", "BIGINT"),
    ("sequence", "BIGINT"),
    ("order_partition", "BIGINT"),
    ("order_sequence", "BIGINT"),
    ("produced_at", "TIMESTAMP"),
)


def _value(record: Mapping[str, Any]) -> Any:
    return None if record["price"] is None else record["price"] * record["quantity"]


def _order(record: Mapping[str, Any]) -> Any:
    return record["event_id"] if record["transaction_id"] is None else record["transaction_id"]


EVENT = Source(
    record="ShopEvent",
    fields=(
        *("event_id", "event_type", "event_time", "user_id", "item_id"),
        *("payment_card", "address"),
    ),
    columns=(
        Column("order_id", "COALESCE(transaction_id, event_id)", _order),
        Column("value", "price * CAST(quantity AS DOUBLE)", _value),
        Column("units", "CAST(quantity AS BIGINT)", lambda record: record["quantity"]),
    ),
)


def _counts(
    name: str, what: str, filter_: tuple[Comparison, ...], windows: tuple[str, ...]
) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            f"visitor_{name}_{window}",
            "count",
            window,
            filter=filter_,
            description=f"{what} of the visitor within {SPANS[window]}.",
        )
        for window in windows
    )


def _distinct(name: str, column: str, what: str, windows: tuple[str, ...]) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            f"visitor_{name}_{window}",
            "distinct",
            window,
            column,
            filter=ORDER,
            k=16,
            description=f"Distinct {what} in the visitor's orders within {SPANS[window]} "
            "(exact below 16).",
        )
        for window in windows
    )


VISITOR = FeatureSet(
    name="visitor",
    entity="visitor",
    key="user_id",
    time="event_time",
    id="event_id",
    emit=ORDER,
    inputs=INPUTS,
    windows=VISITOR_WINDOWS,
    features=(
        *_counts("events", "Events of any kind", (), ("5m", "30d")),
        *_counts("views", "Views", VIEW, ("30m", "1d")),
        *_counts("carts", "Items put into the cart", CART, ("30m",)),
        *_counts("orders", "Order lines, this one included,", ORDER, ("5m", "30m", "1d", "30d")),
        *_counts("cancellations", "Cancelled order lines", CANCELLED, ("1d", "30d")),
        *_distinct("cards", "payment_card", "cards", ("30m", "30d")),
        *_distinct("addresses", "address", "addresses", ("30m", "30d")),
        *_distinct("items", "item_id", "items", ("1d",)),
        Feature(
            "visitor_spent_1d",
            "sum",
            "1d",
            "value",
            filter=ORDER,
            description="Sum of the visitor's order lines within the last day.",
        ),
        Feature(
            "visitor_mean_30d",
            "mean",
            "30d",
            "value",
            filter=ORDER,
            description="Mean of the visitor's order lines of the last 30 days.",
        ),
        Feature(
            "visitor_ratio_30d",
            "ratio",
            "30d",
            "value",
            filter=ORDER,
            description="This line over the visitor's mean of the last 30 days.",
        ),
        Feature(
            "visitor_seconds_since_order",
            "seconds_since",
            "30d",
            filter=ORDER,
            description="Seconds since the visitor's order line before this one, within 30 days.",
        ),
    ),
)

ITEM = FeatureSet(
    name="item",
    entity="item",
    key="item_id",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=ITEM_WINDOWS,
    features=(
        *(
            Feature(
                f"item_orders_{window}",
                "count",
                window,
                description=f"Order lines of the item within {SPANS[window]}.",
            )
            for window in ("5m", "1h", "1d", "30d")
        ),
        Feature(
            "item_visitors_1d",
            "distinct",
            "1d",
            "user_id",
            description="Distinct visitors who ordered the item within the last day "
            "(exact below 64).",
        ),
        Feature(
            "item_mean_30d",
            "mean",
            "30d",
            "value",
            description="Mean of the item's order lines of the last 30 days.",
        ),
        Feature(
            "item_ratio_30d",
            "ratio",
            "30d",
            "value",
            description="This line over the item's mean of the last 30 days.",
        ),
    ),
)


def _per_order(row: Mapping[str, Any], count: str) -> float | None:
    orders = row["visitor_orders_30d"]
    return None if not orders or row[count] is None else float(row[count]) / float(orders)


def _share(name: str, count: str, what: str) -> DerivedFeature:
    return DerivedFeature(
        name,
        "DOUBLE",
        f"CAST({count} AS DOUBLE) / CAST(NULLIF(visitor_orders_30d, 0) AS DOUBLE)",
        lambda row: _per_order(row, count),
        f"{what} for each order line of the visitor of the last 30 days.",
    )


DERIVED = (
    _share("visitor_cancelled_30d", "visitor_cancellations_30d", "Cancelled lines"),
    _share("visitor_events_for_order_30d", "visitor_events_30d", "Events of any kind"),
)

_TIME: dict[str, Any] = {"type": "long", "logicalType": "timestamp-millis"}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}

LOG = Relay(
    record="OrderLog",
    description="An order line with its visitor's features, in the order that items see. "
    "Key: item_id.",
    key="item_id",
    after=(VISITOR,),
    omit=("order_partition", "order_sequence"),
)

ORDERS = FeatureTable(
    name="orders",
    record="OrderFeatures",
    description="An order line with what was known of its visitor and item when it was ordered. "
    "Key: order_id.",
    key="order_id",
    carried=(
        {
            "name": "order_id",
            "doc": "The order: transaction_id, or event_id where there is none.",
            **_TEXT,
        },
        {"name": "event_id", "doc": "The order line.", **_TEXT},
        {"name": "event_time", "type": _TIME, "doc": "When it was ordered, UTC."},
        {"name": "user_id", "doc": "The visitor.", **_TEXT},
        {"name": "item_id", "doc": "The item.", **_TEXT},
        {"name": "partition", "type": "long", "doc": "Partition of the event in shop-events."},
        {"name": "sequence", "type": "long", "doc": "Offset of the event in its partition."},
        {
            "name": "order_partition",
            "type": "long",
            "doc": "Partition of order-log, whose order its item saw.",
        },
        {"name": "order_sequence", "type": "long", "doc": "Offset of the line in that partition."},
        {"name": "produced_at", "type": _TIME, "doc": "Kafka's timestamp of the event."},
        {
            "name": "late",
            "type": "boolean",
            "doc": "Older than every window of its visitor or of its item: the features of that "
            "one are unknown.",
        },
        {
            "name": "feature_set_version",
            "type": "string",
            "doc": "The version of the features' declaration.",
        },
    ),
    rows=(),
    sets=(VISITOR, ITEM),
    derived=DERIVED,
    model=(
        *(feature.name for feature in VISITOR.features),
        *(feature.name for feature in ITEM.features),
        *(one.name for one in DERIVED),
    ),
    relays=(LOG,),
)

GRAPH = Graph(sources=(EVENT,), table=ORDERS, columns=PLACE)
