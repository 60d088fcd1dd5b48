"""The reference engine: docs/rolling.md in plain Python, to be read beside it. The kernel must give the same bits.

rolling = Rolling(CUSTOMER)
for row in rows:
    out = rolling.process(row["customer_id"], row)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.aggregates import STATES, VALUES, Last, State, id_hash, last_seen
from domain.features.declaration import DEFAULT_K, FeatureSet

IDS_PER_BUCKET = 4096
BUCKETS_PER_TILE = 32
BEFORE = ("last", "seconds_since")

Row = Mapping[str, Any]
Tile = list[State | None]
"""What one tile keeps: a state per lane of its ring, None for a lane that met no row."""


@dataclass(slots=True)
class _Key:
    """All that is kept of one key."""

    rings: list[dict[int, Tile]]
    newest: int | None = None
    ahead: int | None = None
    ids: dict[int, dict[int, dict[int, None]]] = field(default_factory=dict)
    """By tile of the longest ring, by bucket: the hashes, in the order they came."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """The running value of one aggregate in each tile of its ring."""

    new: Callable[[], State]
    meets: Callable[[Row], bool]
    read: Callable[[Row], Any]
    skips_none: bool

    def apply(self, tile: Tile, at: int, row: Row, t: int) -> None:
        """Add the row to the lane's state in `tile`, if it meets the filter and has the column."""
        if not self.meets(row):
            return
        x = self.read(row)
        if x is None and self.skips_none:
            return
        state = tile[at]
        if state is None:
            state = tile[at] = self.new()
        state.add(x, t)


