"""Declare the derived features of the catalogue: paces, shrunk shares, and habits without itself.

SQL and Python say the same of each; tests/unit/domain/test_catalogue.py holds them equal. A number
in SQL has an exponent, by which it is a DOUBLE: Flink would divide decimals otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.features.declaration import DerivedFeature
from domain.fraud.families import SPANS

Row = Mapping[str, Any]


def over(name: str, top: str, bottom: str, times: float, description: str) -> DerivedFeature:
    """Return a feature `times` `top` / `bottom`, NULL where one is unknown or `bottom` is 0."""

    def python(row: Row) -> float | None:
        above, below = row[top], row[bottom]
        return times * above / below if above is not None and below else None

    sql = f"{times!r}E0 * `{top}` / NULLIF(CAST(`{bottom}` AS DOUBLE), 0)"
    return DerivedFeature(name, "DOUBLE", sql, python, description)


def prior(window: str) -> DerivedFeature:
    """Return this amount over the mean of the customer's payments before it."""
    total, count = f"customer_sum_{window}", f"customer_count_{window}"

    def python(row: Row) -> float | None:
        amount, summed, counted = row["amount"], row[total], row[count]
        if counted is None or counted < 2 or summed is None:
            return None
        return float(amount / max((summed - amount) / (counted - 1), 1.0))

    return DerivedFeature(
        f"customer_prior_ratio_{window}",
        "DOUBLE",
        f"CASE WHEN `{count}` >= 2 AND `{total}` IS NOT NULL THEN amount / "
        f"GREATEST((`{total}` - amount) / (`{count}` - 1), CAST(1 AS DOUBLE)) END",
        python,
        f"This amount over the mean of the customer's others of {SPANS[window]} (1 at least).",
    )


def risk(kind: str, window: str, prior_share: float) -> DerivedFeature:
    """Return a share of verdicts shrunk towards a prior share by one verdict."""
    frauds, labels = f"terminal_{kind}_{window}", f"terminal_labels_{window}"

    def python(row: Row) -> float | None:
        top, bottom = row[frauds], row[labels]
        return None if top is None or bottom is None else (top + prior_share) / (bottom + 1.0)

    return DerivedFeature(
        f"terminal_{kind}_risk_{window}",
        "DOUBLE",
        f"(`{frauds}` + {prior_share!r}E0) / (`{labels}` + 1E0)",
        python,
        f"Share of {'unremarkable ' if kind == 'plain' else ''}fraud among the verdicts of the "
        f"last {SPANS[window]}, with {prior_share:g} among one verdict more.",
    )


_MONTH_S, _NEVER_S = 30 * 86_400.0, 31 * 86_400.0


def newest(kind: str) -> DerivedFeature:
    """Return by how many seconds the newest verdict of fraud is younger than that of no fraud."""
    column = f"terminal_since_{kind}"

    def python(row: Row) -> float:
        genuine, fraud = row["terminal_since_genuine"], row[column]
        return (_MONTH_S if genuine is None else genuine) - (_NEVER_S if fraud is None else fraud)

    return DerivedFeature(
        f"terminal_{kind}_newest",
        "DOUBLE",
        f"COALESCE(terminal_since_genuine, {_MONTH_S!r}E0) - COALESCE(`{column}`, {_NEVER_S!r}E0)",
        python,
        "Seconds by which the newest verdict of "
        f"{'unremarkable ' if kind == 'plain' else ''}fraud is younger than that of no fraud; one "
        "that never came is a month old.",
    )


DERIVED = (
    *(prior(window) for window in ("14d", "30d", "60d")),
    *(risk("frauds", window, 0.01) for window in ("7d", "21d")),
    *(risk("plain", window, 0.005) for window in ("14d", "21d", "28d")),
    *(newest(kind) for kind in ("fraud", "plain")),
    over(
        "customer_velocity",
        "customer_count_10m",
        "customer_count_1d",
        144.0,
        "The customer's pace of payments within 10 minutes over that of the day.",
    ),
    over(
        "customer_acceleration",
        "customer_count_1d",
        "customer_count_7d",
        7.0,
        "The customer's payments of the day over the daily ones of 7 days.",
    ),
    over(
        "customer_spend_acceleration",
        "customer_sum_1d",
        "customer_sum_7d",
        7.0,
        "The customer's spending of the day over the daily one of 7 days.",
    ),
    over(
        "terminal_velocity",
        "terminal_count_1h",
        "terminal_count_1d",
        24.0,
        "The terminal's pace of payments within the hour over that of the day.",
    ),
    over(
        "terminal_acceleration",
        "terminal_count_1d",
        "terminal_count_7d",
        7.0,
        "The terminal's payments of the day over the daily ones of 7 days.",
    ),
    over(
        "pair_share_30d",
        "pair_count_30d",
        "customer_count_30d",
        1.0,
        "Share of the customer's payments of 30 days that were made at this terminal.",
    ),
)
