"""Each detector of the sensors beside plain River, on the same readings, in turns, in one process.

`python -m benchmarks.detectors [--readings 2000]` prints CPU time a reading (judge, then learn) as
JSON: of ours as the job runs it, with and without its state read and written around each reading,
and of what comes nearest in River; null where River has nothing like it.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import pickle
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from river import anomaly

from domain.events import SensorReading
from domain.sensors.detectors.half_space import usual
from domain.sensors.detectors.mewma import Mewma
from domain.sensors.detectors.novelty import Novelty
from domain.sensors.detectors.rarity import Rarity
from domain.sensors.limits import parse
from domain.sensors.rules import findings
from processing.sensors.shapes import Shapes

TURNS = 2
RULE: dict[str, dict[str, Any]] = {
    "thresholds": {"above": 30},
    "jumps": {},
    "dynamic": {},
    "windows": {},
    "rising": {},
}
Step = Callable[[float], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=2000)
    readings = _readings(parser.parse_args().readings)
    sides = {**{name: (_rule(name), _near(name)) for name in RULE}, **_detectors()}
    taken: dict[str, list[list[float]]] = {name: [] for name in sides}
    _planted()
    usual()
    for _ in range(TURNS):
        for name, makers in sides.items():
            taken[name].append([_us(make, readings) for make in makers])
            print(f"{name}: {taken[name][-1]}", file=sys.stderr, flush=True)
    print(json.dumps({name: _told(turns) for name, turns in taken.items()}, indent=2))


def _readings(count: int) -> list[float]:
    rng = random.Random(1)
    return [20 + rng.gauss(0, 2) for _ in range(count)]


def _us(make: Callable[[], Step] | None, readings: Sequence[float]) -> float:
    if make is None:
        return float("nan")
    step = make()
    for reading in readings[: len(readings) // 4]:
        step(reading)
    begun = time.process_time()
    for reading in readings:
        step(reading)
    return (time.process_time() - begun) / len(readings) * 1e6


def _told(turns: list[list[float]]) -> dict[str, float | None]:
    best = [min(one) for one in zip(*turns, strict=True)]
    names = ("ours_us", "river_us", "ours_with_state_us")
    told = {
        name: None if math.isnan(us) else round(us, 2)  # there is nothing to measure
        for name, us in zip(names, best, strict=False)
    }
    ours, river = best[:2]
    told["times_as_fast_as_river"] = None if math.isnan(river) else round(river / ours, 1)
    return told


def _rule(section: str) -> Callable[[], Step]:
    """Return a maker of one rule alone, as the job asks it."""
    body = {"kind": "K", **RULE[section]}
    kind = parse({"types": {"default": {section: [body]}}}).of("default")

    def make() -> Step:
        notes: dict[str, list[float]] = {}
        clock = [0]

        def step(value: float) -> object:
            clock[0] += 1000
            one = SensorReading(sensor_id="s", timestamp=clock[0], value=value)
            return findings(one, kind, notes, late=False)

        return step

    return make


def _near(section: str) -> Callable[[], Step] | None:
    """Return what of River is like a rule: its Gaussian scorer, over all or over a window."""
    if section not in ("dynamic", "windows"):
        return None
    window = None if section == "dynamic" else 60

    def make() -> Step:
        scorer: Any = anomaly.GaussianScorer
        river = scorer(window_size=window, grace_period=30)

        def step(value: float) -> object:
            score = river.score_one(None, value)
            river.learn_one(None, value)
            return score

        return step

    return make


def _detectors() -> dict[str, tuple[Callable[[], Step] | None, ...]]:
    return {
        "novelty": (lambda: Novelty(shapes=Shapes()).judge, None, _kept_novelty),
        "half_space": (lambda: Rarity().judge, _forest, _kept_rarity),
        "mewma, 8 channels": (_mewma, None),
    }


@cache
def _planted() -> Any:
    """Return River's forest, grown: 1.6 million objects, which the collector must not walk."""
    river: Any = anomaly.HalfSpaceTrees(n_trees=25, height=15, window_size=250, seed=1)
    gc.disable()
    river.learn_one({"x": 0.5})
    gc.freeze()
    gc.enable()
    return river


def _forest() -> Step:
    river = _planted()

    def step(value: float) -> object:
        row = {"x": (value - 10) / 20}
        score = river.score_one(row)
        river.learn_one(row)
        return score

    return step


def _kept_novelty() -> Step:
    kept = [pickle.dumps(Novelty(shapes=Shapes()).dump())]

    def step(value: float) -> object:
        one = Novelty.load(pickle.loads(kept[0]), Shapes())  # noqa: S301 - its own
        judged = one.judge(value)
        kept[0] = pickle.dumps(one.dump())
        return judged

    return step


def _kept_rarity() -> Step:
    kept = [pickle.dumps(Rarity().dump())]

    def step(value: float) -> object:
        one = Rarity.load(pickle.loads(kept[0]))  # noqa: S301 - its own
        judged = one.judge(value)
        kept[0] = pickle.dumps(one.dump())
        return judged

    return step


def _mewma() -> Step:
    one = Mewma()
    return lambda value: one.score([value + channel for channel in range(8)])


if __name__ == "__main__":
    main()