@dataclass(slots=True)
class _Ring:
    """All windows of one tile_ms: n tiles, the number of the largest."""

    tile_ms: int
    n: int
    lanes: list[_Lane] = field(default_factory=list)

    def floor(self, key: _Key, span: int) -> int | None:
        """The oldest tile kept; None before any row."""
        clocks = []
        if key.newest is not None:
            clocks.append(key.newest // self.tile_ms)
        if key.ahead is not None:
            clocks.append((key.ahead - span) // self.tile_ms)
        return max(clocks) - self.n + 1 if clocks else None

    def covered(self, tiles: Mapping[int, Tile], t: int, n: int) -> list[Tile]:
        """The kept tiles of a window of n tiles at time t, oldest first."""
        i = t // self.tile_ms
        return [tiles[j] for j in range(i - n + 1, i + 1) if j in tiles]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a feature is found: lane `at` of ring `ring`, over its newest `n` tiles."""

    name: str
    aggregate: str
    ring: int
    at: int
    n: int
    read: Callable[[Row], Any]


class Rolling:
    """`rolling` for one spec: a FeatureSet or its spec() (as JSON gives it). Keeps every key it has seen in memory."""

    def __init__(self, declared: FeatureSet | Mapping[str, Any]) -> None:
        spec = declared.spec() if isinstance(declared, FeatureSet) else declared
        self._time: str = spec["time"]
        self._id: str | None = spec.get("id")
        self._emits = _all_of(spec.get("emit", ()))
        self._late, self._duplicate = f"{spec['name']}_late", f"{spec['name']}_duplicate"
        self._rings: list[_Ring] = []
        ring_of: dict[int, int] = {}
        for window in spec["windows"].values():
            at = ring_of.setdefault(window["tile_ms"], len(self._rings))
            if at == len(self._rings):
                self._rings.append(_Ring(window["tile_ms"], 0))
            self._rings[at].n = max(self._rings[at].n, window["tiles"])
        self._longest = max(range(len(self._rings)), key=lambda at: self._span_of(at))
        self._span = self._span_of(self._longest)[0]
        self._plans = [self._plan(feature, spec["windows"][feature["window"]], ring_of) for feature in spec["features"]]
        self._unknown: dict[str, Any] = dict.fromkeys(plan.name for plan in self._plans)
        self._keys: dict[str, _Key] = {}

    def _span_of(self, at: int) -> tuple[int, int]:
        ring = self._rings[at]
        return ring.n * ring.tile_ms, ring.tile_ms

    def _plan(self, feature: Mapping[str, Any], window: Mapping[str, int], ring_of: Mapping[int, int]) -> _Plan:
        """Give the feature a lane of its own: the kernel may share lanes, the values are the same."""
        aggregate, column, k = feature["aggregate"], feature.get("column"), feature.get("k", DEFAULT_K)
        read = _all_of(feature.get("condition", ())) if aggregate == "share" else _reader(column)
        ring = ring_of[window["tile_ms"]]
        lanes = self._rings[ring].lanes
        lanes.append(_Lane(lambda: STATES[aggregate](k), _all_of(feature.get("filter", ())), read, column is not None))
        return _Plan(feature["name"], aggregate, ring, len(lanes) - 1, window["tiles"], read)

    def process(self, key: str, row: Row) -> dict[str, Any] | None:
        """The row with the features added, or None for an update-only row. `row[time]` is in ms or None."""
        emits = self._emits(row)
        t = row[self._time]
        if key not in self._keys:
            self._keys[key] = _Key([{} for _ in self._rings])
        state = self._keys[key]
        if t is None or self._is_below_floor(state, self._longest, t):
            return {**row, **self._unknown, self._late: True, self._duplicate: False} if emits else None
        if self._seen_before(state, row, t):
            return {**row, **self._unknown, self._late: False, self._duplicate: True} if emits else None
        before = self._evaluate_before(state, row, t) if emits else {}
        self._update(state, row, t, emits)
        if not emits:
            return None
        after = self._evaluate(state, row, t)
        features = {plan.name: (before if plan.aggregate in BEFORE else after)[plan.name] for plan in self._plans}
        return {**row, **features, self._late: False, self._duplicate: False}

    def _is_below_floor(self, state: _Key, at: int, t: int) -> bool:
        floor = self._rings[at].floor(state, self._span)
        return floor is not None and t // self._rings[at].tile_ms < floor

    def _seen_before(self, state: _Key, row: Row, t: int) -> bool:
        if self._id is None or row[self._id] is None:
            return False
        tile, bucket = self._bucket(t)
        return id_hash(row[self._id], t) in state.ids.get(tile, {}).get(bucket, {})

    def _bucket(self, t: int) -> tuple[int, int]:
        tile_ms = self._rings[self._longest].tile_ms
        tile = t // tile_ms
        return tile, (t - tile * tile_ms) * BUCKETS_PER_TILE // tile_ms

    def _update(self, state: _Key, row: Row, t: int, emits: bool) -> None:
        if emits:
            state.newest = t if state.newest is None else max(state.newest, t)
        else:
            state.ahead = t if state.ahead is None else max(state.ahead, t)
        for at, ring in enumerate(self._rings):
            tiles, tile, floor = state.rings[at], t // ring.tile_ms, ring.floor(state, self._span)
            assert floor is not None  # noqa: S101 - one clock has just been set
            _drop_below(tiles, floor)
            if tile < floor:
                continue
            if tile not in tiles:
                tiles[tile] = [None] * len(ring.lanes)
            for lane_at, lane in enumerate(ring.lanes):
                lane.apply(tiles[tile], lane_at, row, t)
            if at == self._longest:
                _drop_below(state.ids, floor)
        if self._id is not None and row[self._id] is not None:
            tile, at = self._bucket(t)
            bucket = state.ids.setdefault(tile, {}).setdefault(at, {})
            bucket[id_hash(row[self._id], t)] = None
            if len(bucket) > IDS_PER_BUCKET:
                del bucket[next(iter(bucket))]

    def _evaluate_before(self, state: _Key, row: Row, t: int) -> dict[str, Any]:
        """`last` and `seconds_since`: what was before this row."""
        values: dict[str, Any] = {}
        for plan in self._plans:
            if plan.aggregate not in BEFORE:
                continue
            values[plan.name] = None
            if self._is_below_floor(state, plan.ring, t):
                continue
            tiles = self._rings[plan.ring].covered(state.rings[plan.ring], t, plan.n)
            found = last_seen((s for tile in reversed(tiles) if isinstance(s := tile[plan.at], Last)), t)
            if found is not None and found.t is not None:
                values[plan.name] = found.value if plan.aggregate == "last" else (t - found.t) / 1000.0
        return values

    def _evaluate(self, state: _Key, row: Row, t: int) -> dict[str, Any]:
        """Every other feature, the row itself included."""
        values: dict[str, Any] = {}
        covered: dict[tuple[int, int], Sequence[Tile] | None] = {}
        for plan in self._plans:
            if plan.aggregate in BEFORE:
                continue
            where = plan.ring, plan.n
            if where not in covered:
                known = not self._is_below_floor(state, plan.ring, t)
                covered[where] = self._rings[plan.ring].covered(state.rings[plan.ring], t, plan.n) if known else None
            tiles = covered[where]
            if tiles is None:
                values[plan.name] = None
                continue
            states = [s for tile in tiles if (s := tile[plan.at]) is not None]
            value = VALUES[plan.aggregate](states, plan.read(row))
            values[plan.name] = value if isinstance(value, int) or value is None or math.isfinite(value) else None
        return values


def _drop_below(kept: dict[int, Any], floor: int) -> None:
    for tile in [tile for tile in kept if tile < floor]:
        del kept[tile]


def _reader(column: str | None) -> Callable[[Row], Any]:
    """The column as aggregates see it: numbers as doubles, -0.0 as 0.0; None if NULL or not finite."""

    def read(row: Row) -> Any:
        value = row[column] if column is not None else None
        if value is None or isinstance(value, str | bool):
            return value
        number = float(value)
        return number + 0.0 if math.isfinite(number) else None

    return read


def _all_of(comparisons: Iterable[Mapping[str, Any]]) -> Callable[[Row], bool]:
    """Whether a row meets every comparison."""
    tests = [(comparison["column"], _test(comparison)) for comparison in comparisons]
    return lambda row: all(test(row[column]) for column, test in tests)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": lambda v, values: any(v == one for one in values),
    "notnull": lambda v, _: True,
}


def _test(comparison: Mapping[str, Any]) -> Callable[[Any], bool]:
    """One comparison. A NULL meets `null` alone."""
    if comparison["op"] == "null":
        return lambda v: v is None
    test, value = _TESTS[comparison["op"]], comparison.get("value")
    constant = [_comparable(one) for one in value] if isinstance(value, list | tuple) else _comparable(value)
    return lambda v: v is not None and test(_comparable(v), constant)


def _comparable(value: Any) -> Any:
    """Numbers as doubles; what else there is as it is."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
