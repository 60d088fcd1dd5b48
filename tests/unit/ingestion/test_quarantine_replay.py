"""Replaying from quarantine, against a registry and a broker made of dictionaries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from config.errors import RetryableError
from ingestion import schema
from ingestion.kafka import quarantine, quarantine_replay
from ingestion.kafka.producer import DeliveryError
from ingestion.kafka.quarantine import Position
from ingestion.kafka.quarantine_replay import Failure, KafkaOutbox, Outgoing, replay
from ingestion.wire.codec import Codec, UnreadableError, header
from tests.unit.ingestion.quarantines import (
    PAYMENT,
    DictRegistry,
    ListOutbox,
    codec_on,
    folded,
    put_aside,
)


@pytest.fixture
def registry() -> DictRegistry:
    return DictRegistry()


@pytest.fixture
def codec(registry: DictRegistry) -> Codec:
    return codec_on(registry)


def now() -> int:
    return 1_800_000_000_000


def awake(_seconds: float) -> None:
    """Sleep not at all."""


def test_replay_sends_what_decodes_as_it_was_and_marks_it(codec: Codec) -> None:
    value = codec.encode("transactions", PAYMENT)
    made, outbox = folded(put_aside(1, value), put_aside(2, b"\x01never")), ListOutbox()
    done = replay(made.open(), codec, outbox, now, awake)
    origin = (("millrace-replayed-from", b"transactions/0/1"),)
    assert outbox.topic("transactions") == [Outgoing("transactions", b"c", value, origin)]
    (mark,) = outbox.topic("quarantine")
    assert mark.key == b"transactions"
    assert codec.decode("quarantine", mark.value)["replayed"] is True
    assert done.sent == [Position("transactions", 0, 1)]
    ((stays, why),) = done.stayed
    assert stays.offset == 2
    assert "bad_magic" in why


def test_marks_written_are_marks_read(codec: Codec) -> None:
    records = [
        codec.encode("quarantine", put_aside(n, codec.encode("transactions", PAYMENT)))
        for n in range(3)
    ]
    outbox = ListOutbox()
    made = quarantine.fold(records, codec)
    replay(made.open()[:2], codec, outbox, now, awake)
    again = quarantine.fold([*records, *(mark.value for mark in outbox.topic("quarantine"))], codec)
    assert [entry.position.offset for entry in again.open()] == [2]
    done = replay(again.entries.values(), codec, outbox, now, awake)
    assert [position.offset for position in done.before] == [0, 1]
    assert len(outbox.topic("transactions")) == 3


def test_same_entries_replayed_twice_are_sent_once(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    entries = made.open()
    replay(entries, codec, outbox, now, awake)
    assert replay(entries, codec, outbox, now, awake).sent == []
    assert len(outbox.topic("transactions")) == 1


@pytest.mark.parametrize("away", [0, 1])
def test_nothing_is_marked_that_was_not_acknowledged(codec: Codec, away: int) -> None:
    made = folded(put_aside(1, codec.encode("transactions", PAYMENT)))
    outbox = ListOutbox(away=[away])
    with pytest.raises(DeliveryError, match="1 records not delivered, the first: broker gone"):
        replay(made.open(), codec, outbox, now, awake)
    assert outbox.topic("quarantine") == []
    # Sent before the mark, never the other way round.
    assert len(outbox.topic("transactions")) == away
    assert len(made.open()) == 1


def test_interruption_costs_one_chunk_at_most(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine_replay, "CHUNK", 2)
    value = codec.encode("transactions", PAYMENT)
    made, outbox = folded(*(put_aside(n, value) for n in range(5))), ListOutbox(away=[3])
    with pytest.raises(DeliveryError):
        replay(made.open(), codec, outbox, now, awake)
    assert len(outbox.topic("transactions")) == 4
    assert len(outbox.topic("quarantine")) == 2
    assert [entry.position.offset for entry in made.open()] == [2, 3, 4]


def test_what_no_broker_takes_stays_and_holds_nobody_up(codec: Codec) -> None:
    small, large = (
        codec.encode("transactions", {**PAYMENT, "customer_id": "c" * size})
        for size in (1, 2_000_000)
    )
    made, outbox = (
        folded(put_aside(1, small), put_aside(2, large), put_aside(3, small)),
        ListOutbox(),
    )
    done = replay(made.open(), codec, outbox, now, awake, force=True)
    assert [position.offset for position in done.sent] == [1, 3]
    assert done.stayed == [(Position("transactions", 0, 2), "Broker: Message size too large")]
    assert [entry.position.offset for entry in made.open()] == [2]
    assert len(outbox.topic("quarantine")) == 2
    unforced = replay(made.open(), codec, outbox, now, awake)
    assert [why.split(":")[0] for _, why in unforced.stayed] == ["refused"]


class HalfOutbox(ListOutbox):
    """Loses every second record of its first delivery."""

    def deliver(self, records: Any) -> list[Failure | None]:
        lost = Failure("broker gone", final=False)
        first = not self.sent
        return [
            lost if first and place % 2 else self._take(record)
            for place, record in enumerate(records)
        ]


def test_a_retry_sends_only_what_was_not_acknowledged(codec: Codec) -> None:
    value = codec.encode("transactions", PAYMENT)
    made, outbox = folded(*(put_aside(n, value) for n in range(4))), HalfOutbox()
    with pytest.raises(DeliveryError, match="2 records not delivered"):
        replay(made.open(), codec, outbox, now, awake)
    assert [entry.position.offset for entry in made.open()] == [1, 3]
    marked = [
        codec.decode("quarantine", mark.value)["source_offset"]
        for mark in outbox.topic("quarantine")
    ]
    assert marked == [0, 2]

    replay(made.open(), codec, outbox, now, awake)
    assert [record.headers[0][1] for record in outbox.topic("transactions")] == [
        f"transactions/0/{offset}".encode() for offset in (0, 2, 1, 3)
    ]
    assert made.open() == []


def test_dry_run_sends_nothing(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    assert len(replay(made.open(), codec, outbox, now, awake, dry=True).sent) == 1
    assert outbox.sent == []
    assert len(made.open()) == 1


@pytest.mark.parametrize(("reason", "naps"), [("unknown_schema", 1), ("truncated", 0)])
def test_a_replay_waits_until_jobs_ask_again_for_an_unknown_schema(
    codec: Codec, reason: str, naps: int
) -> None:
    outbox, slept = ListOutbox(), list[float]()

    def sleep(seconds: float) -> None:
        assert outbox.sent == []
        slept.append(seconds)

    again = put_aside(1, codec.encode("transactions", PAYMENT), reason=reason)
    replay(folded(again).open(), codec, outbox, now, sleep)
    assert len(outbox.topic("transactions")) == 1
    # The default of the format's option `unknown-for` is 5 s.
    assert len(slept) == naps
    assert all(seconds > 5 for seconds in slept)


def test_force_sends_what_does_not_decode(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, b"\x01bad"), put_aside(2, None)), ListOutbox()
    assert replay(made.open(), codec, outbox, now, awake, force=True).stayed == []
    assert [record.value for record in outbox.topic("transactions")] == [b"\x01bad", None]


def test_undeclared_topic_stays(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, b"x", source_topic="gone")), ListOutbox()
    ((_, why),) = replay(made.open(), codec, outbox, now, awake).stayed
    assert "not declared" in why


def test_schema_that_appears_makes_a_record_readable(codec: Codec, registry: DictRegistry) -> None:
    value = codec.encode("transactions", PAYMENT)
    (entry,) = folded(put_aside(1, value)).open()
    registry.lost.add(0)
    with pytest.raises(UnreadableError, match="unknown_schema"):
        quarantine_replay.attempt(codec, entry, now())
    registry.lost.clear()
    assert quarantine_replay.attempt(codec, entry, now()) == PAYMENT


def test_what_the_jobs_refuse_stays_too(codec: Codec, registry: DictRegistry) -> None:
    """fastavro reads both; the kernel puts both aside again."""
    label = {
        "transaction_id": "t",
        "event_time": 1,
        "customer_id": "c",
        "terminal_id": "m",
        "is_fraud": True,
    }
    odd = codec.encode("transaction-labels", label)[:-2] + b"\x02\x00"  # and no note
    micros = json.loads(schema.text("Transaction"))
    (field,) = (field for field in micros["fields"] if field["name"] == "event_time")
    field["type"]["logicalType"] = "timestamp-micros"
    written = registry.register("elsewhere", json.dumps(micros))
    other = header(written) + codec.encode("transactions", PAYMENT)[5:]
    made, outbox = (
        folded(put_aside(1, odd, source_topic="transaction-labels"), put_aside(2, other)),
        ListOutbox(),
    )

    whys = [why for _, why in replay(made.open(), codec, outbox, now, awake).stayed]

    assert whys == [
        "malformed: is_fraud: boolean of value 2",
        "incompatible_schema: field event_time is written as timestamp-micros, "
        "read as timestamp-millis",
    ]
    assert outbox.sent == []


def test_registry_away_is_no_verdict(codec: Codec, registry: DictRegistry) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    registry.away = True
    with pytest.raises(RetryableError):
        replay(made.open(), codec, outbox, now, awake)
    assert outbox.sent == []


class FullProducer:
    """Full at the first call; refuses or loses what says so.

    Acknowledges the rest when it is flushed.
    """

    def __init__(self) -> None:
        self.full = True
        self._waiting: list[tuple[bytes, Callable[[Any, Any], None]]] = []

    def produce(
        self,
        topic: str,
        value: bytes,
        key: bytes,
        headers: Any,
        on_delivery: Callable[[Any, Any], None],
    ) -> None:
        if self.full:
            raise BufferError
        if value == b"refuse":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self._waiting.append((value, on_delivery))

    def poll(self, timeout: float) -> int:
        self.full = False
        return 0

    def __len__(self) -> int:
        return len(self._waiting)

    def flush(self, timeout: float) -> int:
        for value, settle in self._waiting:
            settle({b"lose": KafkaError(KafkaError._MSG_TIMED_OUT)}.get(value), None)
        self._waiting.clear()
        return 0


def test_the_fate_of_each_record_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_replay, "Producer", lambda *given, **named: FullProducer())
    records = [Outgoing("t", None, value) for value in (b"a", b"refuse", b"lose", b"b")]

    taken, refused, lost, other = KafkaOutbox("nobody:1").deliver(records)

    assert taken is other is None
    assert refused is not None
    assert (refused.final, refused.why) == (True, "Broker: Message size too large")
    assert lost is not None
    assert (lost.final, lost.why) == (False, "Local: Message timed out")


def test_an_event_too_far_ahead_waits_for_its_time(codec: Codec) -> None:
    day = 86_400_000
    value = codec.encode("transactions", {**PAYMENT, "event_time": now() + day + 1})
    made, outbox = folded(put_aside(1, value, reason="refused")), ListOutbox()

    ((_, why),) = replay(made.open(), codec, outbox, now, awake).stayed

    assert "event_time is still 86400 s ahead" in why
    assert len(replay(made.open(), codec, outbox, lambda: now() + 1, awake).sent) == 1
