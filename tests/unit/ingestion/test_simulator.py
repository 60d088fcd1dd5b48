"""The simulator: the same seed, the handbook's shapes, the three ways of fraud."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from ingestion.simulator import DAY_MS, HANDBOOK_START_MS, WEEK_MS, Payment, Population, Simulator, simulation


def days(simulator: Simulator, count: int) -> list[list[Payment]]:
    return [simulator.day() for _ in range(count)]


@pytest.fixture(scope="module")
def sixty_days() -> list[list[Payment]]:
    return days(simulation(3, customers=300, terminals=600, radius=20), 60)


def test_the_same_seed_gives_the_same_stream_and_another_gives_other_ids() -> None:
    first, again, other = (list(islice(simulation(seed, customers=50, terminals=100), 500)) for seed in (7, 7, 8))

    assert first == again
    assert not {p.transaction.transaction_id for p in first} & {p.transaction.transaction_id for p in other}


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
    genuine = np.array([payment.transaction.amount for payment in payments if payment.scenario != 3])

    # 300 customers, 2 payments a day on average, the few outside the day dropped.
    assert 300 * 2 * 60 * 0.8 < len(payments) < 300 * 2 * 60 * 1.2
    assert abs(hours.mean() - 12) < 0.2
    # A normal of 20,000 s, cut at midnight on both sides.
    assert abs(hours.std() - 5.04) < 0.1
    assert 45 < genuine.mean() < 60
    assert genuine.min() >= 0
    assert all(round(payment.transaction.amount, 2) == payment.transaction.amount for payment in payments)


def test_every_large_payment_is_fraud_and_no_other_of_scenario_1(sixty_days: list[list[Payment]]) -> None:
    for day in sixty_days:
        for payment in day:
            assert payment.is_fraud or payment.transaction.amount <= 220
            assert payment.scenario != 1 or payment.transaction.amount > 220


def test_a_compromised_terminal_stays_so_for_28_days(sixty_days: list[list[Payment]]) -> None:
    struck: dict[str, list[int]] = {}
    for number, day in enumerate(sixty_days):
        verdicts: dict[str, list[int]] = {}
        for payment in day:
            verdicts.setdefault(payment.transaction.terminal_id, []).append(payment.scenario)
        for terminal, scenarios in verdicts.items():
            if 2 in scenarios:
                assert set(scenarios) <= {2, 3}, "every payment at a compromised terminal is fraud"
                struck.setdefault(terminal, []).append(number)

    assert len(struck) > 50
    once = [numbers for numbers in struck.values() if numbers[-1] - numbers[0] < 28]
    assert len(once) > 0.8 * len(struck)


def test_a_third_of_a_stolen_card_s_payments_is_five_times_as_high() -> None:
    shares = Counter[bool]()
    for day in days(simulation(5, customers=3, terminals=600, radius=60), 200):
        # Three customers and three cards a day: every card is stolen all the time.
        for payment in day:
            shares[payment.scenario == 3] += 1

    assert 0.25 < shares[True] / shares.total() < 0.42


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

    payers = {payment.transaction.customer_id for day in days(Simulator(population, rng), 20) for payment in day}

    assert lonely
    assert payers
    assert not payers & lonely


@pytest.mark.parametrize(("customers", "terminals", "radius"), [(0, 1, 5.0), (1, 0, 5.0), (1, 1, 0.0)])
def test_nobody_is_refused(customers: int, terminals: int, radius: float) -> None:
    with pytest.raises(ValueError, match="nobody to simulate"):
        Population.draw(np.random.default_rng(1), customers, terminals, radius)
