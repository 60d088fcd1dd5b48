"""Simulate card payments as the Fraud Detection Handbook does, day by day, in constant memory.

Le Borgne et al., *Reproducible Machine Learning for Credit Card Fraud Detection*, chapter 3,
"Transaction data simulator": customers and terminals lie in a square of 100 by 100; a customer pays
at the terminals within `radius`, around noon, amounts around a mean of their own. There are three
kinds of fraud:

1. any payment above 220;
2. each day two terminals are compromised: for 28 days every payment there is fraud (learned from
   delayed labels);
3. each day three customers' cards are stolen: for 14 days one in three of their payments is fraud,
   five times as high.

The second and third are for 10,000 terminals and 5,000 customers. A smaller population is struck
less often (`Strikes.of`), or most of its payments would be fraud.

The handbook draws the fraudulent third of a customer's whole fortnight; here each payment is drawn
by itself with the same chance, which needs no look ahead. Nothing here knows a clock or global
randomness: the same generator state gives the same stream.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.events import FraudLabel, Transaction

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
# 1 April 2018, when the handbook's published data begins.
HANDBOOK_START_MS = 1_522_540_800_000

_TERMINALS, _RADIUS = 10_000, 5.0
_FRAUD_AMOUNT = 220.0
_TERMINAL_DAYS, _CUSTOMER_DAYS = 28, 14
_STOLEN_SHARE, _STOLEN_FACTOR = 1 / 3, 5.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Payment:
    """A transaction with the truth about it.

    `scenario` is 0 for a genuine one, 1 to 3 for fraud.
    """

    transaction: Transaction
    scenario: int

    @property
    def is_fraud(self) -> bool:
        """Return whether any scenario made it fraud."""
        return self.scenario > 0

    def label(self, delay_ms: int) -> FraudLabel:
        """Return the verdict, known `delay_ms` after the payment."""
        payment = self.transaction
        return FraudLabel(
            transaction_id=payment.transaction_id,
            event_time=payment.event_time + delay_ms,
            customer_id=payment.customer_id,
            terminal_id=payment.terminal_id,
            is_fraud=self.is_fraud,
        )


@dataclass(frozen=True, slots=True)
class Strikes:
    """Average numbers of customers and terminals struck a day; the defaults are the handbook's."""

    terminals: float = 2
    customers: float = 3

    @classmethod
    def of(cls, customers: int, terminals: int, factor: float = 1.0) -> Strikes:
        """Return `factor` times the handbook's share of its population, for one of this size."""
        return cls(factor * 2 * terminals / 10_000, factor * 3 * customers / 5_000)


@dataclass(frozen=True, slots=True)
class Population:
    """Customers' profiles and the terminals each can reach: `reach[c]` holds terminal indices."""

    mean_amount: Floats
    payments_a_day: Floats
    reach: tuple[Ints, ...]
    terminals: int

    @classmethod
    def draw(
        cls, rng: np.random.Generator, customers: int, terminals: int, radius: float = 5.0
    ) -> Population:
        """Draw the handbook's distributions: mean amounts of 5 to 100, 0 to 4 payments a day."""
        if customers < 1 or terminals < 1 or radius <= 0:
            raise ValueError(
                f"nothing to simulate: {customers} customers, {terminals} terminals, "
                f"radius {radius:g}"
            )
        homes = rng.uniform(0, 100, (customers, 2))
        places = rng.uniform(0, 100, (terminals, 2))
        mean_amount = rng.uniform(5, 100, customers)
        payments_a_day = rng.uniform(0, 4, customers)
        reach = tuple(
            np.flatnonzero(((places - home) ** 2).sum(axis=1) < radius**2) for home in homes
        )
        return cls(mean_amount, payments_a_day, reach, terminals)


