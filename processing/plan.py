"""Name a job's operators so that the names stay when the job grows.

Flink finds an operator's state in a savepoint by the operator's uid. By default it numbers the
operators as it meets them, so one more INSERT gives every later one another number, and the
restored job finds no offsets. `named` gives each node of a compiled plan a uid that follows from
what the node computes, not from its position.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

UID_FORMAT = "table.exec.uid.format"
_SOURCE, _SINK = "stream-exec-table-source-scan", "stream-exec-sink"
_FUNCTION = "stream-exec-process-table-function"
_WATERMARK, _MINI_BATCH = "stream-exec-watermark-assigner", "miniBatchInterval"
# A node's position, its printed form, session options and state retention: they change without the
# meaning of the state.
_INCIDENTAL = frozenset({"id", "description", "configuration", "inputProperties", "state"})
_DIGITS = 12

Plan = dict[str, Any]
Node = dict[str, Any]


def named(plan: Plan) -> Plan:
    """Return a compiled plan (CompiledPlan's JSON) whose nodes carry uids that stay.

    A table that is read is `source/<table>`, one that is written `sink/<table>`, a call of a
    process table function what its `uid` argument says. Any other node, for instance a window's
    aggregate, is `<kind>/<digest>` of what it computes from those: its state is found again as long
    as its query is the same, whatever else the job does. Flink adds the name of the
    transformation, as a node may become several. Nodes are numbered from 1.

    Raise ValueError for a call of a process table function without `uid`.
    """
    nodes = {node["id"]: node for node in plan["nodes"]}
    names = _names(nodes, plan["edges"])
    # Flink keeps numbering from one job of a client to the next, and prints the numbers.
    numbers = {old: number for number, old in enumerate(nodes, 1)}
    edges = [
        {**edge, "source": numbers[edge["source"]], "target": numbers[edge["target"]]}
        for edge in plan["edges"]
    ]
    named_nodes = [
        {**_with_uid(node, names[old]), "id": numbers[old]} for old, node in nodes.items()
    ]
    return {**plan, "nodes": named_nodes, "edges": edges}


def clocked(plan: Plan) -> Plan:
    """Return a compiled plan whose mini-batches end by the clock if there is no watermark.

    Before a process table function Flink's planner ends mini-batches by the watermark, whether or
    not there is one; without one they would end with checkpoints alone.
    """
    if any(_has_watermark(node) for node in plan["nodes"]):
        return plan
    return {**plan, "nodes": [_clocked(node) for node in plan["nodes"]]}


def _has_watermark(node: Node) -> bool:
    abilities = node.get("scanTableSource", {}).get("abilities", [])
    return node["type"].startswith(_WATERMARK) or any(
        one["type"] == "WatermarkPushDown" for one in abilities
    )


def _clocked(node: Node) -> Node:
    batch = node.get(_MINI_BATCH)
    return {**node, _MINI_BATCH: {**batch, "mode": "ProcTime"}} if batch else node


def _names(nodes: dict[int, Node], edges: list[dict[str, Any]]) -> dict[int, str]:
    inputs: dict[int, list[int]] = {node: [] for node in nodes}
    for edge in edges:
        inputs[edge["target"]].append(edge["source"])
    wanted: dict[int, str] = {}

    def name(at: int) -> str:
        if at not in wanted:
            wanted[at] = _name(nodes[at], [name(one) for one in inputs[at]])
        return wanted[at]

    names, seen = {}, Counter[str]()
    for at in nodes:
        seen[name(at)] += 1
        again = seen[name(at)]
        names[at] = name(at) if again == 1 else f"{name(at)}#{again}"
    return names


def _name(node: Node, inputs: list[str]) -> str:
    kind = node["type"].rpartition("_")[0]
    if kind == _SOURCE:
        return f"source/{_table(node['scanTableSource'])}"
    if kind == _SINK:
        return f"sink/{_table(node['dynamicTableSink'])}"
    if kind == _FUNCTION:
        if not node.get("uid"):
            raise ValueError(f"a process table function needs a uid: {node.get('description')}")
        return str(node["uid"])
    meaning = {key: value for key, value in node.items() if key not in _INCIDENTAL}
    text = json.dumps([meaning, inputs], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return f"{kind.removeprefix('stream-exec-')}/{digest}"


def _table(spec: dict[str, Any]) -> str:
    """Return `name` of `` `catalog`.`database`.`name` ``."""
    return str(spec["table"]["identifier"]).rpartition("`.`")[2].rstrip("`")


def _with_uid(node: Node, name: str) -> Node:
    uid = {UID_FORMAT: f"{name}/<transformation>"}
    return {**node, "configuration": {**node.get("configuration", {}), **uid}}
