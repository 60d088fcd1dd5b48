"""Compute `rolling` in plain Python: the reference engine, to be read beside docs/rolling.md.

The kernel must give the same bits.

    rolling = Rolling(CUSTOMER)
    for row in rows:
        out = rolling.process(row["customer_id"], row)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.features.aggregates import STATES, VALUES, Last, State, id_hash, last_seen
from domain.features.declaration import DEFAULT_K, FeatureSet

IDS_PER_BUCKET = 4096
BUCKETS_PER_TILE = 32
BEFORE = ("last", "seconds_since")

Row = Mapping[str, Any]
Tile = list[State | None]
"""What one tile keeps: a state per lane of its ring, None for a lane that met no row."""


@dataclass(slots=True)
class _Key:
    """Everything that is kept of one key."""

    rings: list[dict[int, Tile]]
    floors: list[float]
    """The oldest tile each ring keeps; -inf before any row."""
    newest: int | None = None
    ahead: int | None = None
    ids: dict[int, dict[int, dict[int, None]]] = field(default_factory=dict)
    """By tile of the longest ring, by bucket: the hashes, in the order they came."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """The running value of one aggregate in each tile of its ring.

    `meets` and `value` say which filter and column.
    """

    new: Callable[[], State]
    meets: int
    value: int
    skips_none: bool


@dataclass(slots=True)
class _Ring:
    """All windows of one tile_ms: n tiles, the number of the largest."""

    tile_ms: int
    n: int
    lanes: list[_Lane] = field(default_factory=list)
    lane_of: dict[str, int] = field(default_factory=dict)

    @property
    def span(self) -> int:
        """Return how far back the ring reaches, in ms."""
        return self.n * self.tile_ms

    def floor(self, key: _Key, span: int) -> float:
        """Return the oldest tile kept, `span` being the longest ring's."""
        newest = -math.inf if key.newest is None else key.newest // self.tile_ms
        ahead = -math.inf if key.ahead is None else (key.ahead - span) // self.tile_ms
        return max(newest, ahead) - self.n + 1

    def covered(self, tiles: Mapping[int, Tile], t: int, n: int) -> list[Tile]:
        """Return the kept tiles of a window of n tiles at time t, oldest first."""
        i = t // self.tile_ms
        return [tiles[j] for j in range(i - n + 1, i + 1) if j in tiles]

    def apply(
        self, tiles: dict[int, Tile], t: int, meets: Sequence[bool], values: Sequence[Any]
    ) -> None:
        """Apply a row to each lane whose filter it meets, unless the lane's column is NULL."""
        tile = tiles.setdefault(t // self.tile_ms, [None] * len(self.lanes))
        for at, lane in enumerate(self.lanes):
            x = values[lane.value]
            if not meets[lane.meets] or (x is None and lane.skips_none):
                continue
            state = tile[at]
            if state is None:
                state = tile[at] = lane.new()
            state.add(x, t)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The place of a feature: lane `lane` of ring `ring`, over the newest `n` tiles.

    `value` is the index of its column.
    """

    name: str
    aggregate: str
    ring: int
    lane: int
    n: int
    value: int


class Rolling:
    """`rolling` for one spec: a FeatureSet or its spec() (as JSON gives it).

    Keeps every key it has seen in memory.
    """

    def __init__(self, declared: FeatureSet | Mapping[str, Any]) -> None:
        spec = declared.spec() if isinstance(declared, FeatureSet) else declared
        self._time: str = spec["time"]
        self._id: str | None = spec.get("id")
        self._passes = _all_of(spec["pass"]) if "pass" in spec else None
        self._emits = _all_of(spec.get("emit", ()))
        self._late, self._duplicate = f"{spec['name']}_late", f"{spec['name']}_duplicate"
        self._filters: dict[str, tuple[int, Callable[[Row], bool]]] = {}
        self._readers: dict[str, tuple[int, Callable[[Row], Any]]] = {}
        rings: dict[int, _Ring] = {}
        for window in spec["windows"].values():
            ring = rings.setdefault(window["tile_ms"], _Ring(window["tile_ms"], 0))
            ring.n = max(ring.n, window["tiles"])
        self._rings = list(rings.values())
        longest = max(self._rings, key=lambda ring: (ring.span, ring.tile_ms))
        self._longest, self._span = self._rings.index(longest), longest.span
        self._plans = [
            self._plan(feature, spec["windows"][feature["window"]]) for feature in spec["features"]
        ]
        self._before = [plan for plan in self._plans if plan.aggregate in BEFORE]
        self._after = [plan for plan in self._plans if plan.aggregate not in BEFORE]
        self._none: dict[str, Any] = dict.fromkeys(plan.name for plan in self._plans)
        self._keys: dict[Hashable, _Key] = {}

    def _plan(self, feature: Mapping[str, Any], window: Mapping[str, int]) -> _Plan:
        """Find the feature's filter, column and lane among those there are, or add them."""
        aggregate, column, k = (
            feature["aggregate"],
            feature.get("column"),
            feature.get("k", DEFAULT_K),
        )
        filter_, condition = feature.get("filter", ()), feature.get("condition", ())
        meets, _ = self._filters.setdefault(repr(filter_), (len(self._filters), _all_of(filter_)))
        reader = _all_of(condition) if aggregate == "share" else _reader(column)
        value, _ = self._readers.setdefault(repr((column, condition)), (len(self._readers), reader))
        at = [ring.tile_ms for ring in self._rings].index(window["tile_ms"])
        ring, new = self._rings[at], STATES[aggregate]
        lane = ring.lane_of.setdefault(repr((id(new), k, meets, value)), len(ring.lanes))
        if lane == len(ring.lanes):
            ring.lanes.append(_Lane(lambda: new(k), meets, value, column is not None))
        return _Plan(feature["name"], aggregate, at, lane, window["tiles"], value)

    def process(self, key: Hashable, row: Row) -> dict[str, Any] | None:
        """Return the row with the features added, or None for an update-only row.

        `key` is the row's value of the key column, or a tuple where there are several
        (FeatureSet.key_of). `row[time]` is in ms or None.
        """
        if self._passes is not None and self._passes(row):
            return {**row, **self._none, self._late: False, self._duplicate: False}
        emits, t = self._emits(row), row[self._time]
        if key not in self._keys:
            self._keys[key] = _Key([{} for _ in self._rings], [-math.inf for _ in self._rings])
        state = self._keys[key]
        late = t is None or self._is_below_floor(state, self._longest, t)
        duplicate = not late and self._seen_before(state, row, t)
        features: dict[str, Any] = dict(self._none)
        if not late and not duplicate:
            values = [read(row) for _, read in self._readers.values()]
            if emits:
                self._evaluate_before(state, t, features)
            self._tick(state, t, emits)
            self._apply(state, row, t, values)
            if emits:
                self._evaluate(state, t, values, features)
        return {**row, **features, self._late: late, self._duplicate: duplicate} if emits else None

    def _is_below_floor(self, state: _Key, ring: int, t: int) -> bool:
        return t // self._rings[ring].tile_ms < state.floors[ring]

    def _seen_before(self, state: _Key, row: Row, t: int) -> bool:
        if self._id is None or row[self._id] is None:
            return False
        tile, bucket = self._bucket(t)
        return id_hash(row[self._id], t) in state.ids.get(tile, {}).get(bucket, {})

    def _bucket(self, t: int) -> tuple[int, int]:
        tile_ms = self._rings[self._longest].tile_ms
        tile = t // tile_ms
        return tile, (t - tile * tile_ms) * BUCKETS_PER_TILE // tile_ms

    def _tick(self, state: _Key, t: int, emits: bool) -> None:
        """Move the row's clock, and drop what falls below the new floors."""
        if emits:
            state.newest = t if state.newest is None else max(state.newest, t)
        else:
            state.ahead = t if state.ahead is None else max(state.ahead, t)
        for at, ring in enumerate(self._rings):
            floor = ring.floor(state, self._span)
            if floor > state.floors[at]:
                state.floors[at] = floor
                _drop_below(state.rings[at], floor)
        _drop_below(state.ids, state.floors[self._longest])

    def _apply(self, state: _Key, row: Row, t: int, values: Sequence[Any]) -> None:
        """Apply the row to every ring that still keeps its tile, and remember its id."""
        meets = [holds(row) for _, holds in self._filters.values()]
        for at, ring in enumerate(self._rings):
            if not self._is_below_floor(state, at, t):
                ring.apply(state.rings[at], t, meets, values)
        if self._id is not None and row[self._id] is not None:
            self._remember(state, row[self._id], t)

    def _remember(self, state: _Key, identity: str, t: int) -> None:
        tile, at = self._bucket(t)
        bucket = state.ids.setdefault(tile, {}).setdefault(at, {})
        bucket[id_hash(identity, t)] = None
        if len(bucket) > IDS_PER_BUCKET:
            del bucket[next(iter(bucket))]

    def _evaluate_before(self, state: _Key, t: int, features: dict[str, Any]) -> None:
        """Evaluate `last` and `seconds_since`, which read what preceded this row."""
        for plan in self._before:
            if self._is_below_floor(state, plan.ring, t):
                continue
            tiles = self._rings[plan.ring].covered(state.rings[plan.ring], t, plan.n)
            found = last_seen(
                (s for tile in reversed(tiles) if isinstance(s := tile[plan.lane], Last)), t
            )
            if found is not None and found.t is not None:
                features[plan.name] = (
                    found.value if plan.aggregate == "last" else (t - found.t) / 1000.0
                )

    def _evaluate(
        self, state: _Key, t: int, values: Sequence[Any], features: dict[str, Any]
    ) -> None:
        """Evaluate every other feature, the row itself included.

        A DOUBLE that is not finite becomes NULL.
        """
        covered: dict[tuple[int, int], list[Tile]] = {}
        for plan in self._after:
            if self._is_below_floor(state, plan.ring, t):
                continue
            window = plan.ring, plan.n
            if window not in covered:
                covered[window] = self._rings[plan.ring].covered(state.rings[plan.ring], t, plan.n)
            states = [s for tile in covered[window] if (s := tile[plan.lane]) is not None]
            value = VALUES[plan.aggregate](states, values[plan.value])
            features[plan.name] = (
                None if isinstance(value, float) and not math.isfinite(value) else value
            )


def _drop_below(kept: dict[int, Any], floor: float) -> None:
    for tile in [tile for tile in kept if tile < floor]:
        del kept[tile]


def _reader(column: str | None) -> Callable[[Row], Any]:
    """Return a reader of the column as aggregates see it: numbers as doubles, -0.0 as 0.0.

    The reader returns None for NULL or a number that is not finite.
    """

    def read(row: Row) -> Any:
        value = row[column] if column is not None else None
        if value is None or isinstance(value, str | bool):
            return value
        number = float(value)
        return number + 0.0 if math.isfinite(number) else None

    return read


def _all_of(comparisons: Iterable[Mapping[str, Any]]) -> Callable[[Row], bool]:
    """Return a test of whether a row meets every comparison."""
    tests = [(comparison["column"], _test(comparison)) for comparison in comparisons]

    def holds(row: Row) -> bool:
        for column, test in tests:  # noqa: SIM110 - all() takes twice the time, and this runs for every row and filter
            if not test(row[column]):
                return False
        return True

    return holds


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
    """Return the test of one comparison. A NULL meets `null` alone."""
    if comparison["op"] == "null":
        return lambda v: v is None
    test, value = _TESTS[comparison["op"]], comparison.get("value")
    if not isinstance(value, list | tuple):
        constant = _comparable(value)
        if isinstance(constant, str | bool):
            return lambda v: v is not None and test(v, constant)
        return lambda v: v is not None and test(_comparable(v), constant)
    constants = [_comparable(one) for one in value]
    return lambda v: v is not None and test(_comparable(v), constants)


def _comparable(value: Any) -> Any:
    """Return a number as a double, anything else unchanged."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
