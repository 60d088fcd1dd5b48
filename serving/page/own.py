"""Make the page's own panels of a sample: the ways of events, and the processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving.api.context import Context
from serving.page.panel import Panel, Way
from serving.page.watch import Sample

STATIC = Path(__file__).parent / "static"
Figures = dict[str, Any]


async def _nothing(_: Context) -> Figures:
    return {}


WAYS = Panel(
    "ways",
    "The way of an event",
    STATIC / "ways.js",
    _nothing,
    series=frozenset({"point"}),
    place=0,
    wide=True,
)
PROCESSES = Panel("processes", "Processes", STATIC / "processes.js", _nothing, place=90, wide=True)


def drawn(ways: Sequence[Way]) -> list[Figures]:
    """Return the ways as the page draws them."""
    return [
        {
            "title": way.title,
            "steps": [{"kind": step.kind, "name": step.name} for step in way.steps],
        }
        for way in ways
    ]


def ways_document(sample: Sample, ways: Sequence[Way], api: Figures) -> Figures:
    """Return rates and states by the step's name, and the point of the charts."""
    entries = [_first(way, "topic") for way in ways]
    exits = [_last(way, "consumer") for way in ways]
    arriving = {name: sample.topics.get(name) or 0.0 for name in entries if name}
    p99 = [sample.consumers.get(name or "", {}).get("p99") for name in exits]
    p50 = [sample.consumers.get(name or "", {}).get("p50") for name in exits]
    slowest = max((value for value in p99 if value is not None), default=None)
    return {
        "ways": drawn(ways),
        "topics": sample.topics,
        "consumers": {
            name: {key: one[key] for key in ("rate", "lag")}
            for name, one in sample.consumers.items()
        },
        "jobs": sample.jobs,
        "api": api,
        "p50": p50,
        "p99": p99,
        "point": {
            "t": round(sample.moment, 1),
            "rates": [sample.topics.get(name or "") for name in entries],
            "p99": p99,
        },
        "tiles": [
            {"label": "Events arriving", "value": round(sum(arriving.values())), "unit": "/s"},
            {"label": "Slowest p99, event to store", "value": slowest, "unit": "ms"},
        ],
    }


def processes_document(sample: Sample) -> Figures:
    """Return every process with its state, and how many are ready."""
    states = [one.document() for one in sample.states]
    ready = sum(one["state"] == "ready" for one in states)
    broken = sum(int(one["quarantined"]) for one in sample.consumers.values())
    return {
        "processes": states,
        "quarantined": broken,
        "tiles": [
            {
                "label": "Processes ready",
                "value": f"{ready}/{len(states)}",
                "unit": "",
                "good": ready == len(states),
            }
        ],
    }


def _first(way: Way, kind: str) -> str | None:
    return next((step.name for step in way.steps if step.kind == kind), None)


def _last(way: Way, kind: str) -> str | None:
    return next((step.name for step in reversed(way.steps) if step.kind == kind), None)
