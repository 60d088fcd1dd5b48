"""A graph of feature sets: what it refuses, and what its twin makes of records."""

from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from domain.features.declaration import DAY, DeclarationError, RowFeature
from domain.features.graph import PLACE, Column, Graph, Place, Source, constant
from domain.features.registry import tables, versions
from domain.features.twin import Stage, Twin
from domain.features.version import version_of
from domain.fraud import graph as fraud
from domain.fraud.catalogue import CUSTOMER, TERMINAL
from tests.unit.domain.graphs import FIRST, GRAPH, READING, REPAIR, TABLE

NOW = 100 * DAY


def fields(name: str, at: int = NOW, meter: str = "m", town: str = "t") -> dict[str, Any]:
    return {"id": name, "at": at, "meter": meter, "town": town, "value": 1.5}


def test_a_record_is_a_row_with_every_input() -> None:
    place = Place(partition=3, offset=7, timestamp=NOW + 1)
    reading, repair = (GRAPH.row(name, fields("a"), place) for name in ("Reading", "Repair"))
    assert reading == {
        "kind": "it's read",
        **fields("a"),
        "double": 3.0,
        "partition": 3,
        "sequence": 7,
        "order_partition": 3,
        "order_sequence": 7,
        "produced_at": NOW + 1,
    }
    assert repair == reading | {"kind": "repair", "value": None, "double": None}


def test_a_record_of_no_source_and_a_missing_field_are_refused() -> None:
    with pytest.raises(KeyError, match="Other"):
        GRAPH.row("Other", fields("a"))
    with pytest.raises(KeyError, match="value"):
        GRAPH.row("Reading", {name: x for name, x in fields("a").items() if name != "value"})


def test_the_twin_drops_duplicates_and_update_only_rows_and_derives_the_rest() -> None:
    twin = Twin(GRAPH)
    assert twin.process(GRAPH.row("Repair", fields("r"))) is None
    first = twin.process(GRAPH.row("Reading", fields("a"), Place(offset=4)))
    assert first == {
        "id": "a",
        "sequence": 4,
        "late": False,
        "feature_set_version": GRAPH.version,
        "double": 3.0,
        "meter_rows": 1,
        "town_rows": 2,
        "others": 1,
    }
    assert twin.process(GRAPH.row("Reading", fields("a"))) is None
    late = twin.process(GRAPH.row("Reading", fields("b", at=NOW - 50 * DAY, town="other")))
    assert late is not None
    assert (late["late"], late["meter_rows"], late["town_rows"]) == (True, None, 1)
    assert late["others"] is None


def test_a_stage_and_what_comes_after_it_are_the_whole() -> None:
    rows = [GRAPH.row("Reading", fields(str(n % 7), NOW + n, f"m{n % 3}")) for n in range(30)]
    whole, first, rest = Twin(GRAPH), Stage(FIRST), Twin(GRAPH, after=FIRST)
    expected = [whole.process(row) for row in rows]
    between = [first.process(row) for row in rows]
    assert [None if row is None else rest.process(row) for row in between] == expected
    assert any(expected)


OTHER = RowFeature("double", "DOUBLE", "value", lambda row: row["value"], "Not that of the table.")


@pytest.mark.parametrize(
    ("sources", "columns", "words"),
    [
        ((), PLACE, "needs sources"),
        ((READING, READING), PLACE, "each of another record"),
        ((READING, REPAIR), (), "nothing fills order_partition, order_sequence, partition"),
        ((REPAIR,), PLACE, "nothing fills double, value"),
        ((replace(READING, fields=(*READING.fields, "kind")),), PLACE, "used twice: kind"),
        ((replace(READING, fields=(*READING.fields, "mood")),), PLACE, "no input .*: mood"),
        ((replace(READING, rows=(OTHER,)),), PLACE, "not in the feature table: double"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    sources: tuple[Source, ...], columns: tuple[Column, ...], words: str
) -> None:
    with pytest.raises(DeclarationError, match=words):
        Graph(sources, TABLE, columns)


def test_the_kinds_of_rows_are_those_that_the_sets_compare_with() -> None:
    kinds = {source.columns[0].python({}) for source in (fraud.PAYMENT, fraud.VERDICT)}
    compared = {one.value for one in (*CUSTOMER.passes, *TERMINAL.emit)}
    assert kinds == compared


ID = Column("id", "UPPER(id)", lambda record: record["id"].upper())
SHOUTED = replace(READING, fields=("at", "meter", "town", "value"), columns=(*READING.columns, ID))


@pytest.mark.parametrize(
    "other",
    [
        Graph((SHOUTED, REPAIR), TABLE, PLACE),
        Graph((replace(READING, columns=(constant("kind", "read"),)), REPAIR), TABLE, PLACE),
        Graph((READING, REPAIR), TABLE, (*PLACE[:-1], Column("produced_at", "NOW()", str))),
        Graph((READING, replace(REPAIR, record="Mending")), TABLE, PLACE),
        Graph((READING, REPAIR), replace(TABLE, model=("double",)), PLACE),
    ],
    ids=["a field's SQL", "a constant", "a place's SQL", "a record", "the table"],
)
def test_how_rows_are_filled_counts_in_the_version(other: Graph) -> None:
    assert re.fullmatch(r"readings-[0-9a-f]{8}", GRAPH.version)
    assert other.version != GRAPH.version
    version = {column.name: column.sql for column in other.results}["feature_set_version"]
    assert version == f"'{other.version}'"


def test_the_python_side_of_a_column_is_no_version() -> None:
    place = tuple(Column(one.name, one.sql, lambda _: 0) for one in PLACE)
    assert Graph((READING, REPAIR), TABLE, place).version == GRAPH.version


def test_records_of_a_table_have_its_graph_s_version() -> None:
    declared, alone = ModuleType("declared"), ModuleType("alone")
    vars(declared).update(GRAPH=GRAPH)
    vars(alone).update(OTHER=replace(TABLE, name="alone"), AGAIN=TABLE)
    modules = (declared, alone)
    assert tables(modules) == (vars(alone)["OTHER"], TABLE)
    assert versions(modules)["readings"] == GRAPH.version
    assert versions(modules)["alone"] == version_of(vars(alone)["OTHER"])
