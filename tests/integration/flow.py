"""A stream of payments, and verdicts on the same terminals, to disturb a stack under."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from domain.events import FraudLabel, Transaction
from domain.fraud.pipeline import FraudPipeline, row_of
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from tests.integration.parts import paced
from tests.integration.payments import send

RATE = 250  # events a second
DAY_MS = 86_400_000
START = 1_760_000_000_000


@dataclass
class Flow:
    """What a run has sent so far, in its order.

    After `district` payments, customers and terminals are other ones; None: never.
    """

    run: str
    events: list[Transaction | FraudLabel] = field(default_factory=list)
    district: int | None = None

    @property
    def payments(self) -> list[Transaction]:
        """Return the payments among the events."""
        return [event for event in self.events if isinstance(event, Transaction)]

    def verdicts_before(self) -> list[FraudLabel]:
        """Return those of the days before, on the terminals that the payments come from."""
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
        """Yield payments without end, one a second of event time, with every tenth a verdict."""
        chance = random.Random(20260)
        for place in count():
            here = self.run
            if self.district and place >= self.district:
                here = f"{self.run}-d{place // self.district}"
            yield Transaction(
                transaction_id=f"{self.run}-{place}",
                event_time=START + place * 1000,
                customer_id=f"{here}-c{chance.randrange(50)}",
                terminal_id=f"{here}-t{chance.randrange(20)}",
                amount=round(chance.lognormvariate(3.5, 1.2), 2),
            )
            if place % 10 == 0:
                yield FraudLabel(
                    transaction_id=f"{self.run}-now-{place}",
                    event_time=START + place * 1000,
                    customer_id=f"{here}-c{chance.randrange(50)}",
                    terminal_id=f"{here}-t{chance.randrange(20)}",
                    is_fraud=chance.random() < 0.3,
                )

    def send(self, sink: KafkaSink, codec: Codec, *records: Transaction | FraudLabel) -> None:
        """Produce, and keep what was produced."""
        send(sink, codec, records)
        self.events += records

    def sending(self, sink: KafkaSink, codec: Codec) -> Iterator[object]:
        """Send the stream's next record each time it is advanced."""
        for record in self.stream():
            self.send(sink, codec, record)
            yield record

    def features(
        self, events: Iterable[Transaction | FraudLabel] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return what the specification makes of the events (None: all), by transaction."""
        pipeline = FraudPipeline()
        chosen = self.events if events is None else events
        rows = (pipeline.process(row_of(event)) for event in chosen)
        return {row["transaction_id"]: row for row in rows if row is not None}


def under_load(
    flow: Flow, sink: KafkaSink, codec: Codec, rate: int = RATE
) -> AbstractContextManager[None]:
    """Send the flow's stream at its rate while the body runs."""
    return paced(flow.sending(sink, codec), rate)
