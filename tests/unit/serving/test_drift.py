"""Drift: the index against hand-made cases and a literal computation, and the window."""

from __future__ import annotations

import bisect
import json
import math
import threading

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from orchestration.shelf.distribution import FLOOR, Reference
from serving.consumers.drift import Drift

NAN = math.nan


def _literal(then: list[float], now: list[float]) -> float:
    """The index of one column as the book has it: deciles of training, a bin for unknowns."""
    known = sorted(value for value in then if not math.isnan(value))
    edges = sorted({known[math.ceil(len(known) * k / 10) - 1] for k in range(1, 10)})

    def shares(values: list[float]) -> list[float]:
        counts = [0] * (len(edges) + 2)
        for value in values:
            counts[-1 if math.isnan(value) else bisect.bisect_left(edges, value)] += 1
        return [max(count / len(values), FLOOR) for count in counts]

    pairs = zip(shares(then), shares(now), strict=True)
    return sum((a - e) * math.log(a / e) for e, a in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_the_index_is_that_of_a_literal_computation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    then = np.column_stack(
        (
            rng.normal(size=500),
            rng.integers(0, 3, 500),
            np.where(rng.random(500) < 0.3, NAN, rng.exponential(size=500)),
        )
    )
    now = then[rng.integers(0, 500, 300)] * [1.3, 1, 2] + [0.2, 1, 0]
    reference = Reference.measure(("a", "b", "c"), then)
    again = Reference.of(json.loads(json.dumps(reference.document())))
    expected = [_literal(list(then[:, k]), list(now[:, k])) for k in range(3)]
    for one in (reference, again):
        assert one.psi(one.count(now)).tolist() == pytest.approx(expected)


def test_cases_made_by_hand() -> None:
    then = np.repeat([[0.0], [1.0]], 50, axis=0)
    reference = Reference.measure(("x",), then)
    assert reference.psi(reference.count(then))[0] == 0
    # From half and half to one in five: (.2 - .5) ln(.2 / .5) + (.8 - .5) ln(.8 / .5).
    now = np.array([[0.0]] * 20 + [[1.0]] * 80)
    assert reference.psi(reference.count(now))[0] == pytest.approx(0.41589, abs=1e-5)
    unknown = np.full((10, 1), NAN)
    assert reference.psi(reference.count(unknown))[0] > 10
    assert Reference.measure(("x",), unknown).psi(reference.count(unknown)).tolist() == [0]


def _value(drift: Drift, column: str, model: str = "m1") -> float | None:
    registry = CollectorRegistry()
    registry.register(drift)
    labels = {"consumer": "c", "model": model, "column": column}
    return registry.get_sample_value("millrace_drift_psi", labels)


def test_the_window_forgets_old_rows_and_another_model_begins_anew() -> None:
    rng = np.random.default_rng(1)
    then = rng.random((2000, 2))
    reference = Reference.measure(("x", "score"), then)
    drift = Drift("c", window=1000, least=100)
    for row, score in rng.random((99, 2)):
        drift.take("m1", reference, np.array([[row]]), [score])
    assert _value(drift, "x") is None
    moved = rng.random((600, 1)) + 1
    drift.take("m1", reference, moved, list(rng.random(600)))
    found, score = _value(drift, "x"), _value(drift, "score")
    assert found is not None
    assert score is not None
    assert found > 0.25 > 0.1 > score
    for _ in range(12):
        drift.take("m1", reference, rng.random((100, 1)), list(rng.random(100)))
    found = _value(drift, "x")
    assert found is not None
    assert found < 0.1
    drift.take("m2", reference, moved[:50], list(rng.random(50)))
    assert _value(drift, "x") is None
    drift.take("m3", None, moved, list(rng.random(600)))
    assert _value(drift, "x", "m3") is None


def test_whoever_asks_while_rows_come_loses_none() -> None:
    reference = Reference.measure(("x", "score"), np.random.default_rng(2).random((100, 2)))
    drift = Drift("c", window=100_000, least=1)

    def ask() -> None:
        for _ in range(50):
            list(drift.collect())

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(2000):
        drift.take("m1", reference, np.array([[0.5]]), [0.5])
    asking.join()
    rows = next(iter(drift.collect())).samples[0]
    assert (rows.name, rows.value) == ("millrace_drift_window_records", 2000)
