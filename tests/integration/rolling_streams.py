"""Random streams and specs for test_rolling_specification.py.

Seeded, with what breaks things made likely.
"""

from __future__ import annotations

import math
import random
from typing import Any

from domain.features.declaration import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    AggregateName,
    Comparison,
    Feature,
    FeatureSet,
    Type,
    Window,
)

Row = dict[str, Any]

COLUMNS: list[tuple[str, Type]] = [
    ("n", "BIGINT"),
    ("stream", "STRING"),
    ("t", "BIGINT"),
    ("id", "STRING"),
    ("kind", "STRING"),
    ("flag", "BOOLEAN"),
    ("x", "DOUBLE"),
    ("w", "BIGINT"),
    ("s", "STRING"),
]
COMPUTED = [
    ("at_ltz", "TO_TIMESTAMP_LTZ(t, 3)"),
    ("at_ts", "CAST(TO_TIMESTAMP_LTZ(t, 3) AS TIMESTAMP(3))"),
]
INPUTS: tuple[tuple[str, Type], ...] = (
    *COLUMNS,
    ("at_ltz", "TIMESTAMP"),
    ("at_ts", "TIMESTAMP"),
)
WINDOWS = (
    Window("1h", 5 * MINUTE, 12),
    Window("7d", 6 * HOUR, 28),
    Window("3d", 6 * HOUR, 12),
    Window("30d", DAY, 30),
    Window("tile", DAY, 1),
    Window("10s", SECOND, 10),
)
_WORDS = ["a", "b", "", "ü", "日本", "🙂 two", "a'b\"c", *(f"terminal-{i}" for i in range(120))]
_NUMBER: tuple[AggregateName, ...] = ("sum", "mean", "min", "max", "std", "zscore", "ratio")


