"""Novelty of value and shape, compiled: the bits of `domain.sensors.detectors.novelty`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from domain.sensors.detectors import alarms, calibration
from domain.sensors.detectors.novelty import FAR, FURTHEST, LEARNT, Novelty
from domain.sensors.detectors.value import NEAREST
from orchestration.compiled import compiled

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

COUNT, FIRST, MEAN, VARIANCE, KNOWN, KEPT, RECENT, SINCE = range(8)
NUMBERS = 8
OF_VALUE, OF_SHAPE = 0, 1
TIMES, AVERAGE, SPREAD = range(3)

ALARM, THRESHOLD, DEARER = alarms.ALARM, alarms.THRESHOLD, alarms.DEARER
FADE, APART = alarms.KEPT, alarms.APART
SLOWEST, WARM, MOST = calibration.SLOWEST, calibration.WARM, calibration.MOST
OF_MEAN, OF_SPREAD, LEAST = calibration.OF_MEAN, calibration.OF_SPREAD, calibration.LEAST


class State(NamedTuple):
    """All of a key. Shapes: V values kept and one more, 2 x M readings of which M count."""

    numbers: Doubles  # COUNT to SINCE
    measures: Doubles  # 2 x 3: OF_VALUE and OF_SHAPE by TIMES, AVERAGE, SPREAD
    values: Doubles  # V + 1, sorted
    counts: Doubles  # V + 1
    readings: Singles  # 2 x M: the newest at KEPT - 1; moved to the front when full


def fresh(like: Novelty | None = None) -> State:
    """Return the state of a key without readings, of the sizes of a specification."""
    like = like or Novelty()
    numbers = np.zeros(NUMBERS)
    numbers[SINCE] = APART
    return State(
        numbers,
        np.zeros((2, 3)),
        np.zeros(like.values.limit + 1),
        np.zeros(like.values.limit + 1),
        np.zeros(2 * like.shapes.memory, np.float32),
    )


@compiled
def _place(values: Doubles, known: int, value: float) -> int:
    low, high = 0, known
    while low < high:
        middle = (low + high) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _distance(values: Doubles, counts: Doubles, known: int, value: float, at: int) -> float:
    below, above = at - 1, at
    total, found = 0.0, 0.0
    while found < NEAREST and (below >= 0 or above < known):
        if below < 0 or (above < known and values[above] - value <= value - values[below]):
            distance, count = values[above] - value, counts[above]
            above += 1
        else:
            distance, count = value - values[below], counts[below]
            below -= 1
        taken = min(count, NEAREST - found)
        total += taken * distance
        found += taken
    return total / found if found else 0.0


@compiled
def _merge(values: Doubles, counts: Doubles, known: int) -> None:
    at, least = 0, np.inf
    for place in range(known - 1):
        gap = values[place + 1] - values[place]
        if gap < least:
            at, least = place, gap
    both = counts[at] + counts[at + 1]
    values[at] = (values[at] * counts[at] + values[at + 1] * counts[at + 1]) / both
    counts[at] = both
    for place in range(at + 1, known - 1):
        values[place], counts[place] = values[place + 1], counts[place + 1]


@compiled
def _value(state: State, value: float) -> float:
    values, counts = state.values, state.counts
    known = int(state.numbers[KNOWN])
    at = _place(values, known, value)
    distance = _distance(values, counts, known, value, at)
    if at < known and values[at] == value:
        counts[at] += 1
        return distance
    for place in range(known, at, -1):
        values[place], counts[place] = values[place - 1], counts[place - 1]
    values[at], counts[at] = value, 1
    known += 1
    if known == len(values):
        _merge(values, counts, known)
        known -= 1
    state.numbers[KNOWN] = known
    return distance


@compiled
def _append(state: State, value: float) -> int:
    readings, kept = state.readings, int(state.numbers[KEPT])
    memory = len(readings) // 2
    if kept == len(readings):
        readings[:memory] = readings[memory:]
        kept = memory
    readings[kept] = value
    state.numbers[KEPT] = kept + 1
    return kept


@compiled
def _shape(state: State, value: float, length: int, squares: Singles) -> float:
    """Return what the specification does, -1 for None. `squares` is scratch, of size M."""
    readings, newest = state.readings, _append(state, value)
    stretches = min(newest + 1, len(readings) // 2) - 2 * length + 1
    if stretches < 2:
        return -1.0
    for lag in range(stretches):
        squares[lag] = 0
    for back in range(length):
        mine = readings[newest - back]
        # From the stretch with the largest lag to that with the least; a slice, since indices
        # that may be negative are not turned into vector instructions.
        end = newest - back - length + 1
        theirs = readings[end - stretches : end]
        for place in range(stretches):
            apart = mine - theirs[place]
            squares[place] += apart * apart
    least = second = np.float32(np.inf)
    for place in range(stretches):
        one = squares[place]
        if one < second:
            if one < least:
                least, second = one, least
            else:
                second = one
    near, far = np.sqrt(np.float64(least) / length), np.sqrt(np.float64(second) / length)
    return float((near + far) / 2.0)


@compiled
def _calibrated(statistics: Doubles, measure: float, spread: float) -> float:
    times, mean, variance = statistics[TIMES], statistics[AVERAGE], statistics[SPREAD]
    unit = np.sqrt(variance) + OF_MEAN * abs(mean) + OF_SPREAD * spread + LEAST
    above = measure - mean
    result = 0.0
    if times >= WARM:
        result = min(MOST, above / unit)
        above = min(above, MOST * unit)
    weight = max(SLOWEST, 1.0 / (times + 1))
    statistics[TIMES] = times + 1
    statistics[AVERAGE] = mean + weight * above
    statistics[SPREAD] = (1.0 - weight) * (variance + weight * above * above)
    return result


@compiled
def _scored(numbers: Doubles, novelty: float) -> float:
    numbers[RECENT] *= FADE
    numbers[SINCE] += 1
    if numbers[SINCE] <= APART or novelty <= 0.0:
        return 0.0
    share = novelty / (THRESHOLD * (1.0 + DEARER * numbers[RECENT]))
    score = share / (1.0 + share)
    if score >= ALARM:
        numbers[RECENT] += 1.0
        numbers[SINCE] = 0
    return float(score)


@compiled
def judge(
    state: State, reading: float, length: int, squares: Singles
) -> tuple[float, float, float]:
    """Judge a reading and learn it; return its score, and how new value and shape are."""
    numbers = state.numbers
    if not np.isfinite(reading):
        return 0.0, 0.0, 0.0
    reading = max(-FURTHEST, min(FURTHEST, reading))
    if numbers[COUNT] == 0:
        numbers[FIRST] = reading
    value = _value(state, reading)
    shape = _shape(state, reading - numbers[FIRST], length, squares)
    numbers[COUNT] += 1
    apart = reading - numbers[MEAN]
    if numbers[COUNT] > LEARNT and numbers[VARIANCE] > 0.0:
        most = FAR * np.sqrt(numbers[VARIANCE])
        apart = max(-most, min(most, apart))
    weight = 1.0 / numbers[COUNT]
    numbers[MEAN] += weight * apart
    numbers[VARIANCE] = (1.0 - weight) * (numbers[VARIANCE] + weight * apart * apart)
    if numbers[COUNT] <= LEARNT or shape < 0.0:
        return 0.0, 0.0, 0.0
    spread = np.sqrt(numbers[VARIANCE])
    new_value = _calibrated(state.measures[OF_VALUE], value, spread)
    new_shape = _calibrated(state.measures[OF_SHAPE], shape, spread)
    return _scored(numbers, (new_value + new_shape) / 2.0), new_value, new_shape


@compiled
def _judge_all(
    state: State, readings: Doubles, length: int, squares: Singles, found: Doubles
) -> None:
    for row in range(len(readings)):
        found[row, 0], found[row, 1], found[row, 2] = judge(state, readings[row], length, squares)


def judge_all(readings: Sequence[float] | Doubles, like: Novelty | None = None) -> Doubles:
    """Judge a series one reading after the other; return score, value and shape a row."""
    like = like or Novelty()
    state = fresh(like)
    squares = np.zeros(like.shapes.memory, np.float32)
    found = np.zeros((len(readings), 3))
    _judge_all(state, np.asarray(readings, np.float64), like.shapes.length, squares, found)
    return found


def bytes_a_key(like: Novelty | None = None) -> int:
    """Return what has to be kept of a key: half of the readings' room is there to move them."""
    state = fresh(like)
    return sum(array.nbytes for array in state) - state.readings.nbytes // 2
