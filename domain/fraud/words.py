"""Say in plain sentences why a payment looks like fraud."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.features.declaration import SECOND
from domain.features.table import FeatureTable
from domain.features.words import Say, Words, duration, percent
from domain.fraud.families import SPANS

_FIXED: Mapping[str, Say] = {
    "amount": lambda value: f"Amount is {value:,.2f}",
    "is_night": lambda value: (
        "Paid at night (00:00 to 06:59 UTC)" if value else "Paid by day (07:00 to 23:59 UTC)"
    ),
    "is_weekend": lambda value: "Paid at a weekend" if value else "Paid on a weekday",
    "customer_hour_zscore_30d": lambda value: (
        f"The time of day lies {abs(value):.1f} standard deviations "
        f"{'after' if value >= 0 else 'before'} this customer's usual one of 30 days"
    ),
    "hour": lambda value: f"Paid at {int(value):02d}:{int(value % 1 * 60):02d} UTC",
}
_PRIOR = re.compile(r"customer_prior_ratio_(\w+)")
_RISK = re.compile(r"\w+_risk_\w+|pair_share_\w+")
_NEWEST = re.compile(r"terminal_(fraud|plain)_newest")


def words(table: FeatureTable) -> Words:
    """Return the sentences about the features of a table of card fraud."""
    titles = {name: text.rstrip(".") for name, text in table.descriptions().items()}
    derived = (one.name for one in table.derived)
    own = {name: say for name in derived if (say := _derived(name, titles[name])) is not None}
    return Words(table, {**_FIXED, **own})


def explanations(told: Words, names: Iterable[str], record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence about each of the features `names` of a payment."""
    return tuple(told.sentence(name, record.get(name)) for name in names)


def _derived(name: str, title: str) -> Say | None:
    if found := _PRIOR.fullmatch(name):
        span = SPANS[found[1]]
        return lambda value: (
            f"Amount is {value:.1f} times the mean of this customer's other payments of {span}"
        )
    if _RISK.fullmatch(name):
        return lambda value: f"{title}: {percent(value)}"
    if found := _NEWEST.fullmatch(name):
        plain = " on an unremarkable payment" if found[1] == "plain" else ""
        return lambda value: (
            f"This terminal's newest verdict of fraud{plain} is "
            f"{duration(abs(value) * SECOND)} {'younger' if value >= 0 else 'older'} "
            "than its newest of no fraud"
        )
    return None
