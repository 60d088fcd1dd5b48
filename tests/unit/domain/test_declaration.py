from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.features.declaration import (
    Comparison,
    DeclarationError,
    DerivedFeature,
    Feature,
    FeatureSet,
    RowFeature,
    Type,
    Window,
)
from domain.features.table import FeatureTable
from domain.features.version import version_of

INPUTS: tuple[tuple[str, Type], ...] = (
    ("k", "STRING"),
    ("t", "TIMESTAMP"),
    ("x", "DOUBLE"),
    ("b", "BOOLEAN"),
)
COUNT = Feature("n", "count", "w")


def made(*features: Feature, **changes: Any) -> FeatureSet:
    defaults = {
        "name": "s",
        "entity": "e",
        "key": "k",
        "time": "t",
        "inputs": INPUTS,
    }
    return FeatureSet(
        **{
            **defaults,
            "windows": (Window("w", 10, 2),),
            "features": features or (COUNT,),
            **changes,
        }
    )


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Comparison("x", "like", 1), "'x': unknown op 'like'"),  # type: ignore[arg-type]
    (lambda: Comparison("x", "null", 1), "null takes no value"),
    (lambda: Comparison("x", "in", 1), "in takes a non-empty tuple"),
    (lambda: Comparison("x", "in", ()), "in takes a non-empty tuple"),
    (lambda: Comparison("x", "eq"), "eq takes one value"),
    (lambda: Comparison("x", "lt", "a"), "lt takes a number"),
    (lambda: Comparison("x", "ge", True), "ge takes a number"),
    (lambda: Window("W", 10, 2), "window 'W'"),
    (lambda: Window("w", 0, 2), "at least 1"),
    (lambda: Feature("N", "count", "w"), "feature 'N'"),
    (lambda: Feature("n", "median", "w"), "unknown aggregate 'median'"),  # type: ignore[arg-type]
    (lambda: Feature("n", "mean", "w"), "mean needs a column"),
    (lambda: Feature("n", "share", "w"), "share needs a condition"),
    (
        lambda: Feature("n", "share", "w", "x", condition=(Comparison("b", "eq", True),)),
        "no column",
    ),
    (
        lambda: Feature("n", "count", "w", condition=(Comparison("b", "eq", True),)),
        "only share takes a condition",
    ),
    (lambda: Feature("n", "count", "w", k=8), "only distinct takes k"),
    (lambda: Feature("n", "distinct", "w", "k", k=7), "8 to 1024, not 7"),
    (lambda: RowFeature("Is", "BIGINT", "1", lambda row: 1, ""), "row feature 'Is'"),
    (lambda: made(Feature("n", "count", "year")), "feature 'n': unknown window 'year'"),
    (lambda: made(Feature("n", "sum", "w", "z")), "feature 'n': unknown column 'z'"),
    (lambda: made(Feature("n", "sum", "w", "k")), "sum takes a number, column 'k' is STRING"),
    (lambda: made(Feature("n", "distinct", "w", "b")), "a number or string, column 'b' is BOOLEAN"),
    (
        lambda: made(Feature("n", "count", "w", filter=(Comparison("q", "null"),))),
        "unknown column 'q'",
    ),
    (
        lambda: made(Feature("n", "count", "w", filter=(Comparison("k", "eq", 1),))),
        "'k' is STRING, 1 is not",
    ),
    (
        lambda: made(Feature("n", "count", "w", filter=(Comparison("x", "eq", True),))),
        "'x' is DOUBLE, True is not",
    ),
    (
        lambda: made(Feature("n", "count", "w", filter=(Comparison("b", "lt", 1),))),
        "lt is for numbers, not BOOLEAN",
    ),
    (
        lambda: made(Feature("n", "count", "w", filter=(Comparison("t", "eq", 1),))),
        "only null and notnull take",
    ),
    (lambda: made(COUNT, COUNT), "names used twice: n"),
    (lambda: made(Feature("x", "count", "w")), "names used twice: x"),
    (lambda: made(Feature("s_late", "count", "w")), "names used twice: s_late"),
    (lambda: made(windows=(Window("w", 10, 2), Window("w", 20, 2))), "two windows"),
    (lambda: made(features=()), "no feature"),
    (lambda: made(key="z"), "unknown key 'z'"),
    (lambda: made(time="x"), "time 'x' is not a time column"),
    (lambda: made(id="x"), "id 'x' is not a STRING column"),
    (lambda: made(emit=(Comparison("z", "null"),)), "emit: unknown column 'z'"),
    (lambda: made(passes=(Comparison("z", "null"),)), "pass: unknown column 'z'"),
    (lambda: made(passes=(Comparison("k", "eq", 1),)), "pass: column 'k' is STRING"),
    (
        lambda: made(windows=(Window("w", 10, 2), Window("v", 20, 2)), keep_idle_ms=79),
        "keep_idle_ms is at least 80, twice the span of window 'v', not 79",
    ),
]


