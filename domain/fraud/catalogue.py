"""Declare the catalogue of card fraud features: families of windows and aggregates.

After the Fraud Detection Handbook (Le Borgne et al.): how often and how much a customer pays,
compared with this payment (stolen cards), and how often a terminal's payments turned out to be
fraud, by verdicts that arrive days late (compromised terminals). Verdicts are update-only rows: a
window over them holds those that became known within it, so `terminal_risk_7d` is about payments
made one delay earlier.

Customer, then the customer's habit, then the pair of customer and terminal, then the terminal: each
set may read what those before it computed. So a verdict, when it reaches its terminal, knows how
unusual the payment was that it judges: fraud on an unremarkable payment speaks of the terminal, on
a remarkable one of the card (docs/decisions/0031).
"""

from __future__ import annotations

from domain.features.declaration import (
    DAY,
    HOUR,
    MINUTE,
    Comparison,
    Feature,
    FeatureSet,
    Type,
    Window,
)
from domain.fraud.families import SPANS, counts, family
from domain.fraud.rows import INPUTS, PAYMENT, VERDICT

_MINUTES = (Window("5m", MINUTE, 5), Window("10m", MINUTE, 10))
_HOURS = (Window("1h", 5 * MINUTE, 12), Window("1d", HOUR, 24), Window("7d", 6 * HOUR, 28))
_FORTNIGHT, _MONTH = Window("14d", DAY, 14), Window("30d", DAY, 30)

REMARKABLE = 2.5
"""A payment of so many times the customer's mean is remarkable."""
LARGE = 220.0
"""A payment above it is remarkable whoever makes it."""

_IS_FRAUD = (Comparison("is_fraud", "eq", True),)
_FRAUD = (*VERDICT, *_IS_FRAUD)
_GENUINE = (*VERDICT, Comparison("is_fraud", "eq", False))
_PLAIN = (
    *_FRAUD,
    Comparison("pair_last_ratio", "lt", REMARKABLE),
    Comparison("pair_last_amount", "le", LARGE),
)

CUSTOMER = FeatureSet(
    name="customer",
    entity="customer",
    key="customer_id",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=(*_MINUTES, *_HOURS, _FORTNIGHT, _MONTH, Window("60d", DAY, 60)),
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
        Feature(
            "customer_last_amount",
            "last",
            "30d",
            "amount",
            description="Amount of the customer's payment before this one.",
        ),
        Feature(
            "customer_seconds_since",
            "seconds_since",
            "30d",
            description="Seconds since the customer's payment before this one, within 30 days.",
        ),
        Feature(
            "customer_night_share_30d",
            "share",
            "30d",
            condition=(Comparison("is_night", "eq", 1),),
            description="Share of the customer's payments within 30 days made at night.",
        ),
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
    windows=(Window("7d", DAY, 7), _FORTNIGHT, _MONTH),
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
    windows=(Window("7d", DAY, 7), _FORTNIGHT, _MONTH),
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
_JUDGED = ("1d", "7d", "14d", "21d", "28d", "30d")

TERMINAL = FeatureSet(
    name="terminal",
    entity="terminal",
    key="terminal_id",
    time="event_time",
    id="event_id",
    emit=PAYMENT,
    inputs=(*HABIT.inputs, *_OF_PAIRS),
    windows=(
        *_MINUTES,
        *_HOURS,
        _FORTNIGHT,
        Window("21d", DAY, 21),
        Window("28d", DAY, 28),
        _MONTH,
    ),
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
        *(
            Feature(
                f"terminal_risk_{window}",
                "share",
                window,
                filter=VERDICT,
                condition=_IS_FRAUD,
                description="Share of fraud among the verdicts that became known within the last "
                f"{SPANS[window]}.",
            )
            for window in ("1d", "7d", "30d")
        ),
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

SETS = (CUSTOMER, HABIT, PAIR, TERMINAL)
"""The order in which rows go through them."""
