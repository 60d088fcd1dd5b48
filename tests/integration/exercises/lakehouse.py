"""Payments and verdicts for the lake; its tables are compared with Kafka, place by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from config.lake import LakeTable, lake_tables
from config.settings import Settings
from config.topics import topics
from domain.events import FraudLabel, Transaction
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from lakehouse.catalog import catalog
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.parts import ends, messages, read, through, until
from tests.integration.payments import send

JOB, SOURCE = "lakehouse", "transactions"
EARLIEST, STEP_MS, DAY_MS = 1_704_067_200_000, 60_000, 86_400_000
DAYS, AGAIN = 3, 25
Place = tuple[str, int, int]


def exercise(hands: Hands) -> Exercise:
    """Return the lake's part: a few records of its own, and every record of all others."""
    return Lake.of(hands.stack, hands.sink, hands.codec, hands.run)


@dataclass
class Lake:
    """What has been sent so far: a minute of event time from one payment to the next.

    Three days get them in turn, so that each commit has files of several days and each day gets
    many. Every 25th payment is sent twice.
    """

    stack: Settings
    sink: KafkaSink
    codec: Codec
    run: str
    """In the ids of all that is sent."""
    began: dict[str, dict[int, int]]
    """Where the topics ended before."""
    rate: int = 20
    good: int = 1_000
    events: list[Transaction | FraudLabel] = field(default_factory=list)

    @classmethod
    def of(cls, stack: Settings, sink: KafkaSink, codec: Codec, run: str) -> Lake:
        """Return one that looks at what comes from now on."""
        began = {topic: ends(stack, topic) for topic in {*joined(), "quarantine"}}
        return cls(stack, sink, codec, run, began)

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.events)

    @property
    def payments(self) -> list[Transaction]:
        """Return the payments that it has sent."""
        return [event for event in self.events if isinstance(event, Transaction)]

    @property
    def verdicts(self) -> list[FraudLabel]:
        """Return the verdicts that it has sent."""
        return [event for event in self.events if isinstance(event, FraudLabel)]

    def sending(self) -> Iterator[object]:
        """Send payments, some of them twice, and a verdict on every tenth."""
        for place in count():
            name = f"{self.run}-lake"
            payment = Transaction(
                transaction_id=f"{name}-{place}",
                event_time=EARLIEST + place % DAYS * DAY_MS + place * STEP_MS,
                customer_id=f"{name}-c{place % 7}",
                terminal_id=f"{name}-t{place % 5}",
                amount=(place + 1) / 100,
            )
            self._send(*([payment] * (1 + (place % AGAIN == 0))))
            if place % 10 == 0:
                self._send(
                    FraudLabel(
                        transaction_id=payment.transaction_id,
                        event_time=payment.event_time + STEP_MS,
                        customer_id=payment.customer_id,
                        terminal_id=payment.terminal_id,
                        is_fraud=place % 20 == 0,
                    )
                )
            yield place

    def _send(self, *events: Transaction | FraudLabel) -> None:
        send(self.sink, self.codec, events)
        self.events += events

    def poisons(self) -> Sequence[Poison]:
        """Return none: the products that read the topics put their poison aside."""
        return []

    def through(self) -> None:
        """Wait until the tables have what Kafka has."""
        self.sink.flush(120)
        through(self.stack, *((JOB, topic) for topic in joined()), timeout=300)
        until("the lake has what Kafka has", lambda: not self._expected() - self._places(), 60, 1.0)

    def verify(self) -> None:
        """Assert that the tables have each record's place, once, but what is in quarantine."""
        found = self._places()
        assert {place: times for place, times in found.items() if times > 1} == {}
        assert found == self._expected()
        assert self.stored() == {
            event.transaction_id: (event.event_time, event.customer_id, event.amount)
            for event in self.payments
        }
        told = self._mine("fraud_labels", "transaction_id", "is_fraud")
        assert Counter((one["transaction_id"], one["is_fraud"]) for one in told) == Counter(
            (event.transaction_id, event.is_fraud) for event in self.verdicts
        )

    def _places(self) -> Counter[Place]:
        """Return what the tables have of what came since the beginning."""
        lake = catalog(self.stack)
        found: Counter[Place] = Counter()
        for table in tables():
            wanted = ("_topic", "_partition", "_offset")
            rows = lake.load_table(table.identifier).scan(selected_fields=wanted).to_arrow()
            found.update(zip(*(rows[name].to_pylist() for name in wanted), strict=True))
        return Counter(
            {
                place: times
                for place, times in found.items()
                if place[2] >= self.began[place[0]].get(place[1], 0)
            }
        )

    def _expected(self) -> Counter[Place]:
        sent = {
            (topic, message.partition(), message.offset())
            for topic in joined()
            for message in messages(self.stack, topic, self.began[topic])
        }
        aside = {
            (one["source_topic"], one["source_partition"], one["source_offset"])
            for one in read(self.stack, "quarantine", self.codec, self.began["quarantine"])
        }
        return Counter(sent - aside)

    def _mine(self, name: str, *columns: str) -> list[dict[str, object]]:
        found = catalog(self.stack).load_table(("bronze", name))
        rows: list[dict[str, object]] = found.scan(selected_fields=columns).to_arrow().to_pylist()
        mine = f"{self.run}-lake-"
        return [row for row in rows if str(row["transaction_id"]).startswith(mine)]

    def stored(self) -> Mapping[object, object]:
        """Return the run's payments by id, whatever often they are there."""
        wanted = ("transaction_id", "event_time", "customer_id", "amount")
        return {
            row["transaction_id"]: (_ms(row["event_time"]), row["customer_id"], row["amount"])
            for row in self._mine(SOURCE, *wanted)
        }

    def repeat(self) -> None:
        """Send the records again: they are other places of the same ids."""
        send(self.sink, self.codec, self.events)


def _ms(time: object) -> int:
    assert isinstance(time, datetime)
    return round(time.timestamp() * 1000)


def tables() -> tuple[LakeTable, ...]:
    """Return the lake's tables."""
    return lake_tables(topics().values())


def joined() -> list[str]:
    """Return the topics that join the lake."""
    return list(dict.fromkeys(table.topic for table in tables()))
