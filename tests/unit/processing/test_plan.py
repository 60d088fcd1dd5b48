"""Operators' names in a compiled plan, without Flink: what changes them and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from processing.plan import UID_FORMAT, clocked, named


def _table(name: str) -> dict[str, Any]:
    return {"table": {"identifier": f"`default_catalog`.`default_database`.`{name}`"}}


def _scan(at: int, table: str) -> dict[str, Any]:
    kind = "stream-exec-table-source-scan_1"
    return {"id": at, "type": kind, "scanTableSource": _table(table)}


def _sink(at: int, table: str) -> dict[str, Any]:
    options = {"table.exec.sink.upsert-materialize": "AUTO"}
    sink = {"id": at, "type": "stream-exec-sink_1", "dynamicTableSink": _table(table)}
    return {**sink, "configuration": options}


def _rolling(at: int, uid: str | None) -> dict[str, Any]:
    return {"id": at, "type": "stream-exec-process-table-function_1", "uid": uid}


def _calc(at: int, projection: str) -> dict[str, Any]:
    return {"id": at, "type": "stream-exec-calc_1", "projection": projection}


def _sum(at: int, column: int, **more: Any) -> dict[str, Any]:
    call = {"id": at, "type": "stream-exec-group-aggregate_1", "aggCalls": [{"argList": [column]}]}
    return {**call, **more}


def _plan(nodes: list[dict[str, Any]], *edges: tuple[int, int]) -> dict[str, Any]:
    between = [{"source": source, "target": target} for source, target in edges]
    return {"flinkVersion": "2.1", "nodes": nodes, "edges": between}


def _names(plan: dict[str, Any]) -> list[str]:
    uids = [node["configuration"][UID_FORMAT] for node in named(plan)["nodes"]]
    assert all(uid.endswith("/<transformation>") for uid in uids)
    return [uid.removesuffix("/<transformation>") for uid in uids]


BEFORE = _plan(
    [_scan(1, "visits"), _calc(2, "a"), _rolling(3, "by-visitor"), _sum(4, 0), _sink(5, "sums")],
    (1, 2),
    (2, 3),
    (3, 4),
    (4, 5),
)
# Another call of `rolling` and another sink, put first and numbered on from another job.
AFTER = _plan(
    [
        _scan(21, "visits"),
        _calc(22, "b"),
        _rolling(23, "by-page"),
        _sink(24, "pages"),
        _calc(25, "a"),
        _rolling(26, "by-visitor"),
        _sum(27, 0),
        _sink(28, "sums"),
    ],
    *((21, 22), (22, 23), (23, 24), (21, 25), (25, 26), (26, 27), (27, 28)),
)


def test_tables_and_rolling_are_called_what_they_are() -> None:
    names = _names(BEFORE)
    assert [names[0], names[2], names[4]] == ["source/visits", "by-visitor", "sink/sums"]
    assert names[3].startswith("group-aggregate/")


def test_a_job_that_grows_keeps_the_names_of_what_was_there() -> None:
    names = _names(AFTER)
    assert set(_names(BEFORE)) < set(names)
    assert len(set(names)) == len(names)


def test_an_aggregate_is_another_when_it_or_what_it_reads_is() -> None:
    def aggregate(nodes: list[dict[str, Any]]) -> str:
        return _names(_plan(nodes, (1, 2), (2, 3)))[2]

    first = aggregate([_scan(1, "visits"), _calc(2, "a"), _sum(3, 0)])
    assert aggregate([_scan(1, "visits"), _calc(2, "a"), _sum(3, 1)]) != first
    assert aggregate([_scan(1, "visits"), _calc(2, "b"), _sum(3, 0)]) != first
    assert aggregate([_scan(1, "others"), _calc(2, "a"), _sum(3, 0)]) != first
    kept_for = _sum(3, 0, description="Sum", state=[{"ttl": "7 d"}], configuration={"zone": "UTC"})
    assert aggregate([_scan(1, "visits"), _calc(2, "a"), kept_for]) == first


def test_two_of_one_name_are_told_apart() -> None:
    plan = _plan([_scan(1, "visits"), _sink(2, "all"), _sink(3, "all")], (1, 2), (1, 3))
    assert _names(plan) == ["source/visits", "sink/all", "sink/all#2"]


def test_nodes_are_numbered_from_one_and_keep_their_options() -> None:
    made = named(AFTER)
    assert [node["id"] for node in made["nodes"]] == list(range(1, 9))
    assert made["edges"][-1] == {"source": 7, "target": 8}
    assert made["nodes"][-1]["configuration"]["table.exec.sink.upsert-materialize"] == "AUTO"


def test_a_call_without_a_uid_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a uid"):
        named(_plan([_scan(1, "visits"), _rolling(2, None)], (1, 2)))


def _batched(at: int, mode: str) -> dict[str, Any]:
    kind = "stream-exec-mini-batch-assigner_1"
    return {"id": at, "type": kind, "miniBatchInterval": {"interval": 500, "mode": mode}}


def _modes(*nodes: dict[str, Any]) -> list[str]:
    edges = [(at, at + 1) for at in range(1, len(nodes))]
    made = clocked(_plan(list(nodes), *edges))["nodes"]
    batches = [node["miniBatchInterval"] for node in made if "miniBatchInterval" in node]
    assert all(batch["interval"] == 500 for batch in batches)
    return [batch["mode"] for batch in batches]


def test_without_a_watermark_the_clock_ends_mini_batches() -> None:
    assert _modes(_scan(1, "visits"), _batched(2, "RowTime"), _rolling(3, "by")) == ["ProcTime"]
    assert _modes(_scan(1, "visits"), _batched(2, "ProcTime"), _sink(3, "all")) == ["ProcTime"]


def test_a_watermark_ends_mini_batches_where_there_is_one() -> None:
    pushed = _scan(1, "visits")
    pushed["scanTableSource"]["abilities"] = [{"type": "WatermarkPushDown"}]
    assert _modes(pushed, _batched(2, "RowTime")) == ["RowTime"]
    assigner = {"id": 2, "type": "stream-exec-watermark-assigner_1"}
    assert _modes(_scan(1, "visits"), assigner, _batched(3, "RowTime")) == ["RowTime"]
