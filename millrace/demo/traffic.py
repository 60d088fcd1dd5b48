"""Send simulated payments with their verdicts into Kafka, and receive the decisions."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from config.errors import UserError
from config.files import write
from config.settings import Settings
from domain.events import FraudLabel
from domain.fraud.order import Waiting
from ingestion.fraud.batches import LABEL, TRANSACTIONS
from ingestion.fraud.simulator import (
    DAY_MS,
    HANDBOOK_START_MS,
    WEEK_MS,
    Payment,
    Population,
    Simulator,
    Strikes,
)
from ingestion.kafka.producer import KafkaSink, client_log
from ingestion.replay.pacing import RatePacer
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.demo.tally import Tally

SCORES = "fraud-scores"
# About 400 payments a simulated day.
CUSTOMERS = 200
LEAD_IN_DAYS = 30  # the longest window of a feature
SEED = 11
PROMPT: dict[str, Any] = {"linger.ms": 1}  # a demo shows latency, so batches need not be full


class Story:
    """The simulated world over several demos.

    Each demo begins a day after the last one ended and has ids of its own: the stack keeps its
    state, so payments from before the last demo would be late. Raise UserError if the file that
    records the last demo cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        last_run, until_ms = self._last()
        self.run = last_run + 1
        self.start_ms = (until_ms // DAY_MS + 1) * DAY_MS
        self.live_ms = self.start_ms + LEAD_IN_DAYS * DAY_MS

    def _last(self) -> tuple[int, int]:
        if not self._path.exists():
            return 0, HANDBOOK_START_MS
        try:
            last = json.loads(self._path.read_text())
            return int(last["run"]), int(last["until_ms"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._path} does not say when the last demo ended ({error}), and payments "
                "from before its end would be late: `millrace reset` starts from nothing"
            ) from error

    def payments(self) -> Iterator[Payment]:
        """Yield the payments of this run without end, in order of time."""
        terminals = 2 * CUSTOMERS
        radius = 5.0 * math.sqrt(10_000 / terminals)
        people = Population.draw(np.random.default_rng(SEED), CUSTOMERS, terminals, radius)
        rng = np.random.default_rng([SEED, self.run])
        simulator = Simulator(
            people,
            rng,
            start_ms=self.start_ms,
            prefix=f"demo-{self.run}-",
            strikes=Strikes.of(CUSTOMERS, terminals),
        )
        return iter(simulator)

    def reached(self, until_ms: int) -> None:
        """Record how far this run's time has come."""
        write(self._path, json.dumps({"run": self.run, "until_ms": until_ms}))


class Sender(threading.Thread):
    """Send a story's payments, and each one's verdict once simulated time has reached it.

    Send the first `LEAD_IN_DAYS` at full speed, so that customers and terminals have a past and the
    JVMs have compiled the code. Then wait for `go`, and send at the given rate.
    """

    def __init__(self, settings: Settings, story: Story, rate: float) -> None:
        super().__init__(name="sender", daemon=True)
        self._settings, self._story, self._rate = settings, story, rate
        self._loaded, self._live, self._halt = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._tally: Tally | None = None
        self.lead_in: list[str] = []
        self.error: Exception | None = None

    @property
    def loaded(self) -> bool:
        """Return whether the lead-in is in Kafka; `lead_in` then holds its ids."""
        return self._loaded.is_set()

    def go(self, tally: Tally) -> None:
        """Start sending at the rate, and count in `tally`."""
        self._tally = tally
        self._live.set()

    def stop(self, within_s: float) -> None:
        """Stop sending, and wait until what was sent is in Kafka."""
        self._halt.set()
        self._live.set()
        if self.ident is not None:
            self.join(within_s)

    def run(self) -> None:
        """Run until told to stop; keep an error in `error`."""
        try:
            with (
                Registry(self._settings.registry_url) as registry,
                KafkaSink(
                    self._settings.kafka_bootstrap, client_id="millrace-demo", **PROMPT
                ) as sink,
            ):
                self._send(Codec(registry), sink)
        except Exception as error:  # the main thread raises it
            self.error = error

    def _send(self, codec: Codec, sink: KafkaSink) -> None:
        transaction, label = codec.encoder(TRANSACTIONS), codec.encoder(TRANSACTIONS, LABEL)
        pacer = RatePacer(self._rate)
        verdicts: Waiting[FraudLabel] = Waiting(lambda verdict: verdict.event_time)
        until = self._story.start_ms - 1
        for payment in self._story.payments():
            one = payment.transaction
            if not self.loaded and one.event_time >= self._story.live_ms:
                sink.flush()
                self._loaded.set()
                self._live.wait()
            if self._halt.is_set():
                break
            if self._tally is None:
                self.lead_in.append(one.transaction_id)
            else:
                pacer.wait(one.event_time)
                self._tally.sent(one.transaction_id, payment.is_fraud, time.monotonic())
            for known in verdicts.due(one.event_time):
                sink.send(TRANSACTIONS, known.customer_id, label.object(known))
            sink.send(TRANSACTIONS, one.customer_id, transaction.object(one))
            verdicts.add(payment.label(WEEK_MS))
            # Record each day, in case the demo is killed.
            if one.event_time // DAY_MS > until // DAY_MS:
                self._story.reached(one.event_time)
            until = one.event_time
        self._story.reached(until)


class Receiver(threading.Thread):
    """Read the decisions.

    The consumer writes to Redis before it produces, so the time of a record is when Redis had it.
    """

    def __init__(self, settings: Settings, tally: Tally, stop: threading.Event) -> None:
        super().__init__(name="receiver", daemon=True)
        self._tally, self._halt = tally, stop
        self._codec = Codec(Registry(settings.registry_url))
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "group.id": "millrace-demo",
                "enable.auto.commit": False,
                # What came is told by its own time, so it may come in tens: a fetch for each would
                # take half a core of the two, from the client and the broker.
                "fetch.wait.max.ms": 100,
                "fetch.min.bytes": 1_000_000,
            },
            logger=client_log,
        )
        partitions = self._consumer.list_topics(SCORES, timeout=10).topics[SCORES].partitions
        self._consumer.assign([TopicPartition(SCORES, number, OFFSET_END) for number in partitions])
        # Without this the client assigns later, and the first decisions are missed.
        for number in partitions:
            self._consumer.get_watermark_offsets(TopicPartition(SCORES, number), timeout=10)
        self.error: Exception | None = None

    def run(self) -> None:
        """Run until told to stop; keep an error in `error`."""
        try:
            while not self._halt.is_set():
                for message in self._consumer.consume(500, 0.1):
                    if message.error() is None:
                        record = self._codec.decode(SCORES, message.value())
                        self._tally.scored(record, message.timestamp()[1], time.monotonic())
        except Exception as error:  # the main thread raises it
            self.error = error
        finally:
            self._consumer.close()


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll for at most `timeout` seconds; return whether the condition came true."""
    deadline = time.monotonic() + timeout
    for _ in itertools.count():
        if condition():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return False
