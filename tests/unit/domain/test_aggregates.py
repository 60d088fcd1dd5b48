from __future__ import annotations

import doctest
import json
import math
import random
import statistics
from pathlib import Path
from typing import get_args

import pytest

from domain.features import aggregates
from domain.features.aggregates import STATES, VALUES, Hashes, Moments, hash32, hash64, id_hash
from domain.features.declaration import AggregateName

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "hash.json").read_text(encoding="utf-8")
)


def fmix64(h: int) -> int:
    for prime in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = ((h ^ (h >> 33)) * prime) % (1 << 64)
    return h ^ (h >> 33)


def test_the_hash_is_published_fnv_1a_then_murmur_s_finaliser() -> None:
    published = {b"": 0xCBF29CE484222325, b"a": 0xAF63DC4C8601EC8C, b"foobar": 0x85944171F73967E8}
    for data, fnv in published.items():
        assert hash64(data) == fmix64(fnv)
    assert fmix64(1) == 0xB456BCFC34C2CB2C


@pytest.mark.parametrize(
    "vector", VECTORS["strings"] + VECTORS["numbers"], ids=lambda v: repr(v["value"])
)
def test_values_hash_to_the_fixed_vectors(vector: dict[str, str | float | int]) -> None:
    assert hash32(vector["value"]) == vector["hash32"] == int(str(vector["hash64"]), 16) >> 32


@pytest.mark.parametrize("vector", VECTORS["ids"], ids=lambda v: f"{v['id']}@{v['t']}")
def test_ids_hash_with_their_time(vector: dict[str, str]) -> None:
    assert f"{id_hash(vector['id'], int(vector['t'])):016x}" == vector["hash64"]


def distinct(values: list[str], tiles: int, k: int) -> int | float | None:
    states = [Hashes(k) for _ in range(tiles)]
    for at, value in enumerate(values):
        states[at % tiles].add(value, 0)
    return VALUES["distinct"](states, None)


@pytest.mark.parametrize("k", [8, 64, 1024])
def test_distinct_is_exact_below_k(k: int) -> None:
    values = [f"v{i}" for i in range(k - 1)] * 3
    assert distinct(values, 7, k) == k - 1


@pytest.mark.parametrize(
    ("k", "n"),
    [
        *((8, 500), (64, 64), (64, 1000), (1024, 2000)),
        pytest.param(64, 30_000, marks=pytest.mark.slow),
        pytest.param(1024, 20_000, marks=pytest.mark.slow),
    ],
)
def test_distinct_stays_within_its_stated_error(k: int, n: int) -> None:
    found = [distinct([f"{seed}/{i}" for i in range(n)], 5, k) for seed in range(5)]
    mean = statistics.fmean(value for value in found if value is not None)
    assert abs(mean / n - 1) < 4 / math.sqrt(k - 2) / math.sqrt(5)


def test_chan_s_fold_of_welford_s_tiles_is_the_variance() -> None:
    chance = random.Random(3)
    values = [chance.gauss(1e6, 1.0) for _ in range(400)]
    tiles = [Moments() for _ in range(9)]
    for value in values:
        chance.choice(tiles).add(value, 0)
    std = VALUES["std"]([tile for tile in tiles if tile.n], None)
    assert std == pytest.approx(statistics.stdev(values), rel=1e-9)


@pytest.mark.parametrize("aggregate", ["std", "zscore"])
def test_an_overflow_gives_no_exception(aggregate: AggregateName) -> None:
    tile = STATES[aggregate](0)
    assert isinstance(tile, Moments)
    for x in (1e308, -1.7e308, 1e308, 5.0):
        tile.add(x, 0)
    value = VALUES[aggregate]([tile], 5.0)
    assert value is None or not math.isfinite(value)


def test_nothing_gives_what_the_page_says() -> None:
    found = {name: value([], 1.0) for name, value in VALUES.items()}
    nothing = dict.fromkeys(["mean", "min", "max", "std", "zscore", "ratio", "share"])
    assert found == {"count": 0, "sum": 0.0, "distinct": 0, **nothing}


def test_every_aggregate_has_an_example_that_runs() -> None:
    examples = [
        example.source
        for found in doctest.DocTestFinder().find(aggregates)
        for example in found.examples
    ]
    for name in get_args(AggregateName):
        assert any(f'filled("{name}"' in source for source in examples), name
    assert doctest.testmod(aggregates).failed == 0
