"""A stream of payments, and verdicts on the same terminals, to disturb a stack under."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from domain.events import FraudLabel, Transaction
from domain.fraud.pipeline import FraudPipeline, row_of
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from tests.integration.parts import send

RATE = 250  # events a second
MOST = 200 * RATE
DAY_MS = 86_400_000
START = 1_760_000_000_000


@dataclass
class Flow:
    """What a run has sent so far, in its order."""

    run: str
    events: list[Transaction | FraudLabel] = field(default_factory=list)

    @property
    def payments(self) -> list[Transaction]:
        """The payments among the events."""
        return [event for event in self.events if isinstance(event, Transaction)]

    def verdicts_before(self) -> list[FraudLabel]:
        """Those of the days before, on the terminals that the payments come from."""
        chance = random.Random(7)
        return [
            FraudLabel(
                transaction_id=f"{self.run}-old-{place}",
                event_time=START - 6 * DAY_MS + place * (5 * DAY_MS // 400),
                customer_id=f"{self.run}-c{chance.randrange(50)}",
                terminal_id=f"{self.run}-t{chance.randrange(20)}",
                is_fraud=chance.random() < 0.3,
            )
            for place in range(400)
        ]

    def stream(self) -> Iterator[Transaction | FraudLabel]:
        """Payments, one a second of event time, and with every tenth a verdict on its terminals."""
        chance = random.Random(20260)
        for place in range(MOST):
            yield Transaction(
                transaction_id=f"{self.run}-{place}",
                event_time=START + place * 1000,
                customer_id=f"{self.run}-c{chance.randrange(50)}",
                terminal_id=f"{self.run}-t{chance.randrange(20)}",
                amount=round(chance.lognormvariate(3.5, 1.2), 2),
            )
            if place % 10 == 0:
                yield FraudLabel(
                    transaction_id=f"{self.run}-now-{place}",
                    event_time=START + place * 1000,
                    customer_id=f"{self.run}-c{chance.randrange(50)}",
                    terminal_id=f"{self.run}-t{chance.randrange(20)}",
                    is_fraud=chance.random() < 0.3,
                )

    def send(self, sink: KafkaSink, codec: Codec, *records: Transaction | FraudLabel) -> None:
        """Produce, and keep what was produced."""
        send(sink, codec, records)
        self.events += records

    def features(self) -> dict[str, dict[str, Any]]:
        """What the specification makes of it, by transaction."""
        pipeline = FraudPipeline()
        rows = (pipeline.process(row_of(event)) for event in self.events)
        return {row["transaction_id"]: row for row in rows if row is not None}


@contextmanager
def under_load(flow: Flow, sink: KafkaSink, codec: Codec, rate: int = RATE) -> Iterator[None]:
    """The flow's stream at its rate, from a thread of its own, while the body runs."""
    done = threading.Event()

    def produce() -> None:
        began = time.monotonic()
        for place, record in enumerate(flow.stream()):
            if done.wait(max(0.0, began + place / rate - time.monotonic())):
                return
            flow.send(sink, codec, record)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        yield
    finally:
        done.set()
        producer.join(timeout=120)
    assert not producer.is_alive()