def stream(seed: int, name: str, rows: int) -> list[Row]:
    """One key's rows, in the order they arrive.

    What kind of trouble they hold depends on the seed.
    """
    chance = random.Random(seed)
    now = chance.choice([0, 1_700_000_000_000, -3 * DAY, -20_000 * DAY, 12_345, 4_000 * DAY - 1])
    step = chance.choice([SECOND // 2, MINUTE, 20 * MINUTE, 5 * HOUR, DAY])
    disorder = chance.choice([0.0, 0.0, 0.1, 0.5])
    labels = chance.choice([0.0, 0.2, 0.6])
    ahead = chance.choice([0, 0, HOUR, 20 * DAY, 29 * DAY, 45 * DAY])
    out: list[Row] = []
    for _ in range(rows):
        now += int(chance.expovariate(1 / step))
        if chance.random() < 0.02:
            now += chance.choice([40 * DAY, 200 * DAY, 29 * DAY, 30 * DAY])
        if chance.random() < 0.05:
            now -= now % chance.choice([DAY, 6 * HOUR, 5 * MINUTE, SECOND])  # on the edge of tiles
        label = chance.random() < labels
        t = now + (ahead if label else 0)
        if chance.random() < disorder:
            t -= int(chance.expovariate(1 / chance.choice([MINUTE, 10 * step, 10 * DAY, 40 * DAY])))
        if out and chance.random() < 0.06:
            out.append(dict(chance.choice(out)))  # a duplicate, whole
            if chance.random() < 0.3:
                out[-1]["t"] = t  # the same id at another time is another row
            continue
        out.append(_row(chance, name, t, label))
    return out


def _row(chance: random.Random, name: str, t: int, label: bool) -> Row:
    return {
        "stream": name,
        "t": None if chance.random() < 0.01 else t,
        "id": None if chance.random() < 0.05 else f"{name}/{chance.getrandbits(40):x}",
        "kind": "label" if label else chance.choice(["transaction", "transaction", "refund", None]),
        "flag": chance.choice([True, False, None]),
        "x": None if label and chance.random() < 0.8 else number(chance),
        "w": chance.choice([None, 0, 1, 2, 3, -7, chance.randrange(-(1 << 62), 1 << 62)]),
        "s": chance.choice([None, *_WORDS]),
    }


def number(chance: random.Random) -> float | None:
    """Mostly money; sometimes what floats can be."""
    if chance.random() < 0.75:
        return round(chance.lognormvariate(3, 1), 2) * chance.choice([1, 1, 1, -1])
    odd = [
        None,
        math.nan,
        math.inf,
        -math.inf,
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        1e308,
        -1.7e308,
        1e-300,
        0.1,
        42.0,
        42.0,
    ]
    return chance.choice([*odd, chance.uniform(-1e9, 1e9), chance.gauss(1e15, 1.0)])


def hand_made() -> list[FeatureSet]:
    """Two specs that hold every aggregate, on two kinds of time column, and one that passes rows.

    Rows of the latter that pass are late and duplicate too, and would move its clocks.
    """
    every = [
        Feature("rows", "count", "7d"),
        Feature("rows_1h", "count", "1h"),
        Feature("xs", "count", "30d", "x"),
        Feature("flags", "count", "3d", "flag"),
        Feature("terminals", "distinct", "30d", "s", k=8),
        Feature("terminals_64", "distinct", "30d", "s"),
        Feature("amounts", "distinct", "7d", "x", k=16),
        Feature("last_s", "last", "30d", "s"),
        Feature("last_x", "last", "3d", "x"),
        Feature("last_w", "last", "1h", "w"),
        Feature("since", "seconds_since", "30d"),
        Feature("since_s", "seconds_since", "7d", "s"),
        Feature("fraud", "share", "30d", condition=(Comparison("flag", "eq", True),)),
        *(Feature(f"x_{name}_30d", name, "30d", "x") for name in _NUMBER),
        *(Feature(f"x_{name}_1h", name, "1h", "x") for name in _NUMBER),
        *(Feature(f"w_{name}", name, "7d", "w") for name in _NUMBER),
    ]
    emit = (Comparison("kind", "ne", "label"),)
    label = (Comparison("kind", "eq", "label"),)
    terminal = [
        Feature("labels", "count", "7d", filter=label),
        Feature("labels_1h", "count", "1h", filter=label),
        Feature("risk", "share", "30d", filter=label, condition=(Comparison("flag", "eq", True),)),
        Feature(
            "risk_3d", "share", "3d", filter=label, condition=(Comparison("flag", "ne", True),)
        ),
        Feature("mean_10s", "mean", "10s", "x", filter=(Comparison("x", "gt", 0),)),
        Feature("since_label", "seconds_since", "7d", filter=label),
        Feature(
            "std_tile",
            "std",
            "tile",
            "x",
            filter=(Comparison("s", "notnull"), Comparison("x", "le", 50.5)),
        ),
        Feature("zscore", "zscore", "7d", "x", filter=emit),
        Feature("last_labelled", "last", "30d", "s", filter=label),
        Feature("shops", "distinct", "30d", "s", filter=emit, k=24),
    ]
    passing = [
        Feature("kept", "count", "30d"),
        Feature("kept_1h", "count", "1h"),
        Feature("kept_mean", "mean", "7d", "x"),
        Feature("kept_last", "last", "30d", "s"),
        Feature("since_kept", "seconds_since", "7d"),
        Feature("kept_shops", "distinct", "30d", "s", k=16),
    ]
    return [
        FeatureSet("every", "thing", "stream", "t", INPUTS, WINDOWS, tuple(every), id="id"),
        FeatureSet(
            "terminal",
            "thing",
            "stream",
            "at_ltz",
            INPUTS,
            WINDOWS,
            tuple(terminal),
            id="id",
            emit=emit,
        ),
        FeatureSet(
            "passing",
            "thing",
            "stream",
            "at_ts",
            INPUTS,
            WINDOWS,
            tuple(passing),
            id="id",
            emit=emit,
            passes=(Comparison("flag", "eq", True), Comparison("kind", "ne", "refund")),
        ),
    ]


def random_set(seed: int) -> FeatureSet:
    """Draw a spec: windows, aggregates, filters, k, with or without pass, emit and id."""
    chance = random.Random(seed)
    windows = [
        Window(
            f"w{i}",
            chance.choice([1, 7, SECOND, MINUTE, 5 * MINUTE, HOUR, 6 * HOUR, DAY]),
            chance.randint(1, 40),
        )
        for i in range(chance.randint(1, 5))
    ]
    return FeatureSet(
        name=f"random_{seed}",
        entity="thing",
        key="stream",
        time=chance.choice(["t", "at_ltz", "at_ts"]),
        inputs=INPUTS,
        windows=tuple(windows),
        features=tuple(_feature(chance, f"f{i}", windows) for i in range(chance.randint(1, 16))),
        id=chance.choice(["id", "id", None]),
        emit=_comparisons(chance, 0.4),
        passes=_comparisons(chance, 0.3),
    )


def _feature(chance: random.Random, name: str, windows: list[Window]) -> Feature:
    every: list[AggregateName] = [*_NUMBER, "count", "distinct", "last", "seconds_since", "share"]
    aggregate = chance.choice(every)
    column: str | None = chance.choice(["x", "x", "w"])
    if aggregate in ("count", "seconds_since"):
        column = chance.choice([None, "x", "w", "s", "flag", "at_ts"])
    elif aggregate in ("distinct", "last"):
        column = chance.choice(["x", "w", "s"])
    elif aggregate == "share":
        column = None
    return Feature(
        name,
        aggregate,
        chance.choice(windows).name,
        column,
        filter=_comparisons(chance, 0.5),
        condition=_comparisons(chance, 1.0) if aggregate == "share" else (),
        k=chance.choice([None, 8, 9, 100, 1024]) if aggregate == "distinct" else None,
    )


def _comparisons(chance: random.Random, likely: float) -> tuple[Comparison, ...]:
    if chance.random() >= likely:
        return ()
    return tuple(_comparison(chance) for _ in range(chance.choice([1, 1, 2])))


def _comparison(chance: random.Random) -> Comparison:
    return chance.choice(
        [
            Comparison(
                "kind",
                chance.choice(["eq", "ne"]),
                chance.choice(["label", "transaction", "nothing"]),
            ),
            Comparison("kind", "in", ("transaction", "refund")),
            Comparison("flag", chance.choice(["eq", "ne"]), chance.choice([True, False])),
            Comparison("flag", "in", (True,)),
            Comparison("s", chance.choice(["null", "notnull"])),
            Comparison("s", "in", ("a", "", "日本", "a'b\"c")),
            Comparison("at_ltz", "notnull"),
            Comparison(
                chance.choice(["x", "w"]),
                chance.choice(["eq", "ne", "lt", "le", "gt", "ge"]),
                chance.choice([0, -0.0, 1, 42.0, -7, 20.5, 1e300]),
            ),
            Comparison("w", "in", (1, 2.0, -7)),
        ]
    )
