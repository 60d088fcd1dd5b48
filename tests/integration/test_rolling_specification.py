"""The specification holds the kernel: the same random rows through domain/reference.py and through a real Flink job.

Every value of every feature of every row is compared bit by bit. MILLRACE_SEED (default 0) chooses streams and specs; a
failure names the run, the row and the feature.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.features.declaration import DAY, HOUR, Comparison, Feature, FeatureSet, Type, Window
from domain.features.fraud import CUSTOMER, ROWS, TERMINAL
from domain.reference import Rolling
from tests.integration import rolling_streams as streams
from tests.integration.flink_home import run_script

SEED = int(os.environ.get("MILLRACE_SEED", "0"))
MOST_SHOWN = 20


class Run:
    """Rows, how they are fed, and what the reference makes of them."""

    def __init__(
        self, name: str, sets: Sequence[FeatureSet], rows: Sequence[streams.Row], columns: Any, computed: Any
    ) -> None:
        self.name, self.sets, self.columns, self.computed = name, sets, columns, computed
        self.rows = [{**row, "n": n} for n, row in enumerate(rows)]
        self.also: tuple[str, ...] = ()

    def features(self) -> list[str]:
        return [*self.also, *(column for feature_set in self.sets for column in feature_set.columns())]

    def expected(self) -> dict[int, dict[str, Any]]:
        rollings = [Rolling(json.loads(json.dumps(feature_set.spec()))) for feature_set in self.sets]
        out: dict[int, dict[str, Any]] = {}
        for row in self.rows:
            current = row
            for feature_set, rolling in zip(self.sets, rollings, strict=True):
                emitted = rolling.process(current[feature_set.key], current)
                if emitted is None or (len(self.sets) > 1 and emitted[feature_set.duplicate]):
                    break
                current = emitted
            else:
                out[row["n"]] = {name: current[name] for name in self.features()}
        return out

    def job(self, folder: Path) -> dict[str, Any]:
        """The run for rolling_job.py; writes its input."""
        given = [name for name, _ in self.columns]
        lines = (json.dumps({name: _written(row[name]) for name in given}, ensure_ascii=False) for row in self.rows)
        (folder / f"{self.name}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
        drop = len(self.sets) > 1
        return {
            "name": self.name,
            "input": str(folder / f"{self.name}.json"),
            "output": str(folder / f"{self.name}.out"),
            "columns": self.columns,
            "computed": self.computed,
            "steps": [
                {"spec": s.spec(), "key": s.key, "where": f"WHERE NOT `{s.duplicate}`" if drop else ""}
                for s in self.sets
            ],
            "select": ["`n`", *(f"`{name}`" for name in self.features())],
        }


def _written(value: Any) -> Any:
    return repr(value).replace("inf", "Infinity").replace("nan", "NaN") if isinstance(value, float) else value


def _bits(value: Any) -> Any:
    """Equal if and only if type and bits are."""
    return struct.pack(">d", value) if isinstance(value, float) else (type(value), value)


def _differences(run: Run, got: Mapping[int, Mapping[str, Any]]) -> list[str]:
    expected = run.expected()
    found = [f"{run.name}: row {n} only in one of the two" for n in sorted(expected.keys() ^ got.keys())]
    for n in sorted(expected.keys() & got.keys()):
        found += [
            f"{run.name}: row {n}, {name}: reference {value!r}, kernel {got[n][name]!r}"
            for name, value in expected[n].items()
            if _bits(value) != _bits(got[n][name])
        ]
    return found


def _from_flink(output: Path) -> dict[int, dict[str, Any]]:
    parts = [part for part in output.rglob("*") if part.is_file() and not part.name.startswith((".", "_"))]
    read = [json.loads(line) for part in parts for line in part.read_text(encoding="utf-8").splitlines()]
    assert len({row["n"] for row in read}) == len(read), "a row came out twice"
    return {row["n"]: row for row in read}


def _flink(runs: Sequence[Run], folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """What the kernel makes of every run's rows: one Flink job, RocksDB state."""
    (folder / "job.json").write_text(json.dumps({"runs": [run.job(folder) for run in runs]}))
    run_script("rolling_job.py", folder, folder / "job.json", heap="1g", timeout=500)
    return {run.name: _from_flink(folder / f"{run.name}.out") for run in runs}


def _streams(prefix: str, sizes: Sequence[int], seed: int) -> list[streams.Row]:
    """Streams of those sizes, mixed: each keeps its own order."""
    rows = [streams.stream(seed * 1_000_003 + at, f"{prefix}{at}", size) for at, size in enumerate(sizes)]
    turns = [at for at, stream in enumerate(rows) for _ in stream]
    random.Random(seed).shuffle(turns)
    heads = [iter(stream) for stream in rows]
    mixed = [dict(next(heads[at])) for at in turns]
    return [{**row, "at_ltz": row["t"], "at_ts": row["t"]} for row in mixed]


def _generic(feature_set: FeatureSet, rows: Sequence[streams.Row]) -> Run:
    return Run(feature_set.name, [feature_set], rows, streams.COLUMNS, streams.COMPUTED)


