"""Half-Space Trees beside River's, on the same readings and seed, in turns.

`python -m benchmarks.half_space` prints CPU time a reading (score, then learn) and whether every
score is the same.
"""

from __future__ import annotations

import random
import time
from typing import Any

from river.anomaly import HalfSpaceTrees as River

from domain.sensors.detectors.half_space import Shape, built
from orchestration.anomalies.half_space import bytes_a_key, score_all

READINGS = 1000
TURNS = 3


def main() -> None:
    shape = Shape()
    rng = random.Random(1)
    readings = [rng.random() for _ in range(READINGS)]
    rows = [[reading] for reading in readings]
    forest = built(shape)
    score_all(forest, rows[:10])
    for turn in range(TURNS):
        river = _planted(shape)
        begun = time.process_time()
        theirs = []
        for reading in readings:
            theirs.append(float(river.score_one({"x": reading})))
            river.learn_one({"x": reading})
        middle = time.process_time()
        ours = score_all(forest, rows)
        ended = time.process_time()
        us = [(b - a) / READINGS * 1e6 for a, b in ((begun, middle), (middle, ended))]
        same = list(ours) == theirs
        print(f"turn {turn + 1}: River {us[0]:,.0f} us, ours {us[1]:.1f} us, equal: {same}")
    print(f"state of a key: {bytes_a_key(shape):,} bytes; divisions, shared: {_shared(shape):,}")


def _planted(shape: Shape) -> Any:
    """Return River's forest with its trees built, as its first reading does, and nothing learnt."""
    river: Any = River(shape.trees, shape.height, shape.window, seed=shape.seed)
    river.learn_one({"x": 0.5})
    for nodes in river._tree_nodes:
        for node in nodes:
            node.l_mass = 0
    river.counter = 0
    return river


def _shared(shape: Shape) -> int:
    return shape.trees * shape.inner * 9


if __name__ == "__main__":
    main()
