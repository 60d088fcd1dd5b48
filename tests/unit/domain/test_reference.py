"""Test the reference engine against an oracle that recomputes each value from every row."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.features.declaration import AggregateName, Comparison, Feature, FeatureSet, Type, Window
from domain.features.reference import Rolling

INPUTS: tuple[tuple[str, Type], ...] = (
    ("key", "STRING"),
    ("t", "BIGINT"),
    ("id", "STRING"),
    ("kind", "STRING"),
    ("x", "DOUBLE"),
    ("s", "STRING"),
    ("bad", "BOOLEAN"),
)
WINDOWS = (Window("a", 10, 3), Window("b", 10, 6), Window("long", 25, 5))
LABEL = (Comparison("kind", "eq", "label"),)
PAYMENT = (Comparison("kind", "eq", "payment"),)
PASSING = (Comparison("kind", "eq", "passing"),)
AGGREGATES: tuple[AggregateName, ...] = (
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "zscore",
    "ratio",
)


def feature_set(**changes: Any) -> FeatureSet:
    features = [Feature(f"{a}_{w.name}", a, w.name, "x") for a in AGGREGATES for w in WINDOWS]
    for w in WINDOWS:
        features += [
            Feature(f"rows_{w.name}", "count", w.name),
            Feature(f"labels_{w.name}", "count", w.name, filter=LABEL),
            Feature(
                f"share_{w.name}",
                "share",
                w.name,
                filter=LABEL,
                condition=(Comparison("bad", "eq", True),),
            ),
            Feature(f"distinct_{w.name}", "distinct", w.name, "s", k=8),
            Feature(f"last_{w.name}", "last", w.name, "s"),
            Feature(f"since_{w.name}", "seconds_since", w.name, filter=PAYMENT),
        ]
    given_ = {
        "features": tuple(features),
        "emit": PAYMENT,
        "id": "id",
        "windows": WINDOWS,
    } | changes
    return FeatureSet(name="f", entity="e", key="key", time="t", inputs=INPUTS, **given_)


def row(t: int | None, **columns: Any) -> dict[str, Any]:
    return {
        "key": "k",
        "t": t,
        "id": None,
        "kind": "payment",
        "x": None,
        "s": None,
        "bad": None,
    } | columns


NAMES = [feature.name for feature in feature_set().features]


class Oracle:
    """docs/rolling.md by brute force."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def floor(self, tile_ms: int, n: int) -> float:
        newest = [r["t"] // tile_ms for r in self.rows if r["kind"] == "payment"]
        ahead = [(r["t"] - 125) // tile_ms for r in self.rows if r["kind"] != "payment"]
        return max([*newest, *ahead], default=-math.inf) - n + 1

    def within(self, window: Window, t: int) -> list[dict[str, Any]] | None:
        n = {10: 6, 25: 5}[window.tile_ms]
        floor, tile = self.floor(window.tile_ms, n), t // window.tile_ms
        if tile < floor:
            return None
        oldest = max(floor, tile - window.tiles + 1)
        return [r for r in self.rows if oldest <= r["t"] // window.tile_ms <= tile]

    def last(self, window: Window, t: int, meets: Any) -> dict[str, Any] | None:
        rows = [r for r in self.within(window, t) or [] if meets(r)]
        for tile in sorted({r["t"] // window.tile_ms for r in rows}, reverse=True):
            best: dict[str, Any] = {}
            for r in rows:
                if r["t"] // window.tile_ms == tile and (not best or r["t"] >= best["t"]):
                    best = r
            if best["t"] <= t:
                return best
        return None

    def process(self, new: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        t = new["t"]
        if t is None or t // 25 < self.floor(25, 5):
            return "late", {}
        if new["id"] is not None and any(r["id"] == new["id"] and r["t"] == t for r in self.rows):
            return "duplicate", {}
        values: dict[str, Any] = {}
        for w in WINDOWS:
            last = self.last(w, t, lambda r: r["s"] is not None)
            since = self.last(w, t, lambda r: r["kind"] == "payment")
            values[f"last_{w.name}"] = last and last["s"]
            values[f"since_{w.name}"] = since and (t - since["t"]) / 1000.0
        self.rows.append(new)
        for w in WINDOWS:
            rows = self.within(w, t)
            values |= {
                f"{name}_{w.name}": value for name, value in self.values(rows, new["x"]).items()
            }
        return "fine", values

    def values(self, rows: list[dict[str, Any]] | None, x: float | None) -> dict[str, Any]:
        if rows is None:
            names = (*AGGREGATES, "rows", "labels", "share", "distinct")
            return dict.fromkeys(names)
        xs = [r["x"] for r in rows if r["x"] is not None and math.isfinite(r["x"])]
        labels = [r["bad"] is True for r in rows if r["kind"] == "label"]
        mean = math.fsum(xs) / len(xs) if xs else None
        std = statistics.stdev(xs) if len(xs) > 1 else None
        known = x is not None and math.isfinite(x)
        return {
            "count": len(xs),
            "sum": math.fsum(xs),
            "mean": mean,
            "min": min(xs, default=None),
            "max": max(xs, default=None),
            "std": std,
            "zscore": (x - mean) / std
            if known and std and mean is not None and x is not None
            else None,
            "ratio": x / mean if known and mean and x is not None else None,
            "rows": len(rows),
            "labels": len(labels),
            "share": sum(labels) / len(labels) if labels else None,
            "distinct": len({r["s"] for r in rows if r["s"] is not None}),
        }


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "step": st.sampled_from([0, 0, 1, 3, 10, 25, 24, -1, -10, -40, -200, 130, 1000]),
            "ahead": st.sampled_from([0, 30, 100, 150]),
            "kind": st.sampled_from(["payment", "payment", "label", "passing"]),
            # Quarters: sums of them are exact, so that zero means zero to both.
            "x": st.one_of(
                st.none(),
                st.sampled_from([math.nan, math.inf, -0.0]),
                st.integers(-4000, 4000).map(lambda q: q / 4),
            ),
            "s": st.sampled_from([None, "a", "b", "c", "d"]),
            "bad": st.sampled_from([None, True, False]),
            "id": st.sampled_from([None, "1", "2", "3", "4", "5", "6"]),
            "no_time": st.integers(0, 19).map(lambda i: i == 0),
        }
    ),
    max_size=40,
)

FEATURES = feature_set().features


@settings(max_examples=3 * settings().max_examples)
@given(start=st.sampled_from([0, -1000, 10**12]), drawn=ROWS)
def test_every_value_is_what_the_definition_says(start: int, drawn: list[dict[str, Any]]) -> None:
    rolling, oracle, now = Rolling(feature_set(passes=PASSING)), Oracle(), start
    for item in drawn:
        now += item["step"]
        t = None if item["no_time"] else now + (item["ahead"] if item["kind"] == "label" else 0)
        new = row(t, **{name: item[name] for name in ("kind", "x", "s", "bad", "id")})
        out = rolling.process("k", new)
        if new["kind"] == "passing":
            assert out == {**new, **dict.fromkeys(NAMES), "f_late": False, "f_duplicate": False}
            continue
        fate, values = oracle.process(new)
        if new["kind"] == "label":
            assert out is None
            continue
        assert out is not None
        assert (out["f_late"], out["f_duplicate"]) == (fate == "late", fate == "duplicate")
        for feature in FEATURES:
            expected = values.get(feature.name)
            assert out[feature.name] == (
                pytest.approx(expected, rel=1e-9, abs=1e-9)
                if isinstance(expected, float)
                else expected
            ), feature.name


def test_a_row_that_passes_is_emitted_as_it_is_and_changes_nothing() -> None:
    touched, untouched = Rolling(feature_set(passes=LABEL)), Rolling(feature_set(passes=LABEL))
    for rolling in (touched, untouched):
        rolling.process("k", row(1000, id="1", x=1.0))
    blank = {**dict.fromkeys(NAMES), "f_late": False, "f_duplicate": False}
    for passing in (
        row(None, id="1", kind="label", x=1.0),  # without a time it would be late
        row(0, kind="label"),  # as it would be at this one
        row(1000, id="1", kind="label"),  # and a duplicate here
        row(10**9, id="2", kind="label", bad=True),  # this one would push everything out
    ):
        assert touched.process("k", passing) == passing | blank
    for new in (row(1000, id="2", x=3.0, s="a"), row(880, id="3", x=5.0), row(1001, id="1")):
        assert touched.process("k", new) == untouched.process("k", new)


def test_pass_wins_over_emit_and_takes_only_rows_that_meet_all_of_it() -> None:
    both = (*PAYMENT, Comparison("x", "gt", 5))
    rolling = Rolling(feature_set(passes=both))
    passed = rolling.process("k", row(1000, x=6.0))
    taken = rolling.process("k", row(1000, x=5.0))
    assert rolling.process("k", row(1000, x=6.0, kind="label")) is None
    assert passed is not None
    assert taken is not None
    assert (passed["rows_a"], taken["rows_a"]) == (None, 1)


def test_a_key_that_only_passed_rows_has_no_state() -> None:
    rolling = Rolling(feature_set(passes=LABEL))
    rolling.process("k", row(10**9, kind="label"))
    first = rolling.process("k", row(5, s="a"))
    assert first is not None
    assert (first["f_late"], first["rows_long"]) == (False, 1)


def test_what_is_late_or_seen_before_changes_nothing() -> None:
    rolling = Rolling(feature_set())
    rolling.process("k", row(1000, id="1", x=1.0))
    again = rolling.process("k", row(1000, id="1", x=1.0))
    late = rolling.process("k", row(800, id="2", x=1.0))
    timeless = rolling.process("k", row(None, id="3", x=1.0))
    assert again is not None
    assert late is not None
    assert timeless is not None
    assert (again["f_duplicate"], again["f_late"], again["rows_a"]) == (True, False, None)
    assert (late["f_duplicate"], late["f_late"], late["rows_a"]) == (False, True, None)
    assert timeless["f_late"]
    after = rolling.process("k", row(1001, id="4", x=1.0))
    assert after is not None
    assert after["rows_long"] == 2


def test_the_same_id_at_another_time_is_another_row() -> None:
    rolling = Rolling(feature_set())
    rolling.process("k", row(1000, id="1"))
    out = rolling.process("k", row(1001, id="1"))
    assert out is not None
    assert not out["f_duplicate"]


@pytest.mark.slow
def test_a_full_bucket_forgets_the_id_that_came_first() -> None:
    rolling = Rolling(feature_set())
    for i in range(4097):
        rolling.process("k", row(1000, id=str(i)))
    first, second = (
        rolling.process("k", row(1000, id="0")),
        rolling.process("k", row(1000, id="4096")),
    )
    assert first is not None
    assert second is not None
    assert not first["f_duplicate"]
    assert second["f_duplicate"]


def test_labels_a_whole_span_ahead_push_nothing_out_of_any_ring() -> None:
    plain, ahead = Rolling(feature_set()), Rolling(feature_set())
    payments = [row(1000 + i * 7, x=float(i), s=str(i)) for i in range(12)]
    ahead.process("k", row(1000 + 11 * 7 + 100, kind="label", bad=True))
    for payment in payments:
        assert plain.process("k", payment) == ahead.process("k", payment)


def test_a_row_out_of_order_sees_nothing_of_its_future() -> None:
    rolling = Rolling(feature_set())
    for t in (100, 110, 130):
        rolling.process("k", row(t, x=1.0))
    out = rolling.process("k", row(115, x=5.0, s="z"))
    assert out is not None
    assert (out["rows_b"], out["max_b"]) == (3, 5.0)


def test_keys_do_not_touch_each_other() -> None:
    rolling = Rolling(feature_set())
    rolling.process("one", row(100))
    out = rolling.process("two", row(100))
    assert out is not None
    assert out["rows_long"] == 1


def test_the_longest_ring_among_equals_has_the_larger_tile() -> None:
    windows = (Window("fine", 10, 6), Window("coarse", 30, 2))
    rolling = Rolling(
        feature_set(windows=windows, features=(Feature("n", "count", "fine"),), emit=())
    )
    rolling.process("k", row(119))
    # Tile 2 of the coarse ring (60 to 89) is kept, tile 6 of the fine one (60 to 69) is not.
    out = rolling.process("k", row(60))
    assert out is not None
    assert not out["f_late"]
    assert rolling.process("k", row(59)) is not None
    late = rolling.process("k", row(59))
    assert late is not None
    assert late["f_late"]


@pytest.mark.parametrize(
    ("comparison", "met"),
    [
        (Comparison("x", "eq", 0), [0.0, -0.0]),
        (Comparison("x", "ne", 0), [1.5, math.nan]),
        (Comparison("x", "lt", 1), [0.0, -0.0]),
        (Comparison("x", "le", 1.5), [0.0, -0.0, 1.5]),
        (Comparison("x", "gt", 1), [1.5]),
        (Comparison("x", "ge", 1.5), [1.5]),
        (Comparison("x", "in", (1.5, 7)), [1.5]),
        (Comparison("x", "null"), [None]),
        (Comparison("x", "notnull"), [0.0, -0.0, 1.5, math.nan]),
    ],
    ids=lambda value: value.text() if isinstance(value, Comparison) else "",
)
def test_comparisons(comparison: Comparison, met: list[float | None]) -> None:
    declared = feature_set(features=(Feature("n", "count", "long", filter=(comparison,)),), id=None)
    for x in (0.0, -0.0, 1.5, math.nan, None):
        out = Rolling(declared).process("k", row(0, x=x))
        assert out is not None
        expected = any(
            x is one or (x == one and math.copysign(1, x or 0) == math.copysign(1, one or 0))
            for one in met
        )
        assert (out["n"] == 1) == expected, (x, comparison.text())
