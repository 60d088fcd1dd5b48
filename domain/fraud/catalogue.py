"""Declare the whole catalogue of card fraud features: families of windows and aggregates.

Customer, then the customer's habit, then the pair of customer and terminal, then the terminal: each
set may read what those before it computed. So a verdict, when it reaches its terminal, knows how
unusual the payment was that it judges: fraud on an unremarkable payment speaks of the terminal, on
a remarkable one of the card.

The job computes what domain/fraud/features.py declares; the batch frame computes all of this
(docs/decisions/0031). `RANKING` is what the model of `millrace evaluate fraud` reads.
"""

from __future__ import annotations

from dataclasses import replace

from domain.features.declaration import (
    DAY,
    MINUTE,
    Comparison,
    Feature,
    FeatureSet,
    RowFeature,
    Type,
    Window,
)
from domain.features.graph import PLACE, Graph
from domain.features.table import FeatureTable
from domain.fraud import features as live
from domain.fraud import graph as live_graph
from domain.fraud.derived import DERIVED
from domain.fraud.families import SPANS, counts, family
from domain.fraud.features import INPUTS, PAYMENT, VERDICT, WINDOWS

_MINUTES = (Window("5m", MINUTE, 5), Window("10m", MINUTE, 10))
_DAYS = (Window("14d", DAY, 14), Window("21d", DAY, 21), Window("28d", DAY, 28))
_HABIT = Window("60d", DAY, 60)
_LIVE = {feature.name: feature for feature in live.CUSTOMER.features}

REMARKABLE = 2.5
"""A payment of so many times the customer's mean is remarkable."""
LARGE = 220.0
"""A payment above it is remarkable whoever makes it."""

_FRAUD = (*VERDICT, Comparison("is_fraud", "eq", True))
_GENUINE = (*VERDICT, Comparison("is_fraud", "eq", False))
_PLAIN = (
    *_FRAUD,
    Comparison("pair_last_ratio", "lt", REMARKABLE),
    Comparison("pair_last_amount", "le", LARGE),
)

ROWS = (
    *live.ROWS,
    RowFeature(
        "hour",
        "DOUBLE",
        "CAST(HOUR(event_time) * 3600 + MINUTE(event_time) * 60 + SECOND(event_time) AS DOUBLE) "
        "/ 3600.0",
        lambda row: row["event_time"] % DAY // 1000 / 3600.0,
        "Hours since midnight, UTC.",
    ),
)

CUSTOMER = FeatureSet(
    name="customer",
    entity="customer",
    key="customer_id",
    time="event_time",
    id="event_id",
    inputs=(*INPUTS, ("hour", "DOUBLE")),
    windows=(*_MINUTES, *WINDOWS, *_DAYS, _HABIT),
    features=(
        *family("customer", ("count",), ("5m", "10m", "1h", "1d", "7d", "14d", "30d", "60d")),
        *family("customer", ("sum",), ("10m", "1h", "1d", "7d", "14d", "30d", "60d")),
        *family("customer", ("mean",), ("1d", "7d", "14d", "30d")),
        *family("customer", ("std",), ("14d", "30d", "60d")),
        *family("customer", ("max",), ("1d", "14d", "30d")),
        *family("customer", ("min",), ("30d",)),
        *family("customer", ("ratio",), ("7d", "14d", "30d")),
        *family("customer", ("zscore",), ("7d", "14d", "30d", "60d")),
        *(
            Feature(
                f"customer_terminals_{window}",
                "distinct",
                window,
                "terminal_id",
                description="Distinct terminals the customer used within the last "
                f"{SPANS[window]} (exact below 64).",
            )
            for window in ("1d", "7d", "30d")
        ),
        *(_LIVE[name] for name in ("customer_last_amount", "customer_seconds_since")),
        _LIVE["customer_night_share_30d"],
        Feature(
            "customer_weekend_share_30d",
            "share",
            "30d",
            condition=(Comparison("is_weekend", "eq", 1),),
            description="Share of the customer's payments within 30 days made at a weekend.",
        ),
        Feature(
            "customer_hour_zscore_30d",
            "zscore",
            "30d",
            "hour",
            description="Standard deviations by which the time of day lies after the customer's "
            "usual one of 30 days.",
        ),
    ),
    passes=VERDICT,
)

_SAID: tuple[tuple[str, Type], ...] = (("customer_ratio_30d", "DOUBLE"),)

HABIT = FeatureSet(
    name="habit",
    entity="customer",
    key="customer_id",
    time="event_time",
    id="event_id",
    inputs=(*CUSTOMER.inputs, *_SAID),
    windows=(Window("7d", DAY, 7), Window("14d", DAY, 14), Window("30d", DAY, 30)),
    features=(
        *(
            Feature(
                f"customer_peak_{window}",
                "max",
                window,
                "customer_ratio_30d",
                description="Largest ratio of a payment to the customer's mean within the last "
                f"{SPANS[window]}.",
            )
            for window in ("7d", "14d")
        ),
        *counts(
            "customer_remarkable",
            f"Payments of {REMARKABLE} times the customer's mean and more",
            ("7d", "14d", "30d"),
            (Comparison("customer_ratio_30d", "ge", REMARKABLE),),
        ),
    ),
    passes=VERDICT,
)

