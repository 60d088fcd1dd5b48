"""Just enough of confluent-kafka's clients to drive the loop without a broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition


@dataclass
class FakeMessage:
    data: bytes | None
    at: int
    place: int = 0
    stamp: int = 1000
    trouble: KafkaError | None = None
    source: str = "fraud-features"

    def value(self) -> bytes | None:
        return self.data

    def key(self) -> bytes:
        return b"k"

    def topic(self) -> str:
        return self.source

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, self.stamp

    def error(self) -> KafkaError | None:
        return self.trouble


class FakeConsumer:
    """Serves `messages`; when they are used up calls `empty`."""

    def __init__(self, messages: list[FakeMessage], empty: Callable[[], None]) -> None:
        self.messages, self.empty = deque(messages), empty
        self.commits: list[dict[Any, int]] = []
        self.metadata: dict[tuple[str, int], str] = {}  # as the broker keeps it
        self.paused = self.closed = False
        self.away = False
        self.at = 3
        self.serves_while_paused = False  # as what a client had fetched before
        self.batches: list[int] = []
        self.log: list[str] = []
        self.callbacks: dict[str, Any] = {}

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks
        self.topics = topics
        callbacks["on_assign"](
            self, [TopicPartition(topic, number) for topic in topics for number in (0, 1)]
        )

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        assert count > 0
        if self.paused and not self.serves_while_paused:
            return []
        if not self.messages:
            if timeout:
                self.empty()
            return []
        return [self.messages.popleft() for _ in range(min(count, len(self.messages)))]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.log.append("commit")
        for one in offsets:
            self.metadata.pop((one.topic, one.partition), None)
            if one.metadata:
                self.metadata[one.topic, one.partition] = one.metadata
        if any(one.metadata for one in offsets):
            return
        if len(self.topics) > 1:
            self.commits.append({(one.topic, one.partition): one.offset for one in offsets})
        else:
            self.commits.append({one.partition: one.offset for one in offsets})

    @staticmethod
    def place(topic: str, partition: int) -> TopicPartition:
        return TopicPartition(topic, partition)

    def assignment(self) -> list[TopicPartition]:
        return []

    def pause(self, _: Any) -> None:
        self.paused = True

    def resume(self, _: Any) -> None:
        self.paused = False

    def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(one.topic, one.partition, self.at) for one in partitions]

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return [
            TopicPartition(
                one.topic,
                one.partition,
                9,
                metadata=self.metadata.get((one.topic, one.partition), ""),
            )
            for one in partitions
        ]

    def get_watermark_offsets(self, _: TopicPartition, **__: Any) -> tuple[int, int]:
        return 0, 10

    def list_topics(self, timeout: float) -> None:
        self.log.append("asked")
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def close(self) -> None:
        self.closed = True


class FakeProducer:
    """Confirms at the next `poll`, unless `mute`; fails with `error` if given.

    Full for the first `full` calls.

    `room`: how many it takes before it is full for ever; `asked` is called whenever it is full.
    """

    def __init__(self, error: KafkaError | None = None, full: int = 0) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.error, self.full, self.mute = error, full, False
        self.room: int | None = None
        self.asked: Callable[[], None] = lambda: None
        self._waiting: list[Callable[[Any, Any], None]] = []

    def produce(
        self, topic: str, value: bytes, key: bytes, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        if self.full or len(self.sent) == self.room:
            self.full = max(0, self.full - 1)
            self.asked()
            raise BufferError
        self.sent.append((topic, key, value))
        self._waiting.append(on_delivery)

    def poll(self, _: float) -> int:
        if self.mute:
            return 0
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback(self.error, None)
        return len(waiting)

    def flush(self, _: float) -> int:
        self.poll(0)
        return len(self._waiting)
