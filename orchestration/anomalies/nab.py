"""The Numenta Anomaly Benchmark: its files, its score, result files that its own scorer reads.

The score follows the published description (Lavin & Ahmad, *Evaluating Real-time Anomaly Detection
Algorithms*, ICMLA 2015) with the positions in windows of version 1.1. A threshold is one for all
series; a row is an alarm if its score is at or above it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, groupby
from pathlib import Path

from config.errors import UserError

PROBATION = 0.15
"""Share of a series at its beginning in which alarms neither help nor harm."""
PROBATION_ROWS = 5000
"""Rows beyond which probation grows no longer."""
SURE = 1.1
"""A threshold that no score reaches."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a hit, a false alarm and a missed window weigh; a false alarm counts at most `false`."""

    hit: float
    false: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward_low_FP_rate": Profile(1.0, 0.22, 1.0),
    "reward_low_FN_rate": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One file: its name below `data`, rows, and windows as first and last row, both included."""

    name: str
    timestamps: tuple[str, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows at the beginning that are not judged."""
        return math.floor(min(PROBATION * len(self.values), PROBATION * PROBATION_ROWS))


@dataclass(frozen=True, slots=True)
class Total:
    """The normalised score of all series at a threshold: 100 is perfect, 0 says nothing at all."""

    score: float
    threshold: float
    windows: int
    windows_hit: int
    false_alarms: int


def read(path: Path) -> list[Series]:
    """Return the series of `path`, a copy of NAB or a part of it, sorted by name.

    A file without labels is left out, labels without a file likewise. Raise UserError if there is
    nothing to read, or for what is no such file.
    """
    labels = path / "labels" / "combined_windows.json"
    if not labels.is_file():
        raise UserError(f"{path} is not NAB's folder: it has no labels/combined_windows.json")
    try:
        windows: dict[str, list[list[str]]] = json.loads(labels.read_text())
        known = {name: [(str(a), str(b)) for a, b in spans] for name, spans in windows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{labels}: expected file names with lists of [start, end]") from error
    found = [
        _series(name, path / "data" / name, known[name])
        for name in sorted(known)
        if (path / "data" / name).is_file()
    ]
    if not found:
        raise UserError(f"{path / 'data'} holds none of the files that {labels.name} names")
    return found


def _series(name: str, file: Path, spans: Sequence[tuple[str, str]]) -> Series:
    timestamps, values, moments = [], [], []
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        for row in rows:
            try:
                moments.append(datetime.fromisoformat(row["timestamp"]))
                values.append(_finite(row["value"]))
            except (KeyError, TypeError, ValueError) as error:
                where = f"{file} line {rows.line_num}"
                raise UserError(f"{where}: expected a timestamp and a finite value") from error
            timestamps.append(row["timestamp"])
    try:
        windows = [
            (moments.index(datetime.fromisoformat(a)), moments.index(datetime.fromisoformat(b)))
            for a, b in spans
        ]
    except ValueError as error:
        raise UserError(f"{file}: a window of its labels begins or ends at no row") from error
    return Series(name, tuple(timestamps), tuple(values), tuple(sorted(windows)))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def sigmoid(position: float) -> float:
    """Return what an alarm is worth, from 1 far before a window's end (at 0) to -1 far behind."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is judged: its score, its worth if it is an alarm, and its window, if any."""

    score: float
    worth: float
    window: tuple[str, int] | None


def _rows(series: Series, scores: Sequence[float], profile: Profile) -> list[_Row]:
    """Weigh a series' rows; worth is positive in windows and not above 0 outside."""
    found: list[_Row] = []
    before: tuple[int, int] | None = None
    ahead = list(enumerate(series.windows))
    for row, score in enumerate(scores):
        while ahead and row > ahead[0][1][1]:
            before = ahead.pop(0)[1]
        window = None
        if ahead and row >= ahead[0][1][0]:
            number, (first, last) = ahead[0]
            window = (series.name, number)
            position = -(last - row + 1) / (last - first + 1)
            worth = sigmoid(position) / sigmoid(-1.0) * profile.hit
        elif before is None:
            worth = -profile.false
        else:
            first, last = before
            worth = sigmoid((row - last) / max(1, last - first)) * profile.false
        if row >= series.probation:
            found.append(_Row(score, worth, window))
    return found


def sweep(
    scored: Iterable[tuple[Series, Sequence[float]]], profile: Profile = PROFILES["standard"]
) -> list[Total]:
    """Return the totals at each threshold that makes a difference, from `SURE` downwards."""
    rows: list[_Row] = []
    count = 0
    for series, scores in scored:
        if len(scores) != len(series.values):
            raise ValueError(f"{series.name}: {len(scores)} scores of {len(series.values)} rows")
        rows += _rows(series, scores, profile)
        count += len(series.windows)
    best: dict[tuple[str, int], float] = {}
    windows = false = 0.0
    alarms = 0

    def total(threshold: float) -> Total:
        raw = windows + false - profile.missed * (count - len(best))
        least, most = -profile.missed * count, profile.hit * count
        normal = 100.0 * (raw - least) / (most - least) if count else raw
        return Total(normal, threshold, count, len(best), alarms)

    found = [total(SURE)]
    rows.sort(key=lambda row: -row.score)
    for threshold, equal in groupby(rows, key=lambda row: row.score):
        for row in equal:
            if row.window is None:
                false += row.worth
                alarms += 1
            elif row.worth > best.get(row.window, -math.inf):
                windows += row.worth - best.get(row.window, 0.0)
                best[row.window] = row.worth
        found.append(total(threshold))
    return found


def optimised(totals: Sequence[Total]) -> Total:
    """Return the best total, as NAB's protocol has it; of equals that of the highest threshold."""
    return max(totals, key=lambda total: total.score)


def at(totals: Sequence[Total], threshold: float) -> Total:
    """Return the total at a threshold fixed beforehand."""
    return replace([one for one in totals if one.threshold >= threshold][-1], threshold=threshold)


def write(folder: Path, detector: str, series: Series, scores: Sequence[float]) -> Path:
    """Write a series' scores below `folder` as NAB's own scorer expects them; return the file.

    `detector` has no underscore: NAB takes what stands before the first for the name.
    """
    if "_" in detector:
        raise ValueError(f"a detector's name has no underscore: {detector}")
    group, _, name = series.name.rpartition("/")
    file = folder / detector / group / f"{detector}_{name}"
    file.parent.mkdir(parents=True, exist_ok=True)
    within = list(accumulate(_steps(series)))
    with file.open("w", newline="", encoding="utf-8") as lines:
        out = csv.writer(lines, lineterminator="\n")
        out.writerow(("timestamp", "value", "anomaly_score", "label"))
        rows = zip(series.timestamps, series.values, scores, within, strict=False)
        out.writerows((when, repr(x), repr(float(s)), int(w > 0)) for when, x, s, w in rows)
    return file


def _steps(series: Series) -> list[int]:
    """Return how the number of windows around a row changes from row to row."""
    steps = [0] * (len(series.values) + 1)
    for first, last in series.windows:
        steps[first] += 1
        steps[last + 1] -= 1
    return steps
