"""Copy a topic's records, each in its partition and with its time, to a topic for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from config.errors import RetryableError, UserError
from config.topics import Topic
from ingestion.kafka.producer import client_log, drain, producer_config
from ingestion.kafka.topics import result

# The records are as old as history: no time may remove them.
_FOREVER = {"retention.ms": "-1", "message.timestamp.before.max.ms": str(2**63 - 1)}
_PATIENCE_S, _ANSWER_S, _SILENT_S = 300.0, 15.0, 60.0
_AT_ONCE = 5_000

Offsets = dict[int, int]
"""By partition."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a topic; `time` is Kafka's timestamp of it, in ms."""

    partition: int
    offset: int
    time: int
    key: bytes | None
    value: bytes | None


class Copy:
    """A topic named `name` with the partitions of another, made anew and empty."""

    def __init__(self, client: AdminClient, bootstrap: str, of: Topic, name: str) -> None:
        """Make it. Raise RetryableError if Kafka is away."""
        self.name = name
        self._failed: KafkaError | None = None
        self._ends: Offsets = dict.fromkeys(range(of.partitions), 0)
        config = dict(_FOREVER)
        if of.max_message_bytes is not None:
            config["max.message.bytes"] = str(of.max_message_bytes)
        new = NewTopic(name, of.partitions, of.replication, config=config)
        for future in client.create_topics([new], operation_timeout=_ANSWER_S).values():
            result(future)
        self._producer = Producer(producer_config(bootstrap, "millrace-copy"), logger=client_log)

    @property
    def ends(self) -> Mapping[int, int]:
        """Return how many records each partition has been given."""
        return self._ends

    def add(self, records: Iterable[Record]) -> int:
        """Append records in their order; return how many, once all have arrived.

        Raise RetryableError if one did not.
        """
        count = 0
        for one in records:
            self._send(one)
            self._ends[one.partition] += 1
            count += 1
        drain(self._producer, _PATIENCE_S)
        if self._failed is not None:
            raise RetryableError(f"{self.name}: {self._failed.str()}")
        return count

    def _send(self, one: Record) -> None:
        while True:
            try:
                self._producer.produce(
                    self.name,
                    one.value,
                    one.key,
                    partition=one.partition,
                    timestamp=one.time,
                    on_delivery=self._settle,
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise RetryableError(f"{self.name}: {error.args[0].str()}") from error
            else:
                self._producer.poll(0)
                return

    def _settle(self, error: KafkaError | None, _: Message) -> None:
        self._failed = self._failed or error


def remove(client: AdminClient, names: Sequence[str]) -> None:
    """Remove topics, as far as they are there and Kafka answers."""
    if not names:
        return
    for future in client.delete_topics(list(names)).values():
        with suppress(RetryableError, UserError):
            result(future)


def between(consumer: Consumer, topic: str, first: Offsets, end: Offsets) -> Iterator[Record]:
    """Yield the records of each partition from `first` up to before `end`, in their order.

    Raise UserError if Kafka no longer has the first, RetryableError if it is away.
    """
    try:
        for partition, last in sorted(end.items()):
            yield from _partition(consumer, topic, partition, first.get(partition, 0), last)
    except KafkaException as error:
        raise RetryableError(f"{topic} cannot be read: {error.args[0].str()}") from error


def _partition(
    consumer: Consumer, topic: str, partition: int, first: int, end: int
) -> Iterator[Record]:
    if first >= end:
        return
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_S)
    if low > first or high < end:
        raise UserError(f"{topic}/{partition}: Kafka has {low} to {high}, not {first} to {end}")
    consumer.assign([TopicPartition(topic, partition, first)])
    position, silent = first, 0.0
    while position < end:
        messages = consumer.consume(_AT_ONCE, 1.0)
        silent = 0.0 if messages else silent + 1.0
        if silent > _SILENT_S:
            raise RetryableError(f"{topic}/{partition}: nothing came for {_SILENT_S:g} s")
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            position = message.offset() + 1
            if message.offset() < end:
                yield Record(
                    partition,
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                )
        # What a compaction or a transaction's marker leaves out is no record.
        position = max(position, consumer.position([TopicPartition(topic, partition)])[0].offset)


def committed(client: AdminClient, group: str, topic: str, partitions: int) -> Offsets:
    """Return what a group has committed, 0 where nothing. Raise RetryableError."""
    places = [TopicPartition(topic, one) for one in range(partitions)]
    asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    found = result(asked[group]).topic_partitions
    return {one.partition: max(one.offset, 0) for one in found}


def commit(client: AdminClient, group: str, topic: str, offsets: Offsets) -> None:
    """Let a group that nobody is in go on from these offsets. Raise RetryableError."""
    places = [TopicPartition(topic, one, offset) for one, offset in sorted(offsets.items())]
    asked = client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    result(asked[group])