class Simulator:
    """An endless stream of payments in order of time.

    Memory: the population, one day, 28 days of compromised ids.
    """

    def __init__(
        self,
        population: Population,
        rng: np.random.Generator,
        *,
        start_ms: int = HANDBOOK_START_MS,
        prefix: str = "",
        strikes: Strikes | None = None,
    ) -> None:
        self._people, self._rng = population, rng
        self._strikes = strikes or Strikes()
        self._start, self._prefix = start_ms, prefix
        self._reachable = np.array([len(reach) for reach in population.reach])
        self._day = self._count = 0
        self._compromised: deque[list[int]] = deque(maxlen=_TERMINAL_DAYS)
        self._stolen: deque[list[int]] = deque(maxlen=_CUSTOMER_DAYS)

    def __iter__(self) -> Iterator[Payment]:
        while True:
            yield from self.day()

    def day(self) -> list[Payment]:
        """Return the next day's payments, in order of time."""
        people, rng = self._people, self._rng
        wanted = rng.poisson(people.payments_a_day) * (self._reachable > 0)
        who = np.repeat(np.arange(len(wanted)), wanted)
        at = rng.normal(DAY_MS / 2, 20_000_000, len(who))
        inside = (at >= 0) & (at < DAY_MS)
        who, at = who[inside], at[inside]
        amounts = self._amounts(who)
        where = self._places(who)
        order = np.argsort(at, kind="stable")
        who, times, amounts, where = (
            who[order],
            at[order].astype(np.int64),
            amounts[order],
            where[order],
        )
        amounts, scenarios = self._frauds(who, where, amounts)
        times += self._start + self._day * DAY_MS
        self._day += 1
        columns = zip(
            who.tolist(),
            where.tolist(),
            times.tolist(),
            amounts.tolist(),
            scenarios.tolist(),
            strict=True,
        )
        return [self._payment(*row) for row in columns]

    def _payment(
        self, customer: int, terminal: int, time: int, amount: float, scenario: int
    ) -> Payment:
        transaction = Transaction(
            transaction_id=f"{self._prefix}{self._count}",
            event_time=time,
            customer_id=str(customer),
            terminal_id=str(terminal),
            amount=amount,
        )
        self._count += 1
        return Payment(transaction, scenario)

    def _amounts(self, who: Ints) -> Floats:
        mean = self._people.mean_amount[who]
        amounts = self._rng.normal(mean, mean / 2)
        again = self._rng.uniform(0, 2 * mean)
        return np.asarray(np.round(np.where(amounts < 0, again, amounts), 2), np.float64)

    def _places(self, who: Ints) -> Ints:
        picks = (self._rng.random(len(who)) * self._reachable[who]).astype(np.int64)
        reach = self._people.reach
        return np.fromiter(
            (reach[c][p] for c, p in zip(who.tolist(), picks.tolist(), strict=True)),
            np.int64,
            len(who),
        )

    def _frauds(self, who: Ints, where: Ints, amounts: Floats) -> tuple[Floats, Ints]:
        people, rng = self._people, self._rng
        size = len(people.reach)
        self._compromised.append(self._struck(self._strikes.terminals, people.terminals))
        self._stolen.append(self._struck(self._strikes.customers, size))
        large = amounts > _FRAUD_AMOUNT
        terminal = np.isin(where, [one for day in self._compromised for one in day])
        card = np.isin(who, [one for day in self._stolen for one in day]) & (
            rng.random(len(who)) < _STOLEN_SHARE
        )
        raised = np.where(card, np.round(amounts * _STOLEN_FACTOR, 2), amounts)
        return raised, np.select([card, terminal, large], [3, 2, 1], 0)

    def _struck(self, rate: float, of: int) -> list[int]:
        """Draw `rate` of `of` on average; a whole rate is met each day."""
        count = int(rate)
        if rate > count:
            count += int(self._rng.random() < rate - count)
        struck: list[int] = self._rng.choice(of, min(count, of), False).tolist()
        return struck


def reach(terminals: int) -> float:
    """Return the radius in which a customer has as many of `terminals` as in the handbook's."""
    return _RADIUS * math.sqrt(_TERMINALS / terminals)


def simulation(
    seed: int,
    *,
    customers: int = 5000,
    terminals: int = 10_000,
    radius: float = 5.0,
    start_ms: int = HANDBOOK_START_MS,
    strikes: Strikes | None = None,
) -> Simulator:
    """Return a simulator with the handbook's sizes.

    Ids carry the seed: the same seed gives the same payments, another seed others. `strikes`
    default to the size of the population, so that about one payment in a hundred is fraud.
    """
    rng = np.random.default_rng(seed)
    population = Population.draw(rng, customers, terminals, radius)
    strikes = strikes or Strikes.of(customers, terminals)
    return Simulator(population, rng, start_ms=start_ms, prefix=f"sim-{seed}-", strikes=strikes)