@pytest.mark.parametrize(("declare", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_makes_no_sense_is_refused_by_name(
    declare: Callable[[], object], message: str
) -> None:
    with pytest.raises(DeclarationError) as refused:
        declare()
    assert message in str(refused.value)


def test_the_spec_is_the_page_s_json() -> None:
    label = (Comparison("k", "in", ("label", "verdict")),)
    declared = made(
        COUNT,
        Feature("risk", "share", "w", filter=label, condition=(Comparison("b", "eq", True),)),
        Feature("kinds", "distinct", "w", "k", k=64),
        id="k",
        emit=(Comparison("k", "notnull"),),
        passes=(Comparison("b", "eq", True), Comparison("k", "null")),
    )
    assert declared.spec() == {
        "version": 1,
        "name": "s",
        "time": "t",
        "id": "k",
        "pass": [{"column": "b", "op": "eq", "value": True}, {"column": "k", "op": "null"}],
        "emit": [{"column": "k", "op": "notnull"}],
        "windows": {"w": {"tile_ms": 10, "tiles": 2}},
        "features": [
            {"name": "n", "aggregate": "count", "window": "w"},
            {
                "name": "risk",
                "aggregate": "share",
                "window": "w",
                "filter": [{"column": "k", "op": "in", "value": ["label", "verdict"]}],
                "condition": [{"column": "b", "op": "eq", "value": True}],
            },
            {"name": "kinds", "aggregate": "distinct", "window": "w", "column": "k", "k": 64},
        ],
    }


def test_the_spec_says_how_long_idle_state_is_kept_if_the_declaration_does() -> None:
    assert "keep_idle_ms" not in made().spec()
    assert made(keep_idle_ms=40).spec() == {**made().spec(), "keep_idle_ms": 40}


def test_columns_have_the_types_of_the_page() -> None:
    declared = made(
        COUNT,
        Feature("kinds", "distinct", "w", "k"),
        Feature("last_k", "last", "w", "k"),
        Feature("last_x", "last", "w", "x"),
        Feature("mean", "mean", "w", "x"),
    )
    assert declared.columns() == {
        "n": "BIGINT",
        "kinds": "BIGINT",
        "last_k": "STRING",
        "last_x": "DOUBLE",
        "mean": "DOUBLE",
        "s_late": "BOOLEAN",
        "s_duplicate": "BOOLEAN",
    }
    assert declared.window("w").length_ms == 20


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (("n", "n"), "named twice"),
        (("m",), "model feature 'm' is not computed"),
        (("last_k",), "'last_k' is not a number"),
    ],
)
def test_a_model_reads_what_is_computed_and_a_number(model: tuple[str, ...], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        FeatureTable(
            "t",
            "R",
            "",
            "k",
            (),
            (),
            (made(COUNT, Feature("last_k", "last", "w", "k")),),
            model,
        )


def test_a_key_may_be_several_columns() -> None:
    pair = made(key=("k", "x"))
    row = {"k": "a", "x": 1.5, "t": 0, "b": None}
    assert (pair.keys, pair.key_of(row)) == (("k", "x"), ("a", 1.5))
    assert (made().keys, made().key_of(row)) == (("k",), "a")
    assert pair.version not in (made().version, made(key=("x", "k")).version)


@pytest.mark.parametrize(
    ("key", "message"),
    [(("k", "z"), "unknown key 'z'"), (("k",), "two or more"), (("k", "k"), "each once")],
)
def test_a_key_of_columns_is_of_known_ones(key: tuple[str, ...], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        made(key=key)


HALF = DerivedFeature("half", "DOUBLE", "n / 2.0E0", lambda row: row["n"] / 2.0, "Half.")


def _table(**changes: Any) -> FeatureTable:
    given: dict[str, Any] = {
        "rows": (),
        "sets": (made(),),
        "model": ("n", "half"),
        "derived": (HALF,),
    }
    given |= {"name": "t", "record": "R", "description": "", "key": "k", "carried": ()}
    return FeatureTable(**{**given, **changes})


def test_a_derived_feature_is_a_feature_of_its_table() -> None:
    table = _table()
    assert (table.computed()["half"], table.descriptions()["half"]) == ("DOUBLE", "Half.")
    assert table.derive({"n": 3}) == {"half": 1.5}
    assert version_of(table) != version_of(_table(derived=(), model=("n",)))
    other = DerivedFeature("half", "DOUBLE", "n / 2.5E0", HALF.python, "Half.")
    assert version_of(table) != version_of(_table(derived=(other,)))


def test_two_features_of_one_name_are_refused() -> None:
    twice = DerivedFeature("n", "DOUBLE", "1", lambda row: 1, "")
    with pytest.raises(DeclarationError, match="names used twice: n"):
        _table(derived=(HALF, twice))
    with pytest.raises(DeclarationError, match="derived feature 'Half'"):
        DerivedFeature("Half", "DOUBLE", "1", lambda row: 1, "")
