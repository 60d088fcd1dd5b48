"""The Skoltech Anomaly Benchmark: its files, its false and missed alarm rates, F1.

By its protocol a detector learns from the first 400 rows of each file, which are normal, and is
judged by the rows after them, of all files together.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from config.errors import UserError

TRAINING = 400
"""Rows of each file that are learnt and not judged."""
LABELS = ("anomaly", "changepoint")


@dataclass(frozen=True, slots=True)
class Recording:
    """One file: its name, rows of one value a channel, and whether each is anomalous."""

    name: str
    channels: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    anomalous: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """Of the rows judged: F1, false alarms in percent of normal rows, missed of anomalous ones."""

    f1: float
    false_alarm_rate: float
    missed_alarm_rate: float
    rows: int
    anomalous: int


def read(path: Path) -> list[Recording]:
    """Return the labelled recordings below `path`, sorted by name.

    Files without the column `anomaly` (the one without anomalies) are left out. Raise UserError if
    there is none, or for what is no such file.
    """
    found = [
        recording
        for file in sorted(path.rglob("*.csv"))
        if (recording := _recording(file.relative_to(path).as_posix(), file))
    ]
    if not found:
        raise UserError(f"{path} is not SKAB's folder: no CSV file in it has a column 'anomaly'")
    return found


def _recording(name: str, file: Path) -> Recording | None:
    rows: list[tuple[float, ...]] = []
    anomalous: list[bool] = []
    with file.open(newline="", encoding="utf-8") as text:
        lines = csv.DictReader(text, delimiter=";")
        fields = lines.fieldnames or ()
        if "anomaly" not in fields:
            return None
        channels = tuple(one for one in fields if one not in ("datetime", *LABELS))
        for line in lines:
            try:
                values = [float(line[one]) for one in (*channels, "anomaly")]
            except (TypeError, ValueError) as error:
                where = f"{file} line {lines.line_num}"
                raise UserError(f"{where}: expected a number in every channel") from error
            if not all(map(math.isfinite, values)):
                raise UserError(f"{file} line {lines.line_num}: expected finite numbers")
            rows.append(tuple(values[:-1]))
            anomalous.append(values[-1] != 0.0)
    if len(rows) <= TRAINING:
        raise UserError(f"{file}: {len(rows)} rows; {TRAINING} are learnt before any is judged")
    return Recording(name, channels, tuple(rows), tuple(anomalous))


def rates(judged: Iterable[tuple[Recording, Sequence[bool]]]) -> Rates:
    """Return the rates of alarms, one a row, over all rows after the training rows."""
    counts = {(truth, told): 0 for truth in (False, True) for told in (False, True)}
    for recording, alarms in judged:
        if len(alarms) != len(recording.rows):
            raise ValueError(f"{recording.name}: {len(alarms)} of {len(recording.rows)} rows")
        pairs = zip(recording.anomalous[TRAINING:], alarms[TRAINING:], strict=True)
        for truth, told in pairs:
            counts[truth, bool(told)] += 1
    hit, missed = counts[True, True], counts[True, False]
    false, quiet = counts[False, True], counts[False, False]
    wrong = false + missed
    return Rates(
        f1=2 * hit / (2 * hit + wrong) if hit + wrong else 1.0,
        false_alarm_rate=100 * false / (false + quiet) if false + quiet else 0.0,
        missed_alarm_rate=100 * missed / (hit + missed) if hit + missed else 0.0,
        rows=sum(counts.values()),
        anomalous=hit + missed,
    )
