"""Measure the latency from event to Redis in the real fraud pipeline, at a fixed rate.

Kafka to Kafka is measured as well, beside quixstreams.

    python -m benchmarks.latency [--seconds 240] [--only fraud|kafka] [--quick]

Needs the stack with a model. The producer is open-loop: each event has a due time, which is also
its Kafka timestamp, and is sent then whatever comes back, so that the time lost by a stalled
producer counts. The pipeline is producer → Kafka → fraud_features → Kafka → scorer → Redis →
fraud-scores. The scorer makes a fraud-scores record right after the Redis write, and its Kafka
timestamp is that moment: the difference from the due time is the latency, in whole milliseconds, a
little on the high side.

Customers have a month of history, loaded before the clock starts. Every payment after that counts;
a row of its own leaves out the first minute, in which the JVMs still compile what a single payment
runs.

Kafka to Kafka is the broker's append time of the result less the due time, for our rolling job and
for that of quixstreams; of both, the first 20 s are left out.
"""

from __future__ import annotations

import argparse
import io
import shutil
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Producer

from benchmarks.cluster import Cluster
from benchmarks.kafka import Topics, register
from benchmarks.report import keep, show
from benchmarks.rolling import JOB, OUT_SCHEMA, PARTITIONS, Stage, peer_command
from benchmarks.workload import START_MS, Workload, encoded
from config.settings import ROOT, Settings, settings
from ingestion.schema import load, text

CUSTOMERS, TERMINALS = 10_000, 5_000
HISTORY_DAYS = 30
PATIENCE_S = 600.0
BUDGET_MS = 30
MAKING_S = 0.0001  # of a payment, with plenty of room
Wire = Callable[[str, int, int], tuple[str, bytes]]


class Pace:
    """Send payments at a fixed rate, each at its due time."""

    def __init__(self, config: Settings, schema_id: int, seed: int = 11) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": config.kafka_bootstrap,
                "enable.idempotence": True,
                "linger.ms": 2,
            }
        )
        self._schema = fastavro.parse_schema({**load("Transaction")})
        self._header = struct.pack(">bI", 0, schema_id)
        self._rng = np.random.default_rng(seed)

    def message(self, identity: str, time_ms: int) -> tuple[str, bytes]:
        """Return key and value of a payment made at `time_ms`."""
        customer = f"c{int(self._rng.integers(CUSTOMERS)):07d}"
        record = {
            "transaction_id": identity,
            "event_time": time_ms,
            "customer_id": customer,
            "terminal_id": f"m{int(self._rng.integers(TERMINALS)):05d}",
            "amount": round(float(self._rng.lognormal(3.5, 0.8)), 2),
        }
        out = io.BytesIO(self._header)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self._schema, record)
        return customer, out.getvalue()

    def send(self, topic: str, rate: float, seconds: float, prefix: str) -> int:
        """Send for `seconds` and return how many; every 1 ms, whatever is due goes out.

        All payments are made before the clock starts: this measures the platform, not its load.
        """
        total, sent = int(rate * seconds), 0
        began = time.time() + 0.1 + total * MAKING_S
        times = [int((began + number / rate) * 1000) for number in range(total)]
        messages = [
            (*self.message(f"{prefix}{number:08d}", at), at) for number, at in enumerate(times)
        ]
        while sent < total:
            now = time.time()
            due = min(total, int((now - began) * rate) + 1) if now >= began else 0
            for key, value, at in messages[sent:due]:
                self._producer.produce(topic, value, key, timestamp=at)
            sent = max(sent, due)
            self._producer.poll(0)
            time.sleep(0.001)
        self._producer.flush(30)
        return total

    def load(self, topic: str, bodies: Iterator[tuple[str, bytes]]) -> None:
        """Send ready-made values as fast as the broker takes them."""
        for number, (key, body) in enumerate(bodies):
            while True:
                try:
                    self._producer.produce(topic, self._header + body, key)
                except BufferError:
                    self._producer.poll(0.1)
                else:
                    break
            if number % 1000 == 0:
                self._producer.poll(0)
        self._producer.flush(60)


def percentiles(latencies: list[float]) -> dict[str, float]:
    """Return p50, p90, p99, p99.9 and the maximum, in milliseconds."""
    found = (
        np.percentile(np.asarray(latencies), [50, 90, 99, 99.9, 100])
        if latencies
        else [float("nan")] * 5
    )
    return {
        name: round(float(value), 1)
        for name, value in zip(
            ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms", "max_ms"), found, strict=True
        )
    }


def fraud(
    config: Settings, rate: float, seconds: float, drop: float, history: int
) -> dict[str, Any]:
    """Measure the fraud pipeline at `rate` payments a second.

    One row of the result leaves out the first `drop` seconds.
    """
    topics = Topics(config.kafka_bootstrap)
    pace = Pace(config, register(config.registry_url, "transactions-value", text("Transaction")))
    begin = topics.count("fraud-scores")
    run = f"lat{int(time.time())}-"
    pace.load("transactions", past(config, history, run))
    _wait(lambda: topics.count("fraud-scores") >= begin + history, "the history is not scored")
    since = topics.position("fraud-scores")
    sent = pace.send("transactions", rate, seconds, run)
    _wait(lambda: topics.count("fraud-scores") >= begin + history + sent, "payments have no score")
    whole, warm = "event to Redis", f"event to Redis after {drop:g} s"
    hops: dict[str, list[float]] = {
        name: [] for name in (whole, "to features", "to score", "to Redis", warm)
    }
    late: Counter[int] = Counter()
    for number, stored, score in scored(topics.read("fraud-scores", since), run):
        second, latency = int(number / rate), stored - score["produced_at"]
        late[second] += latency > BUDGET_MS
        hops[whole].append(latency)
        if second >= drop:
            hops[warm].append(latency)
        hops["to features"].append(score["features_at"] - score["produced_at"])
        hops["to score"].append(score["scored_at"] - score["features_at"])
        hops["to Redis"].append(stored - score["scored_at"])
    rows = [
        {"hop": name, "events": len(values), **percentiles(values)} for name, values in hops.items()
    ]
    return {
        "rate": rate,
        "seconds": seconds,
        "history": history,
        "hops": rows,
        f"over_{BUDGET_MS}_ms_in_second": {
            str(second): count for second, count in sorted(late.items()) if count
        },
    }


