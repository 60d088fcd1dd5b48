"""Measure methods on the same questions: hit rate, reciprocal rank, coverage, latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.recommendations.baselines import Method, Reranked
from orchestration.recommendations.sessions import Log, items

AT = 20
"""Length of the lists judged."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one method.

    `hit_rate` is the share of questions with the next item among the first `AT`, `reciprocal_rank`
    the mean of one over its place (0 if it is not there), `coverage` the share of the items known
    at the end that were in any list. Latencies are of one list, in microseconds.
    """

    method: str
    questions: int
    hit_rate: float
    reciprocal_rank: float
    coverage: float
    p50_us: float
    p90_us: float
    p99_us: float
    learn_s: float


def measure(
    name: str,
    method: Method,
    train: Log,
    test: Log,
    *,
    online: bool = False,
    progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Figures:
    """Teach a method the sessions of `train`, then ask it every question of `test`, in order.

    Frozen, it learns nothing from then on; `online`, each session when it has ended. Repetitions
    and items that were never seen count as any others. `progress` is told the questions asked.
    """
    method.answer(["nothing"], AT)  # compiles what has to be
    begun = clock()
    for session in train.sessions:
        method.learn(session)
    if isinstance(method, Reranked):
        method.ready()
    learn_s = (clock() - begun) / 1e9
    catalogue = items(train.sessions)
    seen: set[str] = set()
    ranks, taken = [], []
    for number, ((prefix, wanted), ended) in enumerate(test.asked(), start=1):
        asked = clock()
        found = method.answer(prefix, AT)[:AT]
        taken.append(clock() - asked)
        seen.update(found)
        ranks.append(_rank(found, wanted))
        if online and ended is not None:
            method.learn(ended)
            catalogue.update(ended)
        if number % 500 == 0:
            progress(number)
    progress(len(ranks))
    gains = np.array([1 / rank if rank else 0.0 for rank in ranks])
    p50, p90, p99 = np.percentile(np.array(taken) / 1e3, [50, 90, 99])
    return Figures(
        method=name,
        questions=len(ranks),
        hit_rate=float((gains > 0).mean()),
        reciprocal_rank=float(gains.mean()),
        coverage=len(seen & catalogue) / max(1, len(catalogue)),
        p50_us=float(p50),
        p90_us=float(p90),
        p99_us=float(p99),
        learn_s=learn_s,
    )


def _rank(found: Sequence[str], wanted: str) -> int:
    """Return the place of the wanted item, from 1; 0 if it is not there."""
    return next((place for place, item in enumerate(found, start=1) if item == wanted), 0)