def _full_bucket() -> Run:
    """More ids in one bucket than it keeps, then each of them again."""
    ids = [f"id-{i}" for i in range(4200)]
    blank = dict.fromkeys(name for name, _ in streams.INPUTS)
    again = [ids[104], ids[103], ids[-1], *ids[:10]]  # 104 is the oldest of the 4,096 kept
    rows = [{**blank, "stream": "one", "t": 1_700_000_000_000, "id": identity} for identity in [*ids, *again]]
    features = (Feature("rows", "count", "d"),)
    windows = (Window("d", DAY, 2),)
    return _generic(FeatureSet("bucket", "thing", "stream", "t", streams.INPUTS, windows, features, "1", id="id"), rows)


def _chained() -> Run:
    """The second `rolling` is keyed by another column and reads what the first computed."""
    first = FeatureSet(
        "first",
        "thing",
        "stream",
        "at_ltz",
        streams.INPUTS,
        streams.WINDOWS,
        (Feature("mine", "count", "7d"), Feature("my_mean", "mean", "30d", "x"), Feature("my_last", "last", "7d", "s")),
        "1",
        id="id",
    )
    inputs: tuple[tuple[str, Type], ...] = (*streams.INPUTS, *first.columns().items())
    second = FeatureSet(
        "second",
        "shop",
        "s",
        "at_ltz",
        inputs,
        (Window("2h", HOUR, 2), Window("9d", DAY, 9)),
        (
            Feature("shop_mean", "mean", "9d", "my_mean"),
            Feature("shop_lasts", "distinct", "9d", "my_last"),
            Feature("shop_many", "share", "2h", condition=(Comparison("mine", "ge", 3),)),
        ),
        "1",
        id="id",
        emit=(Comparison("kind", "eq", "transaction"),),
    )
    rows = [{**row, "s": row["s"] or "none"} for row in _streams("c", [60] * 12, SEED + 77)]
    return Run("chained", [first, second], rows, streams.COLUMNS, streams.COMPUTED)


def _fraud() -> Run:
    """The real declarations, row features computed by their SQL."""
    rows = []
    for row in _streams("f", [80] * 10, SEED + 99):
        if row["t"] is None or row["t"] < 0:  # where Flink's HOUR() is wrong
            continue
        fed = {
            "kind": row["kind"],
            "event_id": row["id"],
            "transaction_id": row["id"],
            "millis": row["t"],
            "event_time": row["t"],
            "customer_id": row["stream"],
            "terminal_id": row["s"] or "none",
            "amount": row["x"],
            "is_fraud": row["flag"],
            "sequence": None,
            "produced_at": None,
        }
        rows.append(fed | {feature.name: feature.python(fed) for feature in ROWS})
    columns = [("n", "BIGINT"), ("kind", "STRING"), ("event_id", "STRING"), ("transaction_id", "STRING")]
    columns += [("millis", "BIGINT"), ("customer_id", "STRING"), ("terminal_id", "STRING"), ("amount", "DOUBLE")]
    columns += [("is_fraud", "BOOLEAN")]
    time = "CAST(TO_TIMESTAMP_LTZ(millis, 3) AS TIMESTAMP(3))"
    computed = [("event_time", time), *((feature.name, feature.sql.replace("event_time", time)) for feature in ROWS)]
    run = Run("fraud", [CUSTOMER, TERMINAL], rows, columns, computed)
    run.also = tuple(feature.name for feature in ROWS)
    return run


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    sizes = [1] * 40 + [15] * 20 + [120] * 8 + [900]
    made = [_generic(declared, _streams("h", sizes, SEED)) for declared in streams.hand_made()]
    made += [
        _generic(streams.random_set(SEED * 100 + i), _streams("r", sizes[20:-1], SEED * 100 + i)) for i in range(6)
    ]
    return [*made, _full_bucket(), _chained(), _fraud()]


@pytest.fixture(scope="module")
def kernel(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, dict[str, Any]]]:
    return _flink(runs, tmp_path_factory.mktemp("rolling"))


def test_every_bit_agrees(runs: list[Run], kernel: dict[str, dict[int, dict[str, Any]]]) -> None:
    for name in ("every", "terminal", "bucket", "chained", "fraud"):  # a random spec may emit nothing
        assert kernel[name], f"{name}: nothing came out"
    found = [difference for run in runs for difference in _differences(run, kernel[run.name])]
    assert not found, "\n".join([f"seed {SEED}: {len(found)} differences", *found[:MOST_SHOWN]])


def test_the_streams_hold_what_breaks_things(runs: list[Run]) -> None:
    """Late and duplicate rows, NULLs among values: a comparison of nothing would agree too."""
    every = runs[0].expected().values()
    assert sum(row["every_late"] for row in every) > 10
    assert sum(row["every_duplicate"] for row in every) > 10
    for feature in runs[0].sets[0].features:
        values = {_bits(row[feature.name]) for row in every}
        assert len(values) > 3, f"{feature.name} hardly varies: {values}"
