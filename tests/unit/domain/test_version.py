"""Versions follow from declarations: any change of meaning changes them, prose does not."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from config.settings import ROOT
from domain.features.declaration import Comparison, Feature, FeatureSet, RowFeature, Window
from domain.features.table import FeatureTable
from domain.features.version import version_of
from domain.fraud.graph import GRAPH

SET = FeatureSet(
    name="visits",
    entity="visitor",
    key="visitor",
    time="at",
    inputs=(("visitor", "STRING"), ("page", "STRING"), ("at", "TIMESTAMP"), ("spent", "DOUBLE")),
    windows=(Window("1h", 60_000, 60), Window("1d", 3_600_000, 24)),
    features=(
        Feature("visits_1h", "count", "1h", description="How many."),
        Feature("spent_1d", "sum", "1d", "spent"),
        Feature("pages_1d", "distinct", "1d", "page", filter=(Comparison("page", "ne", "/"),)),
    ),
)
TABLE = FeatureTable(
    name="visits",
    record="Visits",
    description="Visits.",
    key="visitor",
    carried=({"name": "spent", "type": "double", "doc": "Money."},),
    rows=(RowFeature("is_home", "BIGINT", "CAST(page = '/' AS BIGINT)", lambda _: 0, "Home."),),
    sets=(SET,),
    model=("spent", "visits_1h", "spent_1d"),
)


def _feature(at: int, **changes: Any) -> FeatureSet:
    features = list(SET.features)
    features[at] = dataclasses.replace(features[at], **changes)
    return dataclasses.replace(SET, features=tuple(features))


MEANING: dict[str, Callable[[], FeatureSet]] = {
    "name": lambda: dataclasses.replace(SET, name="views"),
    "key": lambda: dataclasses.replace(SET, key="page"),
    "id": lambda: dataclasses.replace(SET, id="page"),
    "emit": lambda: dataclasses.replace(SET, emit=(Comparison("page", "notnull"),)),
    "an input": lambda: dataclasses.replace(SET, inputs=(*SET.inputs, ("more", "BIGINT"))),
    "tiles": lambda: dataclasses.replace(SET, windows=(Window("1h", 60_000, 59), SET.windows[1])),
    "tile": lambda: dataclasses.replace(SET, windows=(Window("1h", 30_000, 60), SET.windows[1])),
    "a feature less": lambda: dataclasses.replace(SET, features=SET.features[1:]),
    "aggregate": lambda: _feature(1, aggregate="mean"),
    "window": lambda: _feature(0, window="1d"),
    "column": lambda: _feature(2, column="visitor"),
    "filter": lambda: _feature(2, filter=()),
    "filter's op": lambda: _feature(2, filter=(Comparison("page", "eq", "/"),)),
    "filter's value": lambda: _feature(2, filter=(Comparison("page", "ne", "/x"),)),
    "k": lambda: _feature(2, k=128),
    "feature's name": lambda: _feature(0, name="visits"),
}


@pytest.mark.parametrize("what", MEANING)
def test_another_meaning_is_another_version_of_the_set_and_of_its_table(what: str) -> None:
    changed = MEANING[what]()
    assert changed.version != SET.version
    names = {feature.name for feature in changed.features}
    model = tuple(name for name in TABLE.model if name == "spent" or name in names)
    table = dataclasses.replace(TABLE, sets=(SET,), model=model)
    assert version_of(dataclasses.replace(table, sets=(changed,))) != version_of(table)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "visitors"},
        {"key": "page"},
        {"record": "Views"},
        {"model": ("visits_1h", "spent", "spent_1d")},
        {"model": ("spent", "visits_1h")},
        {"carried": ({"name": "spent", "type": "float", "doc": "Money."},)},
        {"rows": (dataclasses.replace(TABLE.rows[0], sql="CAST(1 AS BIGINT)"),)},
        {"rows": ()},
    ],
)
def test_another_table_is_another_version(changes: dict[str, Any]) -> None:
    assert version_of(dataclasses.replace(TABLE, **changes)) != version_of(TABLE)


def test_how_long_idle_state_is_kept_is_no_version() -> None:
    kept = dataclasses.replace(SET, keep_idle_ms=90 * 86_400_000)
    assert kept.version == SET.version
    assert version_of(dataclasses.replace(TABLE, sets=(kept,))) == version_of(TABLE)


def test_prose_is_no_version() -> None:
    other = dataclasses.replace(_feature(0, description="How often."), entity="guest")
    assert other.version == SET.version
    table = dataclasses.replace(
        TABLE,
        description="Views.",
        sets=(other,),
        carried=({"name": "spent", "type": "double", "doc": "In euros."},),
        rows=(dataclasses.replace(TABLE.rows[0], description="The home page."),),
    )
    assert version_of(table) == version_of(TABLE)


def test_a_version_is_the_name_and_eight_digits_of_a_digest() -> None:
    assert SET.version == "visits-e44b1ee7"
    assert version_of(TABLE).startswith("visits-")


def test_the_language_of_declarations_may_grow() -> None:
    grown = dataclasses.make_dataclass("Grown", [("name", str), ("new", int, 0)], frozen=True)
    before = dataclasses.make_dataclass("Before", [("name", str)], frozen=True)
    assert version_of(grown("a")) == version_of(before("a"))
    assert version_of(grown("a", 1)) != version_of(before("a"))


def test_what_is_no_data_is_refused() -> None:
    odd = dataclasses.make_dataclass("Odd", [("name", str), ("what", object)])
    with pytest.raises(TypeError, match="is not data"):
        version_of(odd("a", object()))


def test_another_process_finds_the_same_version() -> None:
    code = "from domain.fraud.graph import GRAPH; print(GRAPH.version)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == GRAPH.version
