"""Create, fill, watch and read the benchmarks' topics."""

from __future__ import annotations

import itertools
import json
import struct
import time
import urllib.request
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from benchmarks.workload import Encoded

BATCH = 10_000


def register(registry_url: str, subject: str, schema: str) -> int:
    """Register `schema` under `subject` unless it is there, and return its id."""
    request = urllib.request.Request(  # noqa: S310 - the registry of the stack, http by configuration
        f"{registry_url}/subjects/{subject}/versions",
        data=json.dumps({"schema": schema}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return int(json.load(answer)["id"])


class Topics:
    """The broker as a benchmark uses it."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, name: str, partitions: int, **config: str) -> None:
        """Create an empty topic without retention; fail if the name is taken.

        `config` holds topic settings, their dots written as underscores.
        """
        options = {
            "retention.ms": "-1",
            **{key.replace("_", "."): value for key, value in config.items()},
        }
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=options)
        self._admin.create_topics([new])[name].result(30)
        deadline = time.monotonic() + 30
        while not self._led(name, partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} has no leader")
            time.sleep(0.1)
        # A client that once saw a topic without a leader may keep failing with "No leaders found".
        self._admin = AdminClient({"bootstrap.servers": self._bootstrap})

    def _led(self, name: str, partitions: int) -> bool:
        found = self._admin.list_topics(name, timeout=10).topics[name].partitions
        return len(found) == partitions and all(
            partition.leader >= 0 for partition in found.values()
        )

    def delete(self, *names: str) -> None:
        """Remove topics, passing over those that do not exist."""
        present = [name for name in names if name in self._admin.list_topics(timeout=10).topics]
        for future in self._admin.delete_topics(present).values() if present else ():
            future.result(30)

    def count(self, name: str) -> int:
        """Return the number of records in the topic, or -1 if it does not exist.

        That is its end offsets less its begin offsets.
        """
        topic = self._admin.list_topics(name, timeout=10).topics[name]
        return -1 if topic.error is not None else sum(self.ends(name, topic.partitions).values())

    def ends(self, name: str, partitions: Iterable[int]) -> dict[int, int]:
        """Return the number of records in each partition.

        Raise KafkaException if the broker does not say.
        """
        low = {TopicPartition(name, partition): OffsetSpec.earliest() for partition in partitions}
        high = dict.fromkeys(low, OffsetSpec.latest())
        first = {
            key.partition: value.result(30).offset
            for key, value in self._admin.list_offsets(low).items()
        }
        last = {
            key.partition: value.result(30).offset
            for key, value in self._admin.list_offsets(high).items()
        }
        return {partition: last[partition] - first[partition] for partition in last}

    def fill(self, name: str, partitions: int, workload: Encoded, schema_id: int) -> None:
        """Make the topic hold exactly the workload.

        Leave it as it is if its count already matches.
        """
        if self.count(name) == len(workload):
            return
        self.delete(name)
        self.create(name, partitions)
        header = struct.pack(">bI", 0, schema_id)
        config = {
            "bootstrap.servers": self._bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 50,
            "queue.buffering.max.messages": 500_000,
        }
        producer = Producer(config)
        messages = ({"key": key, "value": header + body} for key, body in workload.records())
        while batch := list(itertools.islice(messages, BATCH)):
            while producer.produce_batch(name, batch) < len(batch):
                # The queue was full: send again what did not fit.
                batch = [message for message in batch if message.pop("_error", None) is not None]
                producer.poll(0.2)
            producer.poll(0)
        producer.flush()
        if self.count(name) != len(workload):
            raise RuntimeError(
                f"{name} holds {self.count(name)} records, not the {len(workload)} produced"
            )

    def position(self, name: str) -> dict[int, int]:
        """Return where each partition of a topic ends now.

        Records are numbered from 0, as nothing was deleted.
        """
        return self.ends(name, self._admin.list_topics(name, timeout=10).topics[name].partitions)

    def read(
        self, name: str, since: dict[int, int] | None = None, until: dict[int, int] | None = None
    ) -> Iterator[tuple[bytes, int]]:
        """Yield value and timestamp (ms) of each record from `since` to `until`, the end now."""
        begin = since or {}
        ends = until or self.position(name)
        left = {part for part, end in ends.items() if end > begin.get(part, 0)}
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "bench-read",
                "enable.auto.commit": False,
            }
        )
        consumer.assign([TopicPartition(name, part, begin.get(part, 0)) for part in left])
        while left:
            for message in consumer.consume(BATCH, 1.0):
                if message.error() is not None:
                    raise KafkaException(message.error())
                # Others may still write: what lies behind the end is not read.
                part, offset = message.partition(), message.offset()
                if offset + 1 >= ends[part]:
                    left.discard(part)
                if offset < ends[part]:
                    yield message.value(), message.timestamp()[1]
        consumer.close()
