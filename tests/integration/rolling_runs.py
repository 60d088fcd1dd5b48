"""What test_rolling_specification.py compares.

Runs of random rows, what the reference makes of them, what differs.

MILLRACE_SEED draws everything anew. Without it there are two seeds, 0 and one that nobody has seen
before.
"""

from __future__ import annotations

import json
import os
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from domain.features.declaration import DAY, HOUR, Comparison, Feature, FeatureSet, Type, Window
from domain.features.reference import Rolling
from domain.fraud.catalogue import SETS
from domain.fraud.rows import ROWS
from tests.integration import rolling_streams as streams

Rows = Mapping[int, Mapping[str, Any]]
"""Features by name, by the row's number."""


def seeds(environ: Mapping[str, str]) -> tuple[int, ...]:
    """The seeds of this session: what MILLRACE_SEED says, or 0 and a fresh one."""
    given = environ.get("MILLRACE_SEED")
    return (int(given),) if given else (0, random.SystemRandom().randrange(1, 1_000_000))


SEEDS = seeds(os.environ)


class Run:
    """Rows, how they are fed, and what the reference makes of them."""

    def __init__(
        self,
        name: str,
        seed: int,
        sets: Sequence[FeatureSet],
        rows: Sequence[streams.Row],
        columns: Any,
        computed: Any,
    ) -> None:
        self.kind, self.name, self.seed = name, f"{name}_{seed}", seed
        self.sets, self.columns, self.computed = sets, columns, computed
        self.rows = [{**row, "n": n} for n, row in enumerate(rows)]
        self.also: tuple[str, ...] = ()

    def features(self) -> list[str]:
        return [
            *self.also,
            *(column for feature_set in self.sets for column in feature_set.columns()),
        ]

    @cached_property
    def expected(self) -> dict[int, dict[str, Any]]:
        rollings = [
            Rolling(json.loads(json.dumps(feature_set.spec()))) for feature_set in self.sets
        ]
        out: dict[int, dict[str, Any]] = {}
        for row in self.rows:
            current = row
            for feature_set, rolling in zip(self.sets, rollings, strict=True):
                emitted = rolling.process(feature_set.key_of(current), current)
                if emitted is None or (len(self.sets) > 1 and emitted[feature_set.duplicate]):
                    break
                current = emitted
            else:
                out[row["n"]] = {name: current[name] for name in self.features()}
        return out

    def job(self, folder: Path) -> dict[str, Any]:
        """The run for rolling_job.py; writes its input below `folder`."""
        return self._fed(folder) | {
            "input": str(self._write(folder / f"{self.name}.json", self.rows))
        }

    def job_in_halves(self, folder: Path) -> dict[str, Any]:
        """The same, fed in two halves.

        Writes the first below the run's own folder and the second beside it.
        """
        middle = len(self.rows) // 2
        before = sum(n < middle for n in self.expected)
        folder_in = folder / f"{self.name}.in"
        folder_in.mkdir()
        self._write(folder_in / "first.json", self.rows[:middle])
        later = self._write(folder / f"{self.name}.later", self.rows[middle:])
        lines = [before, len(self.expected)]
        return self._fed(folder) | {"input": str(folder_in), "later": str(later), "lines": lines}

    def _fed(self, folder: Path) -> dict[str, Any]:
        output = str(folder / f"{self.name}.out")
        return {
            "name": self.name,
            "output": output,
            "columns": self.columns,
            "computed": self.computed,
            **self.made(),
        }

    def made(self) -> dict[str, Any]:
        """What rolling_job.py makes of the rows, whatever they are and wherever it goes."""
        drop = len(self.sets) > 1
        return {
            "steps": [
                {
                    "spec": s.spec(),
                    "key": list(s.keys),
                    "where": f"WHERE NOT `{s.duplicate}`" if drop else "",
                }
                for s in self.sets
            ],
            "select": ["`n`", *(f"`{name}`" for name in self.features())],
        }

    def _write(self, path: Path, rows: Sequence[streams.Row]) -> Path:
        given = [name for name, _ in self.columns]
        lines = (
            json.dumps({name: _written(row[name]) for name in given}, ensure_ascii=False)
            for row in rows
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def outputs(folder: Path, run: Run) -> Rows:
    """What rolling_job.py wrote of a run below `folder`."""
    lines = (
        line
        for part in parts(folder, run)
        for line in part.read_text(encoding="utf-8").splitlines()
    )
    read = [json.loads(line) for line in lines]
    assert len({row["n"] for row in read}) == len(read), f"{run.name}: a row came out twice"
    return {row["n"]: row for row in read}


def parts(folder: Path, run: Run) -> list[Path]:
    """The files that hold a run's output."""
    found = (folder / f"{run.name}.out").rglob("*")
    return [part for part in found if part.is_file() and not part.name.startswith((".", "_"))]


def _written(value: Any) -> Any:
    return (
        repr(value).replace("inf", "Infinity").replace("nan", "NaN")
        if isinstance(value, float)
        else value
    )


def bits(value: Any) -> Any:
    """Equal if and only if type and bits are."""
    return struct.pack(">d", value) if isinstance(value, float) else (type(value), value)


def differences(run: Run, got: Rows) -> list[str]:
    """Return a line for each value that differs from the reference and each row only one has."""

    def where(n: int) -> str:
        row = run.rows[n]
        keys = ", ".join(f"{declared.key} {declared.key_of(row)!r}" for declared in run.sets)
        return f"MILLRACE_SEED={run.seed}, {run.kind}: key {keys}, row {n}"

    return compared(run.expected, got, where)


def compared(expected: Rows, got: Rows, where: Callable[[int], str]) -> list[str]:
    """The same of any rows; `where` names a row by its number.

    Only the features expected of a row are looked at.
    """
    found = [
        f"{where(n)}: emitted by the reference alone" for n in sorted(expected.keys() - got.keys())
    ]
    found += [
        f"{where(n)}: emitted by the kernel alone" for n in sorted(got.keys() - expected.keys())
    ]
    for n in sorted(expected.keys() & got.keys()):
        found += [
            f"{where(n)}, feature {name}: reference {value!r}, kernel {got[n][name]!r}"
            for name, value in expected[n].items()
            if bits(value) != bits(got[n][name])
        ]
    return found


def mixed(prefix: str, sizes: Sequence[int], seed: int) -> list[streams.Row]:
    """Streams of those sizes, mixed: each keeps its own order."""
    rows = [
        streams.stream(seed * 1_000_003 + at, f"{prefix}{at}", size)
        for at, size in enumerate(sizes)
    ]
    turns = [at for at, stream in enumerate(rows) for _ in stream]
    random.Random(seed).shuffle(turns)
    heads = [iter(stream) for stream in rows]
    mixed = [dict(next(heads[at])) for at in turns]
    return [{**row, "at_ltz": row["t"], "at_ts": row["t"]} for row in mixed]


def _generic(name: str, seed: int, declared: FeatureSet, rows: Sequence[streams.Row]) -> Run:
    return Run(name, seed, [declared], rows, streams.COLUMNS, streams.COMPUTED)


def _full_bucket(seed: int) -> Run:
    """More ids in one bucket than it keeps, then each of them again."""
    ids = [f"id-{i}" for i in range(4200)]
    blank = dict.fromkeys(name for name, _ in streams.INPUTS)
    again = [ids[104], ids[103], ids[-1], *ids[:10]]  # 104 is the oldest of the 4,096 kept
    rows = [
        {**blank, "stream": "one", "t": 1_700_000_000_000, "id": identity}
        for identity in [*ids, *again]
    ]
    features = (Feature("rows", "count", "d"),)
    windows = (Window("d", DAY, 2),)
    bucket = FeatureSet(
        "bucket", "thing", "stream", "t", streams.INPUTS, windows, features, id="id"
    )
    return _generic("bucket", seed, bucket, rows)


def _chained(seed: int) -> Run:
    """Chain two: the second is keyed by another column and reads what the first computed.

    Refunds pass through the first and update the second; rows of no kind do the opposite.
    """
    first = FeatureSet(
        "first",
        "thing",
        "stream",
        "at_ltz",
        streams.INPUTS,
        streams.WINDOWS,
        (
            Feature("mine", "count", "7d"),
            Feature("my_mean", "mean", "30d", "x"),
            Feature("my_last", "last", "7d", "s"),
        ),
        id="id",
        passes=(Comparison("kind", "eq", "refund"),),
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
        id="id",
        emit=(Comparison("kind", "eq", "transaction"),),
        passes=(Comparison("kind", "null"),),
    )
    rows = [{**row, "s": row["s"] or "none"} for row in mixed("c", [60] * 12, seed + 77)]
    return Run("chained", seed, [first, second], rows, streams.COLUMNS, streams.COMPUTED)


def _fraud(seed: int) -> Run:
    """The real declarations, row features computed by their SQL."""
    rows = []
    for row in mixed("f", [80] * 10, seed + 99):
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
    columns = [
        ("n", "BIGINT"),
        ("kind", "STRING"),
        ("event_id", "STRING"),
        ("transaction_id", "STRING"),
    ]
    columns += [
        ("millis", "BIGINT"),
        ("customer_id", "STRING"),
        ("terminal_id", "STRING"),
        ("amount", "DOUBLE"),
    ]
    columns += [("is_fraud", "BOOLEAN")]
    time = "CAST(TO_TIMESTAMP_LTZ(millis, 3) AS TIMESTAMP(3))"
    computed = [
        ("event_time", time),
        *((feature.name, feature.sql.replace("event_time", time)) for feature in ROWS),
    ]
    run = Run("fraud", seed, SETS, rows, columns, computed)
    run.also = tuple(feature.name for feature in ROWS)
    return run


def drawn(seed: int) -> list[Run]:
    """Every kind of run but `many`: a few keys each, of a few rows and of many."""
    sizes = [1] * 40 + [15] * 20 + [120] * 8 + [900]
    made = [
        _generic(declared.name, seed, declared, mixed("h", sizes, seed))
        for declared in streams.hand_made()
    ]
    made += [
        _generic(
            f"random{i}",
            seed,
            streams.random_set(seed * 100 + i),
            mixed("r", sizes[20:-1], seed * 100 + i),
        )
        for i in range(6)
    ]
    return [*made, _full_bucket(seed), _chained(seed), _fraud(seed)]


def many(seed: int) -> Run:
    """5,200 keys that come once, twice or a few times, with others between."""
    return _generic("many", seed, streams.hand_made()[0], mixed("m", [1, 2, 2, 4] * 1300, seed))
