"""Following a topic over a consumer made of a list, and how the command tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from typer.testing import CliRunner

from config.errors import RetryableError, UserError
from ingestion.kafka.tail import Line, Start, Tail
from ingestion.wire.codec import Codec
from millrace.cli import topics as cli
from tests.unit.ingestion.registries import FakeRegistry

TOPIC = "shop-events"
T = 1_433_221_332_000
Stored = tuple[int, int, int, bytes | None, bytes | None]


class Stamped:
    """A message as confluent-kafka hands it over: partition, offset, time, key, value."""

    def __init__(self, stored: Stored, error: KafkaError | None = None) -> None:
        self._stored, self._error = stored, error

    def error(self) -> KafkaError | None:
        return self._error

    def partition(self) -> int:
        return self._stored[0]

    def offset(self) -> int:
        return self._stored[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._stored[2]

    def key(self) -> bytes | None:
        return self._stored[3]

    def value(self) -> bytes | None:
        return self._stored[4]


class FakeConsumer:
    """A topic of two partitions; `later` comes when all that was there has been read."""

    def __init__(self, stored: list[Stored], later: list[Stamped] | None = None) -> None:
        self.stored, self.later = stored, later or []
        self.assigned: dict[int, int] = {}
        self.closed = False
        self._queue: list[Stamped] = []

    def list_topics(self, topic: str, timeout: float) -> Any:
        found = SimpleNamespace(error=None, partitions={0: None, 1: None})
        return SimpleNamespace(topics={topic: found})

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        offsets = [one[1] for one in self.stored if one[0] == place.partition]
        return (min(offsets), max(offsets) + 1) if offsets else (0, 0)

    def offsets_for_times(
        self, asked: list[TopicPartition], timeout: float
    ) -> Iterator[TopicPartition]:
        for one in asked:
            later = [
                stored[1]
                for stored in self.stored
                if stored[0] == one.partition and stored[2] >= one.offset
            ]
            yield TopicPartition(one.topic, one.partition, min(later, default=-1))

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = {place.partition: place.offset for place in places}
        self._queue = [
            Stamped(one) for one in self.stored if one[1] >= self.assigned[one[0]]
        ] + self.later

    def consume(self, number: int, timeout: float) -> list[Stamped]:
        if not self._queue:
            raise KeyboardInterrupt
        taken, self._queue = self._queue[:2], self._queue[2:]
        return taken

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def codec() -> Codec:
    return Codec(FakeRegistry().client())


def event(codec: Codec, name: str, user: str) -> bytes:
    fields = {"event_id": name, "event_type": "view", "event_time": T, "item_id": "i"}
    return codec.encode(TOPIC, {**fields, "user_id": user})


@pytest.fixture
def stored(codec: Codec) -> list[Stored]:
    """Partition 0 from offset 10 on, partition 1 from 0 on; one record is garbage."""
    return [
        (0, 10, T, b"u", event(codec, "a", "u")),
        (1, 0, T + 1, b"w", event(codec, "b", "w")),
        (0, 11, T + 2, b"\xff", b"garbage"),
        (0, 12, T + 3, b"u", event(codec, "c", "u")),
    ]


def ids(lines: Iterator[Line]) -> list[str]:
    return [str(line.record["event_id"]) if line.record else line.reason for line in lines]


@pytest.mark.parametrize(
    ("start", "seen"),
    [
        ("beginning", ["a", "b", "bad_magic", "c"]),
        ("end", []),
        ("11", ["bad_magic", "c"]),
        ("1", ["a", "bad_magic", "c"]),
        ("2015-06-02T05:02:12.002", ["bad_magic", "c"]),
        ("2015-06-02T07:02:12.003+02:00", ["c"]),
        ("2030-01-01", []),
    ],
)
def test_it_begins_where_told_and_ends_where_the_topic_does(
    stored: list[Stored], codec: Codec, start: str, seen: list[str]
) -> None:
    tail = Tail(FakeConsumer(stored), codec, TOPIC, Start.parse(start))

    assert ids(tail.lines(follow=False)) == seen


def test_what_comes_later_is_followed_only_if_asked(stored: list[Stored], codec: Codec) -> None:
    later = [Stamped((1, 1, T, b"u", event(codec, "later", "u")))]

    def tail() -> Tail:
        return Tail(FakeConsumer(stored, later), codec, TOPIC, Start.parse("12"))

    assert ids(tail().lines(follow=False)) == ["c"]
    followed = tail().lines()
    assert [next(followed).offset, next(followed).offset] == [12, 1]
    with pytest.raises(KeyboardInterrupt):
        next(followed)


def test_a_key_chooses(stored: list[Stored], codec: Codec) -> None:
    tail = Tail(FakeConsumer(stored), codec, TOPIC, Start.parse("beginning"))

    assert ids(tail.lines(follow=False, key="u")) == ["a", "c"]


@pytest.mark.parametrize("text", ["yesterday", "-1", "2026-13-01", ""])
def test_another_start_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--from is beginning, end, an offset or a time"):
        Start.parse(text)


def test_errors_of_the_client_pass_and_those_that_stay_are_told(codec: Codec) -> None:
    away = Stamped((0, 0, T, None, None), KafkaError(KafkaError._ALL_BROKERS_DOWN))
    gone = Stamped((0, 0, T, None, None), KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    tail = Tail(FakeConsumer([], [away, gone]), codec, TOPIC, Start.parse("end"))

    with pytest.raises(RetryableError, match="shop-events cannot be read"):
        next(tail.lines())


def test_a_broker_that_is_away_is_told(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    consumer = FakeConsumer([])
    monkeypatch.setattr(consumer, "list_topics", silent)

    with pytest.raises(RetryableError, match="shop-events cannot be read"):
        Tail(consumer, codec, TOPIC, Start.parse("end"))


class Command:
    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, consumer: FakeConsumer, codec: Codec
    ) -> None:
        monkeypatch.setattr(cli, "reader", lambda bootstrap: consumer)
        monkeypatch.setattr(cli, "Codec", lambda registry: codec)
        self._app = typer.Typer()
        self._app.add_typer(cli.app, name="topics")

    def __call__(self, *arguments: str) -> Any:
        return CliRunner().invoke(self._app, ["topics", "tail", *arguments])


def test_the_command_prints_lines_and_counts(
    monkeypatch: pytest.MonkeyPatch, stored: list[Stored], codec: Codec
) -> None:
    consumer = FakeConsumer(stored)
    done = Command(monkeypatch, consumer, codec)(TOPIC, "--from", "beginning")

    assert done.exit_code == 1, "one record is not what its contract says"
    first, _, broken, _ = done.stdout.splitlines()
    head = 'shop-events/0/10 2015-06-02T05:02:12.000+00:00 u ShopEvent {"event_id": "a", '
    assert first.startswith(head)
    assert '"event_time": "2015-06-02T05:02:12.000+00:00"' in first
    assert broken.startswith("shop-events/0/11 2015-06-02T05:02:12.002+00:00 0xff UNREADABLE")
    assert "4 records: 3 ShopEvent; not as their contract says: 1 bad_magic" in done.stderr
    assert consumer.closed


def test_the_command_speaks_json(
    monkeypatch: pytest.MonkeyPatch, stored: list[Stored], codec: Codec
) -> None:
    command = Command(monkeypatch, FakeConsumer(stored), codec)
    done = command(TOPIC, "--from", "beginning", "--limit", "2", "--json")

    assert done.exit_code == 0
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first | {"record": None} == {
        "topic": TOPIC,
        "partition": 0,
        "offset": 10,
        "time": T,
        "key": "u",
        "schema_id": 1,
        "type": "ShopEvent",
        "record": None,
    }
    assert first["record"]["event_time"] == T
    assert second["record"]["event_id"] == "b"
    assert json.loads(done.stderr) == {"total": 2, "records": {"ShopEvent": 2}, "broken": {}}


def test_another_topic_is_refused(
    monkeypatch: pytest.MonkeyPatch, stored: list[Stored], codec: Codec
) -> None:
    done = Command(monkeypatch, FakeConsumer(stored), codec)("shop-event")

    assert isinstance(done.exception, UserError)
    assert "no topic is called 'shop-event'; there are: transactions" in str(done.exception)
