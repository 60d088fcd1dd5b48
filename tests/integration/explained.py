"""Compute every vector on `fraud-features` again, from the logs alone.

The logs are read as Kafka has them, and the reference engine (`domain/`) is fed in their order. A
vector names its place in them, so it is compared with what comes out at that place, bit for bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.settings import Settings
from config.topics import topics
from domain.events import FraudLabel, Transaction
from domain.fraud.features import TERMINAL_LOG
from domain.fraud.pipeline import Customers, Place, Terminals, row_of
from ingestion.wire.codec import Codec, UnreadableError
from tests.integration.parts import ends, messages

SOURCE, LOG, FEATURES = "transactions", "fraud-terminal-log", "fraud-features"
_EVENTS: dict[str, Callable[..., Transaction | FraudLabel]] = {
    "Transaction": Transaction,
    "FraudLabel": FraudLabel,
}

Row = dict[str, Any]
Start = dict[str, dict[int, int]]


def now(stack: Settings) -> Start:
    """Where the logs end at this moment: what a run adds begins there."""
    return {topic: ends(stack, topic) for topic in (SOURCE, LOG, FEATURES)}


@dataclass
class Vectors:
    """What became of the payments of a run."""

    vectors: list[Row]
    """All that the job has written of them, repeats included."""
    verdicts: int = 0
    wrong: list[str] = field(default_factory=list)
    """Of each vector, and row of the log between, that is not what comes out at its place."""

    def by_payment(self) -> dict[str, set[str]]:
        """The different vectors of each payment."""
        found = defaultdict(set)
        for vector in self.vectors:
            found[vector["transaction_id"]].add(repr(vector))
        return found


def explained(stack: Settings, codec: Codec, start: Start, run: str) -> Vectors:
    """Compare all vectors of the customers whose ids begin with `run` with the reference.

    `start`: where the run's records begin. Only the run's customers may have used its terminals.
    """
    known = _known(stack, codec, start, run)
    found = Vectors(
        [
            vector
            for vector in _decoded(stack, codec, FEATURES, start)
            if vector["customer_id"].startswith(run)
        ],
        sum(row["kind"] == "label" for row in known.values()),
    )
    if len(ends(stack, SOURCE)) > 1:
        ordered: Iterable[Mapping[str, Any]] = _relayed(stack, codec, start, run, known, found)
    else:
        ordered = known.values()
    terminals = Terminals()
    expected = {_place(out): out for row in ordered if (out := terminals.process(row)) is not None}
    for vector in found.vectors:
        found.wrong += _differences("vector", vector, expected.get(_place(vector)))
    return found


def _known(stack: Settings, codec: Codec, start: Start, run: str) -> dict[tuple[int, int], Row]:
    """What leaves the customers' side, by the record's place in `transactions`."""
    customers, known = Customers(), {}
    for message in messages(stack, SOURCE, start[SOURCE]):
        try:
            decoded = codec.decoded(SOURCE, message.value())
        except UnreadableError:
            continue
        if not decoded.record["customer_id"].startswith(run):
            continue
        place = Place(message.partition(), message.offset(), message.timestamp()[1])
        out = customers.process(row_of(_EVENTS[decoded.name](**decoded.record), place))
        if out is not None:
            known[place.partition, place.offset] = out
    return known


def _relayed(
    stack: Settings,
    codec: Codec,
    start: Start,
    run: str,
    known: Mapping[tuple[int, int], Row],
    found: Vectors,
) -> Iterable[Row]:
    """The rows of the log between, in its order, each held against what belongs there."""
    seen = set()
    for message in messages(stack, LOG, start[LOG]):
        row = codec.decode(LOG, message.value())
        if not row["customer_id"].startswith(run):
            continue
        place = row["partition"], row["sequence"]
        seen.add(place)
        right = known.get(place)
        wanted = right and {name: right[name] for name in TERMINAL_LOG.columns()}
        found.wrong += _differences("row of the log", row, wanted)
        yield {**row, "order_partition": message.partition(), "order_sequence": message.offset()}
    found.wrong += [f"{place} is not in the log" for place in known.keys() - seen]


def _decoded(stack: Settings, codec: Codec, topic: str, start: Start) -> list[Row]:
    assert topic in topics()
    return [
        codec.decode(topic, message.value()) for message in messages(stack, topic, start[topic])
    ]


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["order_partition"], row["order_sequence"]


def _differences(what: str, row: Row, right: Mapping[str, Any] | None) -> list[str]:
    name = f"{what} {row['event_id'] if 'event_id' in row else row['transaction_id']}"
    if right is None:
        return [f"{name}: nothing comes out at its place"]
    assert row.keys() == right.keys()
    return [
        f"{name}: {column} is {row[column]!r}, not {right[column]!r}"
        for column in row
        if repr(row[column]) != repr(right[column])
    ]
