"""Measure how fast producers send Avro transactions into Kafka.

    python -m benchmarks.producers [--events 1500000] [--quick]

Needs Kafka and the registry. Records are encoded here and sent idempotently with acks=all, lz4 and
the real partitioner; each delivery is counted, and the count in the topic is checked. One process,
then one a core, then one a core that also simulates its events. The broker shares the machine; its
CPU is in the table. Target: 150,000 events/s with all cores.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import psutil

from benchmarks.kafka import Topics
from benchmarks.report import keep, show
from config.settings import Settings, settings
from domain.events import Transaction
from ingestion.fraud.simulator import simulation
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.encode import RecordEncoder
from ingestion.wire.registry import Registry
from millrace.stack.ports import listener

TOPIC = "bench-producers"
PARTITIONS = 2
POOL = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """A number of producers at once; `simulated` ones make their events as they go.

    The others hold theirs in memory.
    """

    name: str
    processes: int
    simulated: bool


def transactions(seed: int) -> Iterator[Transaction]:
    """Yield simulated payments without end."""
    return (payment.transaction for payment in simulation(seed))


def produce(sink: KafkaSink, encoder: RecordEncoder, events: Iterable[Transaction]) -> None:
    """Encode and send, as every producer of ours does."""
    for event in events:
        sink.send(TOPIC, event.customer_id, encoder.object(event))


def worker(case: Case, seed: int, count: int, ready: Any, answers: Any) -> None:
    """Run one producer process.

    Wait for the others, send `count` events, answer with CPU-seconds and acknowledged records.
    """
    loaded = settings()
    with Registry(loaded.registry_url) as registry:
        encoder = Codec(registry).encoder("transactions")
    events = transactions(seed) if case.simulated else cycle(list(islice(transactions(seed), POOL)))
    next(events)
    patient: dict[str, Any] = {"linger.ms": 50}
    with KafkaSink(loaded.kafka_bootstrap, client_id=f"bench-{seed}", **patient) as sink:
        ready.wait()
        before = time.process_time()
        produce(sink, encoder, islice(events, count))
        sink.flush(120.0)
        answers.put((time.process_time() - before, sink.delivered))


def broker(loaded: Settings) -> psutil.Process | None:
    """Return the process listening on the broker's port, or None if it is not visible here."""
    pid = listener(int(loaded.kafka_bootstrap.rsplit(":", 1)[1]))
    return psutil.Process(pid) if pid else None


def cpu(process: psutil.Process | None) -> float:
    """Return the CPU-seconds so far."""
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(case: Case, events: int, loaded: Settings) -> dict[str, Any]:
    """Return one row: events a second from the common start to the last acknowledgement."""
    topics = Topics(loaded.kafka_bootstrap)
    topics.delete(TOPIC)
    topics.create(TOPIC, PARTITIONS)
    share = events // case.processes
    context = mp.get_context("spawn")
    ready, answers = context.Barrier(case.processes + 1), context.Queue()
    workers = [
        context.Process(target=worker, args=(case, seed, share, ready, answers))
        for seed in range(case.processes)
    ]
    for process in workers:
        process.start()
    ready.wait(300)
    kafka = broker(loaded)
    began, broker_began = time.monotonic(), cpu(kafka)
    results = [answers.get(timeout=600) for _ in workers]
    seconds, broker_used = time.monotonic() - began, cpu(kafka) - broker_began
    for process in workers:
        process.join(60)
    sent = share * case.processes
    if sum(delivered for _, delivered in results) != sent or topics.count(TOPIC) != sent:
        raise RuntimeError(f"{topics.count(TOPIC)} of {sent} events arrived")
    topics.delete(TOPIC)
    return {
        "case": case.name,
        "processes": case.processes,
        "events": sent,
        "seconds": round(seconds, 2),
        "events_per_second": round(sent / seconds),
        "producer_us_per_event": round(sum(used for used, _ in results) / sent * 1e6, 2),
        "broker_us_per_event": round(broker_used / sent * 1e6, 2),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_500_000, help="per row of the table")
    parser.add_argument(
        "--quick", action="store_true", help="60,000 events: shows that it works, not how fast"
    )
    options = parser.parse_args()
    events = 60_000 if options.quick else options.events
    cores = os.cpu_count() or 1
    cases = (
        Case("encode and send", 1, False),
        Case("encode and send, all cores", cores, False),
        Case("simulate, encode and send, all cores", cores, True),
    )
    rows = [measure(case, events, settings()) for case in cases]
    show("producers into Kafka", rows)
    name = "producers-quick" if options.quick else "producers"
    print(
        keep(
            name,
            {"events_per_second": rows[1]["events_per_second"], "target": 150_000, "rows": rows},
        )
    )


if __name__ == "__main__":
    main()
