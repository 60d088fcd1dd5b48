"""The consumer frame on the real broker: several topics, rebuilding, and committed attempts.

A product made up for this reads two topics in a process of the test's own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

from confluent_kafka import Consumer, Producer, TopicPartition

from config.settings import Settings
from ingestion.kafka.producer import producer_config
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from serving.consumers.health import Health
from serving.consumers.loop import Loop
from serving.consumers.metrics import Metrics
from serving.consumers.product import Incoming, Product, Rebuild, Result
from serving.consumers.run import UNHURRIED, consumer_config, reader_config
from serving.store import MemoryStore, Write
from tests.integration.parts import caught_up, ends, group, plug, read, until

READINGS, ALERTS = "sensor-readings", "alerts"


class Watch(Product):
    """Keep each reading with the number of alerts known then; break at readings of `broken`."""

    topics = (READINGS, ALERTS)
    rebuild = Rebuild(ALERTS, everything=True)

    def __init__(self, run: str) -> None:
        self.name = self._run = run
        self.alerts: set[str] = set()
        self.restored: list[set[str]] = []
        """The alerts known before each batch."""

    def clear_state(self) -> None:
        self.alerts.clear()

    def restore_state(self, row: Incoming) -> None:
        if row.record["entity"] == self._run:
            self.alerts.add(row.record["alert_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        self.restored.append({*self.alerts})
        return [Result((self._write(row),)) for row in batch]

    def _write(self, row: Incoming) -> Write:
        record = row.record
        if row.topic == ALERTS:
            self.restore_state(row)
            return Write(record["alert_id"], record["event_time"], row.offset, b"")
        if record["location"] == "broken":
            raise ZeroDivisionError(record["sensor_id"])
        known = b"%d" % len(self.alerts)
        return Write(record["sensor_id"], record["timestamp"], row.offset, known)


class Life:
    """One run of the product's loop, in a thread, with clients of its own."""

    def __init__(self, stack: Settings, run: str, store: MemoryStore, codec: Codec) -> None:
        name = group(run)
        self.product, self.error = Watch(run), ""
        self.loop = Loop(
            self.product,
            Consumer(consumer_config(stack, name)),
            Producer(producer_config(stack.kafka_bootstrap, name, **UNHURRIED)),
            store=store,
            codec=codec,
            metrics=Metrics(run),
            health=Health(time.monotonic),
            reader=lambda: Consumer(reader_config(stack, name)),
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run()
        except ZeroDivisionError as error:
            self.error = repr(error)

    def ended(self) -> str:
        """Wait for the end; return the error it ended with."""
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        del self.loop  # with its clients: other tests kill their broker
        return self.error


@contextmanager
def living(life: Life) -> Iterator[Life]:
    """Stop a life at the end of the body."""
    try:
        yield life
    finally:
        life.loop.stop()
        life.ended()


def committed(stack: Settings, run: str) -> dict[tuple[str, int], tuple[int, str]]:
    """Return what Kafka keeps of the group: offset and metadata, by topic and partition."""
    client = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": group(run)})
    try:
        places = [TopicPartition(topic, n) for topic in Watch.topics for n in ends(stack, topic)]
        found = client.committed(places, timeout=10)
        return {(one.topic, one.partition): (one.offset, one.metadata or "") for one in found}
    finally:
        client.close()


def begin_here(stack: Settings, run: str) -> None:
    """Let the group begin at the present ends: other tests leave their records there."""
    client = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": group(run)})
    try:
        places = [
            TopicPartition(topic, number, end)
            for topic in Watch.topics
            for number, end in ends(stack, topic).items()
        ]
        client.commit(offsets=places, asynchronous=False)
    finally:
        client.close()


def test_topics_state_and_attempts_on_the_real_broker(stack: Settings) -> None:
    run, store = f"watch-{uuid4().hex[:8]}", MemoryStore()
    begin_here(stack, run)
    with plug(stack) as (sink, codec), Registry(stack.registry_url) as registry:

        def alert(name: str) -> None:
            record = {"alert_id": name, "entity": run, "event_time": 1, "kind": "k"}
            value = codec.encode(ALERTS, {**record, "severity": "info", "message": ""})
            sink.send(ALERTS, run.encode(), value)
            sink.flush()

        def readings(*names: str, location: str | None = None, key: str | None = None) -> None:
            for name in names:
                record = {"sensor_id": name, "timestamp": 1, "location": location}
                value = codec.encode(READINGS, record)
                sink.send(READINGS, (key or name).encode(), value)
            sink.flush()

        def life() -> Life:
            return Life(stack, run, store, Codec(registry))

        def all_committed() -> bool:
            return all(caught_up(stack, group(run), topic) for topic in Watch.topics)

        # Both topics, all partitions, in one group; each place with an offset of its own.
        before = {topic: ends(stack, topic) for topic in Watch.topics}
        good = [f"{run}-{number}" for number in range(8)]
        alert("a1")
        readings(*good)
        with living(life()) as first:
            until("all is handled", lambda: {*good, "a1"} <= store.values.keys(), 30)
            alert("a2")
            until("the later alert, too", lambda: "a2" in store.values, 30)
            until("and committed, by topic and partition", all_committed, 30)
        grown = {n for n, end in ends(stack, READINGS).items() if end > before[READINGS][n]}
        assert grown == {0, 1}, "both partitions held readings"
        assert first.product.restored[0] == {"a1"}, "state is there before the first record"

        # What breaks every life holds it for three: Kafka counts them beside the offset.
        readings(*(f"{run}-bad{n}" for n in range(3)), location="broken", key=run)
        ((place, begin),) = (
            ((READINGS, n), committed(stack, run)[READINGS, n][0])
            for n, end in ends(stack, READINGS).items()
            if end > committed(stack, run)[READINGS, n][0]
        )
        for lives in (1, 2):
            broken = life()
            assert "ZeroDivisionError" in broken.ended()
            assert broken.product.restored[0] == {"a1", "a2"}
            offset, metadata = committed(stack, run)[place]
            assert offset == begin
            assert json.loads(metadata) == {"broke": [begin, begin + 2], "lives": lives}
        start = ends(stack, "quarantine")
        with living(life()):
            readings(f"{run}-after", key=run)
            until("what follows is handled", lambda: f"{run}-after" in store.values, 30)
            until("all is committed", all_committed, 30)
        assert store.values[f"{run}-after"].data == b"2"
        assert {metadata for _, metadata in committed(stack, run).values()} == {""}
        aside = [
            (one["source_topic"], one["source_partition"], one["source_offset"])
            for one in read(stack, "quarantine", codec, start)
            if one["job"] == f"consumer/{run}"
        ]
        assert aside == [(*place, begin + n) for n in range(3)]
