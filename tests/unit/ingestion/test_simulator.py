"""The simulator: the same seed, the handbook's shapes, the three ways of fraud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from statistics import mode

import numpy as np
import pytest

from ingestion.fraud import simulator as simulator_module
from ingestion.fraud.simulator import (
    DAY_MS,
    HANDBOOK_START_MS,
    WEEK_MS,
    Payment,
    Population,
    Simulator,
    Strikes,
    simulation,
)


def days(simulator: Simulator, count: int) -> list[list[Payment]]:
    return [simulator.day() for _ in range(count)]


@pytest.fixture(scope="module")
def sixty_days() -> list[list[Payment]]:
    return days(simulation(3, customers=300, terminals=600, radius=20, strikes=Strikes()), 60)


def test_the_same_seed_gives_the_same_stream_and_another_gives_other_ids() -> None:
    first, again, other = (
        list(islice(simulation(seed, customers=50, terminals=100), 500)) for seed in (7, 7, 8)
    )

    assert first == again
    assert not {p.transaction.transaction_id for p in first} & {
        p.transaction.transaction_id for p in other
    }


def test_days_are_days_and_times_ascend(sixty_days: list[list[Payment]]) -> None:
    times = [[payment.transaction.event_time for payment in day] for day in sixty_days]

    for number, day in enumerate(times):
        assert day == sorted(day)
        assert HANDBOOK_START_MS + number * DAY_MS <= day[0]
        assert day[-1] < HANDBOOK_START_MS + (number + 1) * DAY_MS


def test_ids_are_unique(sixty_days: list[list[Payment]]) -> None:
    ids = [payment.transaction.transaction_id for day in sixty_days for payment in day]

    assert len(ids) == len(set(ids))


def test_shapes_are_the_handbook_s(sixty_days: list[list[Payment]]) -> None:
    payments = [payment for day in sixty_days for payment in day]
    hours = np.array([payment.transaction.event_time % DAY_MS / 3_600_000 for payment in payments])
    genuine = np.array(
        [payment.transaction.amount for payment in payments if payment.scenario != 3]
    )

    # 300 customers, 2 payments a day on average, the few outside the day dropped.
    assert 300 * 2 * 60 * 0.8 < len(payments) < 300 * 2 * 60 * 1.2
    assert abs(hours.mean() - 12) < 0.2
    # A normal of 20,000 s, cut at midnight on both sides.
    assert abs(hours.std() - 5.04) < 0.1
    assert 45 < genuine.mean() < 60
    assert genuine.min() >= 0
    assert all(
        round(payment.transaction.amount, 2) == payment.transaction.amount for payment in payments
    )


def test_every_large_payment_is_fraud_and_no_other_of_scenario_1(
    sixty_days: list[list[Payment]],
) -> None:
    for day in sixty_days:
        for payment in day:
            assert payment.is_fraud or payment.transaction.amount <= 220
            assert payment.scenario != 1 or payment.transaction.amount > 220


def test_every_payment_at_a_compromised_terminal_is_fraud(sixty_days: list[list[Payment]]) -> None:
    struck = set[str]()
    for day in sixty_days:
        verdicts: dict[str, set[int]] = {}
        for payment in day:
            verdicts.setdefault(payment.transaction.terminal_id, set()).add(payment.scenario)
        compromised = {
            terminal: scenarios for terminal, scenarios in verdicts.items() if 2 in scenarios
        }
        assert all(scenarios <= {2, 3} for scenarios in compromised.values())
        struck |= compromised.keys()

    assert len(struck) > 50


@pytest.fixture(scope="module")
def busy_days() -> list[list[Payment]]:
    """45 days: every customer pays, every terminal is paid at, each day.

    All of a stolen card's payments are fraud.
    """
    people = Population(
        mean_amount=np.full(200, 20.0),
        payments_a_day=np.full(200, 20.0),
        reach=(np.arange(200),) * 200,
        terminals=200,
    )
    with pytest.MonkeyPatch.context() as patch:
        # One in three would miss a day now and then; this test is about who and how long.
        patch.setattr(simulator_module, "_STOLEN_SHARE", 1.0)
        return days(Simulator(people, np.random.default_rng(11)), 45)


def terminal_of(payment: Payment) -> str:
    return payment.transaction.terminal_id


def customer_of(payment: Payment) -> str:
    return payment.transaction.customer_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "struck", "a_day", "lasts"),
    [(2, terminal_of, 2, 28), (3, customer_of, 3, 14)],
    ids=["terminal", "card"],
)
def test_so_many_are_struck_each_day_and_stay_so_for_so_long(
    busy_days: list[list[Payment]],
    scenario: int,
    struck: Callable[[Payment], str],
    a_day: int,
    lasts: int,
) -> None:
    by_day = [
        {struck(payment) for payment in day if payment.scenario == scenario} for day in busy_days
    ]

    begun: dict[str, int] = {}
    streaks: list[int] = []
    before = set[str]()
    for number, now in enumerate(by_day):
        assert len(now - before) <= a_day
        streaks += [number - begun.pop(one) for one in before - now]
        begun.update(dict.fromkeys(now - before, number))
        before = now
    assert len(by_day[0]) == a_day
    # Who is struck again meanwhile stays so for longer; nobody for less.
    assert min(streaks) == lasts
    assert mode(streaks) == lasts


def test_a_stolen_card_s_fraud_is_five_times_as_high(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = days(simulation(5, customers=30, terminals=600, radius=60, strikes=Strikes()), 20)
    monkeypatch.setattr(simulator_module, "_STOLEN_FACTOR", 1.0)
    plain = days(simulation(5, customers=30, terminals=600, radius=60, strikes=Strikes()), 20)

    pairs = [pair for both in zip(raised, plain, strict=True) for pair in zip(*both, strict=True)]
    for high, low in pairs:
        assert high.scenario == low.scenario
        factor = 5 if high.scenario == 3 else 1
        assert high.transaction.amount == pytest.approx(factor * low.transaction.amount, abs=0.005)
    assert sum(high.scenario == 3 for high, _ in pairs) > 100


def test_a_third_of_a_stolen_card_s_payments_is_fraud() -> None:
    shares = Counter[bool]()
    for day in days(simulation(5, customers=3, terminals=600, radius=60, strikes=Strikes()), 200):
        # Three customers and three cards a day: every card is stolen all the time.
        for payment in day:
            shares[payment.scenario == 3] += 1

    assert 0.25 < shares[True] / shares.total() < 0.42


@pytest.mark.parametrize(
    ("customers", "terminals", "radius"),
    [(500, 1000, 16), pytest.param(5000, 10_000, 5, marks=pytest.mark.slow)],
)
def test_one_payment_in_a_hundred_is_fraud_in_a_population_of_any_size(
    customers: int, terminals: int, radius: float
) -> None:
    simulator = simulation(7, customers=customers, terminals=terminals, radius=radius)
    for _ in range(28):
        simulator.day()
    frauds = [payment.is_fraud for _ in range(30) for payment in simulator.day()]

    assert 0.005 < sum(frauds) / len(frauds) < 0.02


def test_the_handbook_s_population_is_struck_as_in_the_handbook() -> None:
    assert Strikes.of(customers=5000, terminals=10_000) == Strikes()


def test_a_verdict_comes_later_and_tells_the_truth(sixty_days: list[list[Payment]]) -> None:
    fraud = next(payment for day in sixty_days for payment in day if payment.is_fraud)

    verdict = fraud.label(WEEK_MS)

    assert verdict.is_fraud
    assert verdict.event_time == fraud.transaction.event_time + 604_800_000
    assert verdict.transaction_id == fraud.transaction.transaction_id
    assert verdict.terminal_id == fraud.transaction.terminal_id


def test_customers_without_a_terminal_in_reach_pay_nothing() -> None:
    rng = np.random.default_rng(1)
    population = Population.draw(rng, customers=200, terminals=5, radius=5)
    lonely = {str(place) for place, reach in enumerate(population.reach) if not len(reach)}

    payers = {
        payment.transaction.customer_id
        for day in days(Simulator(population, rng), 20)
        for payment in day
    }

    assert lonely
    assert payers
    assert not payers & lonely


@pytest.mark.parametrize(
    ("customers", "terminals", "radius"), [(0, 1, 5.0), (1, 0, 5.0), (1, 1, 0.0)]
)
def test_nobody_is_refused(customers: int, terminals: int, radius: float) -> None:
    with pytest.raises(ValueError, match="nothing to simulate"):
        Population.draw(np.random.default_rng(1), customers, terminals, radius)