PAIR = FeatureSet(
    name="pair",
    entity="customer at terminal",
    key=("customer_id", "terminal_id"),
    time="event_time",
    id="event_id",
    inputs=HABIT.inputs,
    windows=(Window("7d", DAY, 7), Window("14d", DAY, 14), Window("30d", DAY, 30)),
    features=(
        *family("pair", ("count",), ("7d", "30d"), PAYMENT),
        *family("pair", ("sum", "mean", "max", "ratio"), ("30d",), PAYMENT),
        Feature(
            "pair_seconds_since",
            "seconds_since",
            "30d",
            filter=PAYMENT,
            description="Seconds since the customer's payment before this one at the terminal.",
        ),
        Feature(
            "pair_last_amount",
            "last",
            "14d",
            "amount",
            filter=PAYMENT,
            description="Amount of the customer's payment before this one at the terminal; of a "
            "verdict, mostly the amount judged.",
        ),
        Feature(
            "pair_last_ratio",
            "last",
            "14d",
            "customer_ratio_30d",
            filter=PAYMENT,
            description="That amount over the customer's mean of then.",
        ),
        *counts("pair_frauds", "Verdicts of fraud on the pair that came in", ("30d",), _FRAUD),
    ),
)

_OF_PAIRS: tuple[tuple[str, Type], ...] = (
    ("pair_count_30d", "BIGINT"),
    ("pair_last_amount", "DOUBLE"),
    ("pair_last_ratio", "DOUBLE"),
)
_JUDGED = ("1d", "7d", "14d", "21d", "28d")

TERMINAL = FeatureSet(
    name="terminal",
    entity="terminal",
    key="terminal_id",
    time="event_time",
    id="event_id",
    emit=PAYMENT,
    inputs=(*HABIT.inputs, *_OF_PAIRS),
    windows=(*_MINUTES, *WINDOWS, *_DAYS),
    features=(
        *family("terminal", ("count",), ("5m", "10m", "1h", "1d", "7d", "30d"), PAYMENT),
        *family("terminal", ("sum",), ("1d", "7d"), PAYMENT),
        *family("terminal", ("mean",), ("1d", "7d", "30d"), PAYMENT),
        *family("terminal", ("ratio", "zscore"), ("7d", "30d"), PAYMENT),
        *family("terminal", ("max",), ("30d",), PAYMENT),
        *(
            Feature(
                f"terminal_customers_{window}",
                "distinct",
                window,
                "customer_id",
                filter=PAYMENT,
                description="Distinct customers at the terminal within the last "
                f"{SPANS[window]} (exact below 64).",
            )
            for window in ("1d", "7d")
        ),
        *(
            Feature(
                f"terminal_new_{window}",
                "share",
                window,
                filter=PAYMENT,
                condition=(Comparison("pair_count_30d", "eq", 1),),
                description="Share of the terminal's payments within the last "
                f"{SPANS[window]} by customers who had made none there for 30 days.",
            )
            for window in ("7d", "30d")
        ),
        *counts("terminal_labels", "Verdicts that came in on the terminal", _JUDGED, VERDICT),
        *counts("terminal_frauds", "Verdicts of fraud that came in", _JUDGED, _FRAUD),
        *counts(
            "terminal_plain",
            "Verdicts of fraud that came in on unremarkable payments",
            _JUDGED,
            _PLAIN,
        ),
        *(
            Feature(
                f"terminal_since_{name}",
                "seconds_since",
                "30d",
                filter=only,
                description=f"Seconds since {what}, within 30 days.",
            )
            for name, what, only in (
                ("fraud", "the terminal's newest verdict of fraud", _FRAUD),
                ("genuine", "the terminal's newest verdict of no fraud", _GENUINE),
                ("plain", "its newest verdict of fraud on an unremarkable payment", _PLAIN),
                ("payment", "the payment before this one", PAYMENT),
            )
        ),
    ),
)

RANKING = (
    "amount",
    "customer_zscore_14d",
    "customer_zscore_30d",
    "customer_zscore_60d",
    "customer_ratio_14d",
    "customer_prior_ratio_14d",
    "customer_prior_ratio_60d",
    "customer_count_30d",
    "customer_max_14d",
    "customer_mean_14d",
    "customer_mean_30d",
    "customer_std_14d",
    "customer_std_30d",
    "customer_peak_14d",
    "customer_remarkable_14d",
    "terminal_plain_newest",
    "terminal_fraud_newest",
    "terminal_since_genuine",
    "terminal_since_plain",
    "terminal_plain_7d",
    "terminal_plain_14d",
    "terminal_plain_21d",
    "terminal_plain_28d",
    "terminal_frauds_7d",
    "terminal_frauds_21d",
    "terminal_labels_7d",
    "terminal_labels_21d",
    "terminal_plain_risk_14d",
    "terminal_plain_risk_21d",
    "terminal_plain_risk_28d",
    "terminal_frauds_risk_7d",
    "terminal_frauds_risk_21d",
)

CATALOGUE = FeatureTable(
    name="fraud_catalogue",
    record="FraudCatalogue",
    description="A payment with the whole catalogue of features.",
    key="customer_id",
    carried=live.FRAUD.carried,
    rows=ROWS,
    sets=(CUSTOMER, HABIT, PAIR, TERMINAL),
    derived=DERIVED,
    model=RANKING,
)

GRAPH = Graph(
    sources=(replace(live_graph.PAYMENT, rows=ROWS), live_graph.VERDICT),
    table=CATALOGUE,
    columns=PLACE,
)
