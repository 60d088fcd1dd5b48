"""Run detectors over a benchmark's series and judge them: scores, false and missed alarms, cost."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from domain.sensors.detectors.alarms import ALARM
from domain.sensors.detectors.half_space import Shape, usual
from domain.sensors.detectors.mewma import Mewma
from domain.sensors.detectors.quantile import AdaptiveThreshold
from orchestration.anomalies import baselines, half_space, nab, skab
from orchestration.anomalies.novelty import Doubles, bytes_a_key, judge_all


@dataclass(frozen=True, slots=True)
class Method:
    """Scores of a series, made one reading after the other, and the threshold fixed beforehand."""

    name: str
    scores: Callable[[Sequence[float]], Sequence[float]]
    threshold: float
    bytes_a_key: int | None = None


def _novelty(readings: Sequence[float]) -> Sequence[float]:
    scores: Doubles = judge_all(readings)[:, 0]
    return [float(score) for score in scores]


def _half_space(readings: Sequence[float]) -> Sequence[float]:
    raw = half_space.score_all(usual(), half_space.scaled(readings))
    threshold = AdaptiveThreshold()
    return [threshold.score(float(score)) for score in raw]


def methods() -> dict[str, Method]:
    """Return every detector of one series by name; the first is the product's default."""
    found = (
        Method("novelty", _novelty, ALARM, bytes_a_key()),
        Method("half-space-trees", _half_space, ALARM, half_space.bytes_a_key(Shape())),
        Method("windowed-gaussian", baselines.windowed_gaussian, baselines.SURE),
        Method("z-score", baselines.z_score, ALARM),
        Method("null", baselines.null, nab.SURE),
    )
    return {one.name: one for one in found}


@dataclass(frozen=True, slots=True)
class NabFigures:
    """Of one detector: totals by profile with the best threshold of each, and with one for all.

    `us_a_reading` is CPU time of this process. `bytes_a_key` is None where nobody keeps state.
    """

    detector: str
    optimised: dict[str, nab.Total]
    fixed: dict[str, nab.Total]
    us_a_reading: float
    bytes_a_key: int | None

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return asdict(self)


def on_nab(
    method: Method,
    series: Sequence[nab.Series],
    *,
    results: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], int] = time.process_time_ns,
) -> NabFigures:
    """Judge a detector on all series, with one configuration and one threshold for all of them.

    Below `results`, if given, its scores are left for NAB's own scorer. `progress` is told the
    series done.
    """
    method.scores([0.0, 1.0])  # compiles what has to be
    scored, taken = [], 0
    for number, one in enumerate(series, start=1):
        begun = clock()
        scores = method.scores(one.values)
        taken += clock() - begun
        scored.append((one, scores))
        if results is not None:
            nab.write(results, method.name, one, scores)
        progress(number)
    totals = {name: nab.sweep(scored, profile) for name, profile in nab.PROFILES.items()}
    return NabFigures(
        detector=method.name,
        optimised={name: nab.optimised(found) for name, found in totals.items()},
        fixed={name: nab.at(found, method.threshold) for name, found in totals.items()},
        us_a_reading=taken / 1e3 / readings(series),
        bytes_a_key=method.bytes_a_key,
    )


def readings(series: Iterable[nab.Series]) -> int:
    """Return how many readings the series have."""
    return sum(len(one.values) for one in series)


@dataclass(frozen=True, slots=True)
class ManyMethod:
    """A detector of several channels, made anew for each recording."""

    name: str
    fresh: Callable[[], Callable[[Sequence[float]], float]]


def many_methods() -> dict[str, ManyMethod]:
    """Return every detector of several channels by name; the first is the product's.

    Those that JAX learns are there where it is installed.
    """
    jax = ("lstm", "all") if importlib.util.find_spec("jax") else ()
    learnt = ("iforest", "ocsvm", "combined", *jax)
    found = (
        ManyMethod("mewma", lambda: Mewma(training=skab.TRAINING).score),
        ManyMethod("t-squared", lambda: baselines.t_squared(skab.TRAINING).score),
        *(ManyMethod(name, partial(_learned, name)) for name in learnt),
        ManyMethod("all-alarm", lambda: lambda row: 1.0),
    )
    return {one.name: one for one in found}


def _learned(detector: str) -> Callable[[Sequence[float]], float]:
    from orchestration.anomalies.learned.online import Online  # scikit-learn: a second of imports

    return Online(detector, skab.TRAINING).score


@dataclass(frozen=True, slots=True)
class SkabFigures:
    """Of one detector: its rates over all files, F1 a file, and CPU time a row."""

    detector: str
    total: skab.Rates
    f1_by_file: dict[str, float]
    us_a_row: float

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return asdict(self)


def on_skab(
    method: ManyMethod,
    recordings: Sequence[skab.Recording],
    *,
    progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], int] = time.process_time_ns,
) -> SkabFigures:
    """Judge a detector on all recordings, row after row, by the threshold fixed beforehand."""
    judged, taken = [], 0
    for number, recording in enumerate(recordings, start=1):
        score = method.fresh()
        begun = clock()
        alarms = [score(row) >= ALARM for row in recording.rows]
        taken += clock() - begun
        judged.append((recording, alarms))
        progress(number)
    rows = sum(len(recording.rows) for recording in recordings)
    return SkabFigures(
        detector=method.name,
        total=skab.rates(judged),
        f1_by_file={one.name: skab.rates([(one, alarms)]).f1 for one, alarms in judged},
        us_a_row=taken / 1e3 / rows,
    )
