"""Folding the quarantine's log and replaying from it, against a registry and a broker made of dictionaries."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from config.errors import RetryableError, UserError
from ingestion import quarantine, schema
from ingestion.avro import Codec, UnreadableError
from ingestion.producer import DeliveryError
from ingestion.quarantine import Position, Quarantine
from ingestion.registry import UnknownSchemaError
from millrace.cli import quarantine as cli

PAYMENT = {"transaction_id": "t1", "event_time": 1, "customer_id": "c", "terminal_id": "t", "amount": 2.5}
Headers = Sequence[tuple[str, bytes]]


class DictRegistry:
    """Ids in order of registration; `lost` ones are unknown."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.lost: set[int] = set()
        self.away = False

    def register(self, subject: str, text: str) -> int:
        if text not in self.schemas:
            self.schemas.append(text)
        return self.schemas.index(text)

    def schema(self, schema_id: int) -> str:
        if self.away:
            raise RetryableError("registry away")
        if schema_id >= len(self.schemas) or schema_id in self.lost:
            raise UnknownSchemaError(str(schema_id))
        return self.schemas[schema_id]


class ListOutbox:
    """Keeps what was flushed; `fail_at` is the flush that fails."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.waiting: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        self.sent: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        self._flushes, self._fail_at = itertools.count(), fail_at

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        self.waiting.append((topic, key, value, headers))

    def flush(self) -> None:
        if next(self._flushes) == self._fail_at:
            raise DeliveryError("broker gone", len(self.waiting))
        self.sent += self.waiting
        self.waiting.clear()

    def topic(self, name: str) -> list[tuple[bytes | None, bytes | None, Headers]]:
        return [(key, value, headers) for topic, key, value, headers in self.sent if topic == name]


@pytest.fixture
def registry() -> DictRegistry:
    return DictRegistry()


@pytest.fixture
def codec(registry: DictRegistry) -> Codec:
    made = Codec(registry)  # type: ignore[arg-type]
    made.encoder("transactions")
    made.encoder("quarantine")
    return made


def put_aside(offset: int, value: bytes | None, **fields: Any) -> dict[str, Any]:
    return {
        "source_topic": "transactions",
        "source_partition": 0,
        "source_offset": offset,
        "source_time": 1_700_000_000_000,
        "key": b"c",
        "value": value,
        "reason": "unknown_schema",
        "detail": "schema id 7",
        "job": "fraud_features",
        "quarantined_at": 1_700_000_000_500,
        "replayed": False,
        **fields,
    }


def folded(*records: dict[str, Any]) -> Quarantine:
    made = Quarantine()
    for record in records:
        made.add(record)
    return made


def now() -> int:
    return 1_800_000_000_000


@pytest.mark.parametrize("text", ["", "transactions", "transactions/0", "alerts/0/x", "/0/1", "alerts/0/-1"])
def test_position_refuses_what_is_none(text: str) -> None:
    with pytest.raises(UserError, match="TOPIC/PARTITION/OFFSET"):
        Position.parse(text)


def test_position_reads_what_it_prints() -> None:
    position = Position("a/b", 3, 12)
    assert Position.parse(str(position)) == position


def test_one_record_put_aside_by_two_jobs_is_one_entry() -> None:
    made = folded(put_aside(1, b"x"), put_aside(1, b"x", job="business"), put_aside(1, b"x"), put_aside(2, b"y"))
    assert [(entry.position.offset, entry.jobs) for entry in made.open()] == [
        (1, ["fraud_features", "business"]),
        (2, ["fraud_features"]),
    ]
    assert made.reasons() == {"unknown_schema": 2}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_mark_holds_wherever_it_stands(order: tuple[int, ...]) -> None:
    log = [put_aside(1, b"x"), put_aside(1, None, replayed=True), put_aside(1, b"x")]
    assert folded(*(log[place] for place in order)).open() == []


def test_unreadable_records_of_the_topic_itself_are_counted(codec: Codec) -> None:
    good = codec.encode("quarantine", put_aside(1, b"x"))
    made = quarantine.fold([b"\x07nonsense", good, None], codec)
    assert (len(made.open()), made.unreadable) == (1, 2)
    assert made.find(Position("transactions", 0, 1)).value == b"x"
    with pytest.raises(UserError, match="not in quarantine"):
        made.find(Position("transactions", 0, 2))


def test_replay_sends_what_decodes_as_it_was_and_marks_it(codec: Codec) -> None:
    value = codec.encode("transactions", PAYMENT)
    made, outbox = folded(put_aside(1, value), put_aside(2, b"\x01never")), ListOutbox()
    done = quarantine.replay(made.open(), codec, outbox, now)
    assert outbox.topic("transactions") == [(b"c", value, [("millrace-replayed-from", b"transactions/0/1")])]
    ((key, mark, _),) = outbox.topic("quarantine")
    assert key == b"transactions"
    assert codec.decode("quarantine", mark)["replayed"] is True
    assert done.sent == (Position("transactions", 0, 1),)
    ((stays, why),) = done.stayed
    assert stays.offset == 2
    assert "bad_magic" in why


def test_marks_written_are_marks_read(codec: Codec) -> None:
    records = [codec.encode("quarantine", put_aside(n, codec.encode("transactions", PAYMENT))) for n in range(3)]
    outbox = ListOutbox()
    made = quarantine.fold(records, codec)
    quarantine.replay(made.open()[:2], codec, outbox, now)
    again = quarantine.fold([*records, *(value for _, value, _ in outbox.topic("quarantine"))], codec)
    assert [entry.position.offset for entry in again.open()] == [2]
    done = quarantine.replay(again.entries.values(), codec, outbox, now)
    assert [position.offset for position in done.before] == [0, 1]
    assert len(outbox.topic("transactions")) == 3


def test_same_entries_replayed_twice_are_sent_once(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    entries = made.open()
    quarantine.replay(entries, codec, outbox, now)
    assert quarantine.replay(entries, codec, outbox, now).sent == ()
    assert len(outbox.topic("transactions")) == 1


@pytest.mark.parametrize("fail_at", [0, 1])
def test_nothing_is_marked_that_was_not_acknowledged(codec: Codec, fail_at: int) -> None:
    made = folded(put_aside(1, codec.encode("transactions", PAYMENT)))
    outbox = ListOutbox(fail_at)
    with pytest.raises(DeliveryError):
        quarantine.replay(made.open(), codec, outbox, now)
    assert outbox.topic("quarantine") == []
    assert len(outbox.topic("transactions")) == fail_at  # sent before the mark, never the other way round
    assert len(made.open()) == 1


def test_interruption_costs_one_chunk_at_most(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "CHUNK", 2)
    value = codec.encode("transactions", PAYMENT)
    made, outbox = folded(*(put_aside(n, value) for n in range(5))), ListOutbox(fail_at=3)
    with pytest.raises(DeliveryError):
        quarantine.replay(made.open(), codec, outbox, now)
    assert len(outbox.topic("transactions")) == 4
    assert len(outbox.topic("quarantine")) == 2
    assert [entry.position.offset for entry in made.open()] == [2, 3, 4]


def test_dry_run_sends_nothing(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    assert len(quarantine.replay(made.open(), codec, outbox, now, dry=True).sent) == 1
    assert outbox.sent == outbox.waiting == []
    assert len(made.open()) == 1


def test_force_sends_what_does_not_decode(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, b"\x01bad"), put_aside(2, None)), ListOutbox()
    assert quarantine.replay(made.open(), codec, outbox, now, force=True).stayed == ()
    assert [value for _, value, _ in outbox.topic("transactions")] == [b"\x01bad", None]


def test_undeclared_topic_stays(codec: Codec) -> None:
    made, outbox = folded(put_aside(1, b"x", source_topic="gone")), ListOutbox()
    ((_, why),) = quarantine.replay(made.open(), codec, outbox, now).stayed
    assert "not declared" in why


def test_schema_that_appears_makes_a_record_readable(codec: Codec, registry: DictRegistry) -> None:
    value = codec.encode("transactions", PAYMENT)
    (entry,) = folded(put_aside(1, value)).open()
    registry.lost.add(0)
    with pytest.raises(UnreadableError, match="unknown_schema"):
        quarantine.attempt(codec, entry)
    registry.lost.clear()
    assert quarantine.attempt(codec, entry) == PAYMENT


def test_registry_away_is_no_verdict(codec: Codec, registry: DictRegistry) -> None:
    made, outbox = folded(put_aside(1, codec.encode("transactions", PAYMENT))), ListOutbox()
    registry.away = True
    with pytest.raises(RetryableError):
        quarantine.replay(made.open(), codec, outbox, now)
    assert outbox.sent == []


def test_hexdump_lines_up() -> None:
    lines = list(cli.hexdump(bytes(range(0x30, 0x44)) + b"\x00"))
    assert lines == [
        "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|",
        "00000010  40 41 42 43 00                                    |@ABC.|",
    ]
    assert list(cli.hexdump(b"")) == []


@pytest.mark.parametrize(("raw", "shown"), [(b"c1", "c1"), (b"\xff\x00", "0xff00"), (b"a\nb", "0x610a62"), (b"", "")])
def test_keys_are_text_where_they_are_some(raw: bytes, shown: str) -> None:
    assert cli.text(raw) == shown


def test_times_no_calendar_holds_stay_numbers() -> None:
    assert cli.iso(0) == "1970-01-01T00:00:00.000+00:00"
    assert cli.iso(1 << 62) == str(1 << 62)


def test_summary_is_json_whatever_the_bytes() -> None:
    (entry,) = folded(put_aside(1, b"\xff", key=b"\xfe", source_time=-(1 << 62))).open()
    assert json.loads(json.dumps(cli.summary(entry)))["key"] == "0xfe"


def test_mark_fits_the_schema(codec: Codec) -> None:
    assert {field["name"] for field in schema.load("Quarantined")["fields"]} >= set(put_aside(1, b""))
