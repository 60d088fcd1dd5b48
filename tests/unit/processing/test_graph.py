"""The SQL of a graph: what each record's row is made of, and what goes from stage to stage."""

from __future__ import annotations

import re

from domain.features.graph import Graph
from processing import graph
from tests.unit.domain.graphs import FIRST, GRAPH, READING, SECOND


def expressions(query: str) -> dict[str, str]:
    """The expression of each column of a SELECT, by the column's name."""
    listed = query.removeprefix("SELECT ").partition(" FROM ")[0]
    return {name: sql for sql, name in re.findall(r"(?:^|, )(.+?) AS `(\w+)`", listed)}


def test_what_all_records_have_is_read_and_the_rest_depends_on_the_record() -> None:
    found = expressions(graph.events(GRAPH, "readable"))
    assert list(found) == list(GRAPH.inputs)
    assert found["meter"] == "`meter`"
    assert found["value"] == "CASE WHEN record_type = 'Reading' THEN `value` END"
    assert found["double"] == "CASE WHEN record_type = 'Reading' THEN value + value END"
    assert found["kind"] == (
        "CASE WHEN record_type = 'Reading' THEN CAST('it''s read' AS STRING) "
        "WHEN record_type = 'Repair' THEN CAST('repair' AS STRING) END"
    )
    assert found["sequence"] == "kafka_offset"


def test_a_graph_of_one_source_asks_for_no_record_type() -> None:
    alone = Graph((READING,), GRAPH.table, GRAPH.columns)
    query = graph.events(alone, "readable")
    assert "record_type" not in query
    assert expressions(query)["double"] == "value + value"


def test_features_of_earlier_stages_go_on_and_marks_of_duplicates_do_not() -> None:
    first, second = graph.passed(GRAPH, FIRST, "a"), graph.passed(GRAPH, SECOND, "b")
    assert {"meter_rows", "meter_late"} < expressions(first).keys()
    assert expressions(second).keys() == expressions(first).keys() | {"town_rows", "town_late"}
    assert first.endswith("FROM a WHERE NOT meter_duplicate")
    assert second.endswith("FROM b WHERE NOT town_duplicate")


def test_the_feature_record_has_its_marks_and_derived_features() -> None:
    query = graph.features(GRAPH, "last")
    found = expressions(query)
    assert list(found) == list(GRAPH.table.columns)
    assert found["late"] == "meter_late OR town_late"
    assert found["feature_set_version"] == f"'{GRAPH.version}'"
    assert found["others"] == "town_rows - meter_rows"
    assert query.endswith("FROM last WHERE NOT town_duplicate")
