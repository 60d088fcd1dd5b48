"""A key of two columns, and features computed from other features, through real Flink.

A table made up for this: pairs of word and weight, whose rows are then counted by stream, and what
follows from both. The twin and the training kernel give the same bits.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domain.features.declaration import DAY, HOUR, DerivedFeature, Feature, FeatureSet, Window
from domain.features.table import FeatureTable
from orchestration.training.kernel import Plan
from tests.integration import rolling_streams as streams
from tests.integration.flink_home import run_script
from tests.integration.kernel_runs import bits, computed
from tests.integration.rolling_runs import SEEDS, Run, differences, mixed, outputs

PAIR = FeatureSet(
    name="pair",
    entity="pair",
    key=("s", "w"),
    time="at_ltz",
    id="id",
    inputs=streams.INPUTS,
    windows=(Window("2h", 5 * 60_000, 24), Window("9d", DAY, 9)),
    features=(
        Feature("pair_rows", "count", "9d"),
        Feature("pair_mean", "mean", "9d", "x"),
        Feature("pair_since", "seconds_since", "2h"),
    ),
)
STREAM = FeatureSet(
    name="whole",
    entity="stream",
    key="stream",
    time="at_ltz",
    id="id",
    inputs=streams.INPUTS,
    windows=(Window("9d", DAY, 9), Window("3h", HOUR, 3)),
    features=(
        Feature("whole_rows", "count", "9d"),
        Feature("whole_mean", "mean", "3h", "x"),
    ),
)


def _share(row: Any) -> float | None:
    known = row["pair_rows"] is not None and row["whole_rows"]
    return row["pair_rows"] / row["whole_rows"] if known else None


def _others(row: Any) -> int | None:
    known = row["pair_rows"] is not None and row["whole_rows"] is not None
    return row["whole_rows"] - row["pair_rows"] if known else None


def _above(row: Any) -> bool | None:
    known = row["pair_mean"] is not None and row["whole_mean"] is not None
    return row["pair_mean"] > row["whole_mean"] if known else None


PAIRS = FeatureTable(
    name="pairs",
    record="Pairs",
    description="A row with what was known of its pair and of its stream.",
    key="stream",
    carried=({"name": "id", "type": "string", "doc": "The row."},),
    rows=(),
    sets=(PAIR, STREAM),
    model=("pair_rows", "pair_share", "others"),
    derived=(
        DerivedFeature(
            "pair_share",
            "DOUBLE",
            "CAST(pair_rows AS DOUBLE) / NULLIF(whole_rows, 0)",
            _share,
            "Rows of the pair over those of the stream.",
        ),
        DerivedFeature("others", "BIGINT", "whole_rows - pair_rows", _others, "The difference."),
        DerivedFeature("above", "BOOLEAN", "pair_mean > whole_mean", _above, "Above the stream."),
    ),
)


class Table(Run):
    """A run of all sets of a table, with its derived features."""

    def __init__(self, name: str, seed: int, table: FeatureTable, rows: list[streams.Row]) -> None:
        super().__init__(name, seed, table.sets, rows, streams.COLUMNS, streams.COMPUTED)
        self.table = table

    @property
    def expected(self) -> dict[int, dict[str, Any]]:
        return {n: {**row, **self.table.derive(row)} for n, row in super().expected.items()}

    def made(self) -> dict[str, Any]:
        made = super().made()
        derived = [f"{one.sql} AS `{one.name}`" for one in self.table.derived]
        return {**made, "select": [*made["select"], *derived]}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("heads", [None, 0])
def test_the_table_is_the_same_in_flink_and_in_the_twin(tmp_path: Path, heads: int | None) -> None:
    words = ["a", "b", "", None]
    rows = [
        {**row, "s": words[n % 4], "w": None if n % 5 == 0 else n % 3}
        for n, row in enumerate(mixed("p", [80] * 10, SEEDS[-1]))
    ]
    run = Table("pairs", SEEDS[-1], PAIRS, rows)
    job = {"parallelism": 1, "runs": [run.job(tmp_path)]}
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": [job]}))
    run_script("rolling_job.py", tmp_path / "jobs.json", heads=heads)

    got = outputs(tmp_path, run)
    assert not (wrong := differences(run, got)), "\n".join(wrong[:20])
    plan = Plan(PAIRS.sets, (*PAIRS.model, "above"), PAIRS.derived)
    flink = {n: [bits(row[name]) for name in plan.outputs] for n, row in got.items()}
    assert computed(run, plan, workers=2, size=300) == flink
    keys = {PAIR.key_of(run.rows[n]) for n in got}
    assert {("a", None), (None, None), ("", 1)} <= keys
    for name in ("pair_share", "others", "above"):
        assert len({row[name] for row in got.values()}) > 1, f"{name} says something"