def scored(values: Iterable[tuple[bytes, int]], run: str) -> Iterator[tuple[int, int, Any]]:
    """Yield the number, Kafka timestamp (ms) and first score of each payment of the run.

    History scored after the clock started is left out: its ids go on with an h.
    """
    schema = fastavro.parse_schema(_plain(load("FraudScore")))
    seen: set[str] = set()
    for value, stored in values:
        score: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        identity = score["transaction_id"]
        number = identity.removeprefix(run)
        if identity not in seen and identity.startswith(run) and number.isdigit():
            seen.add(identity)
            yield int(number), stored, score


def past(config: Settings, events: int, run: str) -> Iterator[tuple[str, bytes]]:
    """Make a month of payments that ends now, as values without header.

    Their ids are their own: they contain the run.
    """
    records = encoded(
        Workload(CUSTOMERS, events, HISTORY_DAYS), config.build_dir / "bench"
    ).records()
    schema = fastavro.parse_schema(_plain(load("Transaction")))
    shift = int(time.time() * 1000) - START_MS - HISTORY_DAYS * 86_400_000
    for key, body in records:
        record: Any = fastavro.schemaless_reader(io.BytesIO(body), schema, None)
        record["transaction_id"] = f"{run}h{record['transaction_id']}"
        record["event_time"] += shift
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        yield key, out.getvalue()


def kafka_to_kafka(
    config: Settings, name: str, rate: float, seconds: float, drop: float
) -> dict[str, Any]:
    """Measure the rolling job of `name` ("millrace" or "quix") at `rate` events a second."""
    topics = Topics(config.kafka_bootstrap)
    source, sink = (f"bench-lat-{name}-{end}-{int(time.time())}" for end in ("in", "out"))
    topics.create(source, PARTITIONS)
    topics.create(sink, PARTITIONS, message_timestamp_type="LogAppendTime")
    out_id = register(config.registry_url, "bench-rolling-value", OUT_SCHEMA.read_text())
    pace = Pace(
        config, register(config.registry_url, "bench-transactions-value", text("Transaction"))
    )
    place = Stage(config, topics, source, out_id)
    stop = _millrace(config, source, sink) if name == "millrace" else _quix(place, sink)
    try:
        warm = pace.send(source, 10, 1, "warm-")
        _wait(lambda: topics.count(sink) >= warm, f"{name} does not start")
        sent = pace.send(source, rate, seconds, "lat-")
        _wait(lambda: topics.count(sink) >= warm + sent, f"{name} does not keep up")
    finally:
        stop()
    schema = fastavro.parse_schema(_plain(fastavro.schema.load_schema(str(OUT_SCHEMA))))
    latencies = []
    for value, appended in topics.read(sink):
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        identity = record["transaction_id"]
        if identity.startswith("lat-") and int(identity[4:]) >= rate * drop:
            latencies.append(float(appended - record["event_time"]))
    topics.delete(source, sink)
    return {"job": name, "rate": rate, "events": len(latencies), **percentiles(latencies)}


def _millrace(config: Settings, source: str, sink: str) -> Callable[[], None]:
    cluster = Cluster(config)
    job = cluster.submit(JOB, "--source", source, "--sink", sink, "--linger", "0")
    return lambda: cluster.cancel(job)


def _quix(place: Stage, sink: str) -> Callable[[], None]:
    state = place.settings.build_dir / "bench" / "state-latency"
    shutil.rmtree(state, ignore_errors=True)
    log = Path(place.settings.build_dir / "bench" / "quix-latency.log").open("w")  # noqa: SIM115 - closed by stop
    line = peer_command(place, "quix", sink, state, "--low-latency")
    process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)

    def stop() -> None:
        process.terminate()
        process.wait(60)
        log.close()
        shutil.rmtree(state, ignore_errors=True)

    return stop


def _plain(schema: Any) -> Any:
    """Return the schema with its times as plain numbers."""
    if isinstance(schema, dict):
        cleaned = {key: _plain(value) for key, value in schema.items() if not key.startswith("__")}
        return cleaned["type"] if "logicalType" in cleaned else cleaned
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"{otherwise} after {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--drop", type=float, default=60)
    parser.add_argument("--history", type=int, default=200_000)
    parser.add_argument(
        "--only", choices=["fraud", "kafka"], help="the pipeline, or Kafka to Kafka"
    )
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.drop, options.history = 20.0, 5.0, 20_000
    result: dict[str, Any] = {}
    if options.only != "kafka":
        result["fraud"] = fraud(
            settings(), options.rate, options.seconds, options.drop, options.history
        )
        show(f"event to Redis at {options.rate:g} events/s", result["fraud"]["hops"])
    if options.only != "fraud":
        seconds, drop = min(options.seconds, 60.0), min(options.drop, 20.0)
        rows = [
            kafka_to_kafka(settings(), name, 500, seconds, drop) for name in ("millrace", "quix")
        ]
        result["kafka_to_kafka"] = rows
        show("rolling, Kafka to Kafka at 500 events/s", rows)
    print(keep("latency-quick" if options.quick else "latency", result))


if __name__ == "__main__":
    main()
