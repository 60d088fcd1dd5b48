"""Paired differences, beside scikit-learn on rows drawn literally, and SciPy's own bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score

from orchestration.training.frame import Floats, Frame
from orchestration.training.metrics import card_precision as of_cards
from orchestration.training.paired import (
    DRAWS,
    SEED,
    Difference,
    average_precision,
    card_precision,
)

DAY_MS = 86_400_000


def made(seed: int = 1, rows: int = 600, customers: int = 40, days: int = 12) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(
        ("a",),
        np.zeros((rows, 1)),
        rng.random(rows) < 0.1,
        np.sort(rng.integers(0, days * DAY_MS, rows)),
        np.array([f"c{number}" for number in rng.integers(0, customers, rows)]),
    )


def scores(frame: Frame, seed: int, noise: float) -> Floats:
    """Scores with many ties, the better the less noise."""
    rng = np.random.default_rng(seed)
    raw = frame.y + rng.normal(size=len(frame)) * noise
    found: Floats = np.round(1 / (1 + np.exp(-raw)), 2)
    return found


def test_every_draw_is_what_scikit_learn_says_of_the_rows_drawn() -> None:
    frame = made()
    ours, theirs = scores(frame, 2, 1.0), scores(frame, 3, 0.8)
    found = average_precision(frame, ours, theirs, draws=60)
    names = np.unique(frame.customer)
    rng = np.random.default_rng(SEED)
    literal = []
    for _ in range(60):
        places = np.concatenate(
            [
                np.flatnonzero(frame.customer == names[one])
                for one in rng.integers(0, len(names), len(names))
            ]
        )
        y = frame.y[places]
        literal.append(
            average_precision_score(y, ours[places]) - average_precision_score(y, theirs[places])
        )
    assert found.point == pytest.approx(
        average_precision_score(frame.y, ours) - average_precision_score(frame.y, theirs)
    )
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(literal, [0.025, 0.975])))
    assert (found.of, found.units, found.draws) == ("customers", len(names), 60)


def test_days_are_drawn_as_scipys_bootstrap_draws_them() -> None:
    """Of the same differences by day SciPy's interval is the same, but for chance."""
    frame = made(rows=6000, customers=400, days=30)
    ours, theirs = scores(frame, 2, 1.2), scores(frame, 3, 0.6)
    found = card_precision(frame, ours, theirs, draws=5000)
    assert found.point == pytest.approx(of_cards(frame, ours) - of_cards(frame, theirs))
    days = frame.event_time // DAY_MS
    first = int(days.min())

    def daily(given: Floats) -> Floats:
        # The mean up to a day, times the days, less the same a day before.
        sums = [0.0]
        for day in range(first, int(days.max()) + 1):
            part = frame.part(np.flatnonzero(days <= day))
            sums.append(of_cards(part, given[: len(part)]) * (day - first + 1))
        return np.diff(sums)

    apart = daily(ours) - daily(theirs)
    literal = bootstrap(
        (apart,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(9)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(literal), abs=0.0006)
    assert (found.of, found.units) == ("days", 30)


def test_it_is_the_same_each_time() -> None:
    frame = made()
    both = scores(frame, 2, 1.0), scores(frame, 3, 1.0)
    for measure in (average_precision, card_precision):
        assert measure(frame, *both) == measure(frame, *both)
        assert measure(frame, *both).draws == DRAWS


def test_a_model_does_not_differ_from_itself() -> None:
    frame = made()
    same = scores(frame, 2, 1.0)
    for measure in (average_precision, card_precision):
        found = measure(frame, same, same)
        assert (found.point, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_clear_difference_is_sure_and_a_chance_one_is_not() -> None:
    frame = made(rows=4000, customers=300)
    good, bad = scores(frame, 2, 0.4), scores(frame, 3, 1.5)
    assert average_precision(frame, bad, good).high < 0 < average_precision(frame, good, bad).low
    alike = average_precision(frame, scores(frame, 4, 1.0), scores(frame, 5, 1.0))
    assert alike.low < 0 < alike.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Two models equally good by making: of 60 intervals some three miss zero."""
    missed = 0
    for seed in range(60):
        frame = made(seed, rows=800, customers=100)
        one = average_precision(
            frame, scores(frame, 2 * seed + 500, 1.0), scores(frame, 2 * seed + 501, 1.0), draws=100
        )
        missed += not one.low <= 0 <= one.high
    assert missed <= 8


def test_without_frauds_or_rows_nothing_is_known() -> None:
    frame = made()
    genuine = Frame(
        frame.features, frame.x, np.zeros(len(frame), bool), frame.event_time, frame.customer
    )
    nothing = genuine.part(slice(0, 0))
    empty = np.zeros(0)
    for found in (
        average_precision(genuine, scores(frame, 2, 1.0), scores(frame, 3, 1.0)),
        average_precision(nothing, empty, empty),
        card_precision(nothing, empty, empty),
    ):
        assert np.isnan([found.point, found.low, found.high]).all()
        assert found.draws == 0


def test_in_words() -> None:
    one = Difference(-0.0312, -0.05, 0.0012, "days", 19, 400)
    assert one.words == "-0.0312, -0.0500 to +0.0012 in 95% of 400 draws of 19 days"
