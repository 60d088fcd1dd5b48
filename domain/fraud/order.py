"""Define the one order of payments and verdicts: that of the log.

A replay sends in this order, training computes in it, and live it is the order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from domain.events import FraudLabel, Transaction

Verdict = TypeVar("Verdict")

VERDICT, PAYMENT = range(2)
"""Ranks at equal times: the lower comes first."""


class Waiting(Generic[Verdict]):
    """Verdicts that are not known yet, first in, first out.

    `known` gives the time (ms) at which one becomes known.
    """

    def __init__(self, known: Callable[[Verdict], int], verdicts: Iterable[Verdict] = ()) -> None:
        self._known = known
        self._verdicts = deque(verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        """Remove and yield all verdicts."""
        while self._verdicts:
            yield self._verdicts.popleft()

    def add(self, verdict: Verdict) -> None:
        """Append a verdict to the queue."""
        self._verdicts.append(verdict)

    def due(self, now: int) -> Iterator[Verdict]:
        """Remove and yield the verdicts known at `now`, up to the first that is not.

        `now` is in ms, inclusive.
        """
        while self._verdicts and self._known(self._verdicts[0]) <= now:
            yield self._verdicts.popleft()


def log_order(
    payments: Iterable[Transaction], labels: Iterable[FraudLabel]
) -> Iterator[Transaction | FraudLabel]:
    """Merge payments and verdicts as a replay sends them.

    Each verdict comes at its own time, before the payments of that moment; each input keeps its
    order. Verdicts known after the last payment, which a replay leaves out, come at the end.

    >>> pay = lambda at: Transaction(
    ...     transaction_id=f"t{at}", event_time=at, customer_id="c", terminal_id="m", amount=1.0)
    >>> told = FraudLabel(
    ...     transaction_id="t1", event_time=5, customer_id="c", terminal_id="m", is_fraud=True)
    >>> [type(one).__name__ for one in log_order([pay(1), pay(5)], [told])]
    ['Transaction', 'FraudLabel', 'Transaction']
    """
    waiting = Waiting(_known, labels)
    for payment in payments:
        yield from waiting.due(payment.event_time)
        yield payment
    yield from waiting


def _known(label: FraudLabel) -> int:
    return label.event_time
