"""A small lake with a log of payments and verdicts, and the vectors that a job made of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog

from config.lake import lake_tables
from config.topics import topics
from domain.events import FraudLabel, Transaction
from domain.fraud.pipeline import FraudPipeline, Place, row_of
from lakehouse.tables import apply

HOUR, DAY = 3_600_000, 86_400_000
START = 20_000 * DAY
Event = Transaction | FraudLabel
_NAMES = ("transactions", "fraud_labels", "fraud_features", "fraud_scores", "quarantine")
TABLES = {one.name: one for one in lake_tables(topics().values()) if one.name in _NAMES}


def pay(name: str, at: int, customer: str, terminal: str, amount: float = 10.0) -> Transaction:
    return Transaction(
        transaction_id=name,
        event_time=at,
        customer_id=customer,
        terminal_id=terminal,
        amount=amount,
    )


def judge(payment: Transaction, at: int, *, fraud: bool) -> FraudLabel:
    return FraudLabel(
        transaction_id=payment.transaction_id,
        event_time=at,
        customer_id=payment.customer_id,
        terminal_id=payment.terminal_id,
        is_fraud=fraud,
    )


def stream(seed: int, count: int, days: int = 45) -> list[Event]:
    """Payments out of order now and then, verdicts, and repeats of both, also elsewhere."""
    draw = random.Random(seed)
    events: list[Event] = []
    for place in range(count):
        at = START + place * days * DAY // count - (draw.random() < 0.1) * draw.randrange(3 * DAY)
        customer, terminal = f"c{draw.randrange(5)}", f"k{draw.randrange(4)}"
        events.append(pay(f"t{place}", at, customer, terminal, round(draw.expovariate(0.02), 2)))
        earlier = draw.choice(events)
        if draw.random() < 0.3 and isinstance(earlier, Transaction):
            events.append(judge(earlier, at, fraud=draw.random() < 0.4))
        if draw.random() < 0.1:
            events.append(draw.choice(events[-20:]))
        if draw.random() < 0.05 and isinstance(earlier, Transaction):
            # The same payment, told of another terminal: its customer's side drops it.
            moved = {**asdict(earlier), "terminal_id": f"k{draw.randrange(4)}"}
            events.append(Transaction(**moved))
    return events


def vectors(events: Iterable[Event]) -> list[dict[str, Any]]:
    """What a job makes of the whole log, from its first record on."""
    pipeline = FraudPipeline()
    made = (
        pipeline.process(row_of(event, Place(0, offset, produced(event))))
        for offset, event in enumerate(events)
    )
    return [one for one in made if one is not None]


def produced(event: Event) -> int:
    """Kafka's time of it: soon after it happened, but never before the log began."""
    return max(event.event_time, START) + 5


@dataclass
class FraudLake:
    """The lake, to be filled."""

    lake: Catalog
    next_vector: int = 0

    def __post_init__(self) -> None:
        apply(self.lake, TABLES.values())

    def log(self, events: Iterable[Event], first: int = 0, without: Iterable[int] = ()) -> None:
        """Write the log's records, but those at the offsets `without`, from `first` on."""
        rows: dict[str, list[dict[str, Any]]] = {"transactions": [], "fraud_labels": []}
        for offset, event in enumerate(events):
            if offset >= first and offset not in set(without):
                name = "transactions" if isinstance(event, Transaction) else "fraud_labels"
                rows[name].append(_placed("transactions", offset, asdict(event), produced(event)))
        for name, found in rows.items():
            self.append(name, found)

    def vectors(self, made: Iterable[Mapping[str, Any]]) -> None:
        """Write vectors as they arrived on their topic."""
        rows = [
            _placed("fraud-features", self.next_vector + at, one, one["produced_at"] + 3)
            for at, one in enumerate(made)
        ]
        self.next_vector += len(rows)
        self.append("fraud_features", rows)

    def append(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table of bronze; times in ms."""
        if not rows:
            return
        table = self.lake.load_table(("bronze", name))
        schema = table.schema().as_arrow()
        timed = [
            {key: _time(value, schema.field(key).type) for key, value in one.items()}
            for one in rows
        ]
        table.append(pa.Table.from_pylist(timed, schema=schema))


def _placed(topic: str, offset: int, fields: Mapping[str, Any], at: int) -> dict[str, Any]:
    return {"_topic": topic, "_partition": 0, "_offset": offset, "_ingested_at": at, **fields}


def _time(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind) and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC)
    return value
