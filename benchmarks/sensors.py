"""Measure the job of the sensors: readings a second, CPU of each, and how long until the outcome.

    python -m benchmarks.sensors [--readings 200000] [--sensors 1000] [--type machine]

Brings up a stack of its own (Kafka, registry, Flink) in a temporary folder, on ports 9000 above
those of the settings, and takes it down. First `--readings` simulated readings are written as fast
as they go, and the job works them off; then `--rate` a second come for `--seconds`, and each
outcome's time in Kafka is compared with its reading's. `--type` is the sensors' type in
config/sensors.yaml: all of its rules are on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.measure import cpu_seconds
from config.settings import Settings
from domain.sensors.silence import KIND
from ingestion.kafka.producer import KafkaSink
from ingestion.replay.pacing import Pacer, RatePacer, Unpaced
from ingestion.replay.run import run
from ingestion.sensors import batches
from ingestion.sensors.simulator import Made, Setting, Simulator
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack, shifted

JOB = "sensor_anomalies"
OUTCOMES = ("sensor-scores", "rejected-readings")
ALERTS = "alerts"
OFFSET = 9000
WARM = 0.2
"""The share that is left out: the JVM compiles and Python imports."""


class Outcomes:
    """The records that the job has written, from now on."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": settings.kafka_bootstrap, "group.id": "benchmark"}
        )
        self._places = [
            TopicPartition(topic, number)
            for topic in OUTCOMES
            for number in self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        for place in self._places:
            place.offset = self._end(place)
        self._alerts = self._end(TopicPartition(ALERTS, 0))

    def _end(self, place: TopicPartition) -> int:
        end: int = self._consumer.get_watermark_offsets(place, timeout=10)[1]
        return end

    def count(self) -> int:
        """Return how many there are."""
        return sum(self._end(place) - place.offset for place in self._places)

    def wait(self, number: int, timeout: float = 600.0) -> float:
        """Return the time (monotonic) at which there are so many."""
        deadline = time.monotonic() + timeout
        while self.count() < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.count()} of {number} readings came out")
            time.sleep(0.05)
        return time.monotonic()

    def delays(self, codec: Codec, number: int) -> np.ndarray:
        """Return the ms from a reading to its outcome, both by Kafka, of the last `number`."""
        self._consumer.assign(self._places)
        found: list[int] = []
        left = self.count()
        while left:
            for message in self._consumer.consume(10_000, 5.0):
                record = codec.decode(message.topic(), message.value())
                found.append(message.timestamp()[1] - record["arrived"])
                left -= 1
        return np.array(found[-number:])

    def alerts(self, codec: Codec) -> np.ndarray:
        """Return the ms from a reading's own time to the alert that it opened, by Kafka."""
        places = [TopicPartition(ALERTS, 0, self._alerts)]
        left = self._consumer.get_watermark_offsets(places[0], timeout=10)[1] - self._alerts
        self._consumer.assign(places)
        found: list[int] = []
        while left > 0:
            for message in self._consumer.consume(10_000, 5.0):
                record = codec.decode(message.topic(), message.value())
                if record["state"] == "open" and record["kind"] != KIND:
                    found.append(message.timestamp()[1] - record["event_time"])
                left -= 1
        return np.array(found[round(len(found) * WARM) :] or [0])


def typed(chunks: Iterator[Made], kind: str) -> Iterator[Made]:
    """Yield the chunks with sensors of a type."""
    for made in chunks:
        size = len(made.table)
        column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(size, np.int32)), [kind])
        yield Made(made.table.append_column("sensor_type", column), *tuple(made)[1:])


def main() -> None:
    """Bring up a stack, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=200_000)
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--type", default="default")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="millrace-sensors-") as folder,
        shifted(Path(folder), OFFSET, {"MILLRACE_GROUPS": "core,sensors"}) as stack,
    ):
        stack.up("jobs")
        print(json.dumps(measured(stack, given), indent=2))


def measured(stack: Stack, given: argparse.Namespace) -> dict[str, object]:
    """Work off a backlog, then keep pace; return the figures."""
    settings = stack.settings
    with (
        Registry(settings.registry_url) as registry,
        KafkaSink(settings.kafka_bootstrap, client_id="benchmark") as sink,
        (settings.state_dir / "truth.jsonl").open("w") as truth,
    ):
        codec = Codec(registry)
        encoder = codec.encoder(batches.TOPIC)

        def send(count: int, rate: float, pace: Pacer, seed: int) -> int:
            now = time.time_ns() // 1_000_000
            chunks = Simulator(Setting(given.sensors, rate, seed, now)).chunks(
                max(100, round(rate / 20)) if isinstance(pace, RatePacer) else 20_000, count
            )
            made = batches.batches(typed(chunks, given.type), encoder, truth, live=True)
            return sum(run(made, sink, pace, None, lambda rows, rejected: None).produced.values())

        outcomes, task = Outcomes(settings), Cluster(settings).taskmanager()
        # Dated as they would come at this rate, so none is older than the gate allows.
        sent = send(given.readings, 50_000, Unpaced(), 1)
        warm = outcomes.wait(round(sent * WARM))
        before, begun = cpu_seconds([task.pid]), outcomes.count()
        ended = outcomes.wait(sent)
        done, cpu = sent - begun, cpu_seconds([task.pid]) - before
        paced = Outcomes(settings)
        count = send(given.rate * given.seconds, given.rate, RatePacer(given.rate), 2)
        paced.wait(count)
        delays = paced.delays(codec, round(count * (1 - WARM)))
        alerts = paced.alerts(codec)
    shares = (("p50", 50), ("p99", 99), ("max", 100))
    return {
        "sensors": given.sensors,
        "type": given.type,
        "readings": done,
        "readings_per_second": round(done / (ended - warm)),
        "taskmanager_cpu_us_per_reading": round(cpu / done * 1e6, 1),
        "paced_per_second": given.rate,
        "reading_to_outcome_ms": {
            name: float(np.percentile(delays, share)) for name, share in shares
        },
        "reading_to_alert_ms": {
            name: float(np.percentile(alerts, share)) for name, share in shares
        },
    }


if __name__ == "__main__":
    main()
