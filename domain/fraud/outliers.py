"""Find payments whose amount lies far from the mean of their minute, by a z-score.

Windows slide. This is what the job `transaction_zscore` computes in SQL, said in plain Python to be
read and compared with. All payments of a window are one population: a single customer makes too
few, and of fewer than eleven values none can lie more than three standard deviations off.

Amounts are added up as whole ten-thousandths, so the sums are exact whatever the order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from domain.events import Transaction

SIZE_MS, SLIDE_MS = 60_000, 30_000
LATE_MS = 300_000
"""A payment older than the newest by this and a window's rest no longer enters the window."""
SIGMAS = 3.0
PLACES = 4
MOST = 1e9
"""A larger amount counts as this, and one below its negative as that."""


class Outlier(NamedTuple):
    """A payment, the window that found it first, and how it stood there."""

    payment: Transaction
    window_start: int
    payments: int
    mean: float
    deviation: float
    z: float


def windows(time: int) -> range:
    """Return the starts of the windows that hold a time (ms), the earliest first."""
    last = time // SLIDE_MS * SLIDE_MS
    return range(last - SIZE_MS + SLIDE_MS, last + 1, SLIDE_MS)


def outliers(payments: Iterable[Transaction]) -> list[Outlier]:
    """Return the outliers among payments in their order of arrival, ordered by window and time.

    A payment counts once in a window, by its id. It is told of once, by the first window in which
    it is one.
    """
    held: dict[int, dict[str, Transaction]] = {}
    newest = -math.inf
    for one in payments:
        newest = max(newest, one.event_time)
        for start in windows(one.event_time):
            if start + SIZE_MS - 1 <= newest - LATE_MS:
                continue
            known = held.setdefault(start, {}).setdefault(one.transaction_id, one)
            if one.event_time < known.event_time:
                held[start][one.transaction_id] = one
    found: dict[tuple[str, int], Outlier] = {}
    for start in sorted(held):
        for outlier in _of_window(start, sorted(held[start].values(), key=_order)):
            found.setdefault((outlier.payment.transaction_id, outlier.payment.event_time), outlier)
    return list(found.values())


def exact(amount: float) -> Decimal:
    """Return the amount as it is added up."""
    bounded = min(max(amount, -MOST), MOST)
    return Decimal(repr(bounded)).quantize(Decimal(1).scaleb(-PLACES), ROUND_HALF_UP)


def _order(payment: Transaction) -> tuple[int, str]:
    return payment.event_time, payment.transaction_id


def _of_window(start: int, held: list[Transaction]) -> Iterable[Outlier]:
    amounts = [exact(one.amount) for one in held]
    count = len(amounts)
    mean = float(sum(amounts)) / count
    squares = float(sum(amount * amount for amount in amounts)) / count
    deviation = math.sqrt(max(0.0, squares - mean * mean))
    for one, amount in zip(held, amounts, strict=True):
        z = (float(amount) - mean) / deviation if deviation else 0.0
        if abs(z) > SIGMAS:
            yield Outlier(one, start, count, mean, deviation, z)
