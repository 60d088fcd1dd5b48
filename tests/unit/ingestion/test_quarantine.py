"""Putting records aside, folding the quarantine's log, and showing it to a person."""

from __future__ import annotations

import itertools
import json

import pytest

from config.errors import UserError
from config.topics import topics
from ingestion import schema
from ingestion.kafka import quarantine
from ingestion.kafka.quarantine import Position
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.encode import LATEST_MS
from millrace.cli import quarantine as cli
from tests.unit.ingestion.quarantines import DictRegistry, codec_on, folded, put_aside


@pytest.fixture
def codec() -> Codec:
    return codec_on(DictRegistry())


class Poison:
    """A message as confluent-kafka hands it over."""

    def __init__(
        self, key: bytes | None, value: bytes | None, time: int = 1_700_000_000_000
    ) -> None:
        self._key, self._value, self._time = key, value, time

    def topic(self) -> str:
        return "transactions"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 1, self._time

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value


def aside(codec: Codec, poison: Poison) -> quarantine.Entry:
    error = UnreadableError("malformed", "no record")
    value = quarantine.put_aside(codec, poison, error, job="consumer/fraud", now=1_700_000_000_500)
    assert len(value) <= topics()["quarantine"].room
    return quarantine.fold([value], codec).find(Position("transactions", 0, 7))


def test_a_record_is_put_aside_whole_with_why(codec: Codec) -> None:
    entry = aside(codec, Poison(b"c", b"\x07nonsense"))
    assert (entry.key, entry.value) == (b"c", b"\x07nonsense")
    assert (entry.reason, entry.detail, entry.jobs) == (
        "malformed",
        "no record",
        ["consumer/fraud"],
    )
    assert (entry.source_time, entry.quarantined_at) == (1_700_000_000_000, 1_700_000_000_500)
    assert aside(codec, Poison(None, None)).value is None


def test_the_largest_record_of_any_topic_is_put_aside_whole(codec: Codec) -> None:
    largest = max(topic.room for topic in topics().values() if topic.name != "quarantine")
    whole = bytes(range(256)) * (largest // 256)
    entry = aside(codec, Poison(None, whole))
    assert entry.value == whole
    assert entry.detail == "no record"


def test_what_is_larger_is_cut_and_says_so(codec: Codec) -> None:
    whole = bytes(range(256)) * 20_000
    entry = aside(codec, Poison(b"c", whole))
    assert entry.value is not None
    assert whole.startswith(entry.value)
    assert len(entry.value) > 4_000_000
    told = f"too large: of its value's 5120000 bytes the first {len(entry.value)} are kept"
    assert entry.detail == f"no record; {told}"
    assert entry.key == b"c"


def test_a_key_that_is_too_large_is_cut_as_well(codec: Codec) -> None:
    entry = aside(codec, Poison(b"k" * 5_000_000, b"v" * 5_000_000))
    assert entry.value == b""
    assert entry.key is not None
    assert 4_000_000 < len(entry.key) < 5_000_000
    assert (
        "of its value's 5000000 bytes the first 0 are kept; too large: of its key's 5000000 bytes"
        in entry.detail
    )


def test_kafka_s_own_time_may_be_any(codec: Codec) -> None:
    assert aside(codec, Poison(None, b"x", 1_760_000_000_000_000)).source_time == LATEST_MS
    assert aside(codec, Poison(None, b"x", -1)).source_time == -1


@pytest.mark.parametrize(
    "text", ["", "transactions", "transactions/0", "alerts/0/x", "/0/1", "alerts/0/-1"]
)
def test_position_refuses_what_is_none(text: str) -> None:
    with pytest.raises(UserError, match="TOPIC/PARTITION/OFFSET"):
        Position.parse(text)


def test_position_reads_what_it_prints() -> None:
    position = Position("a/b", 3, 12)
    assert Position.parse(str(position)) == position


def test_one_record_put_aside_by_two_jobs_is_one_entry() -> None:
    made = folded(
        put_aside(1, b"x"),
        put_aside(1, b"x", job="business"),
        put_aside(1, b"x"),
        put_aside(2, b"y"),
    )
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


def test_hexdump_lines_up() -> None:
    lines = list(cli.hexdump(bytes(range(0x30, 0x44)) + b"\x00"))
    assert lines == [
        "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|",
        "00000010  40 41 42 43 00                                    |@ABC.|",
    ]
    assert list(cli.hexdump(b"")) == []


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"c1", "c1"), (b"\xff\x00", "0xff00"), (b"a\nb", "0x610a62"), (b"", "")]
)
def test_keys_are_text_where_they_are_some(raw: bytes, shown: str) -> None:
    assert cli.text(raw) == shown


def test_times_no_calendar_holds_stay_numbers() -> None:
    assert cli.iso(0) == "1970-01-01T00:00:00.000+00:00"
    assert cli.iso(1 << 62) == str(1 << 62)


def test_summary_is_json_whatever_the_bytes() -> None:
    (entry,) = folded(put_aside(1, b"\xff", key=b"\xfe", source_time=-(1 << 62))).open()
    assert json.loads(json.dumps(cli.summary(entry)))["key"] == "0xfe"


def test_mark_fits_the_schema(codec: Codec) -> None:
    assert {field["name"] for field in schema.load("Quarantined")["fields"]} >= set(
        put_aside(1, b"")
    )
