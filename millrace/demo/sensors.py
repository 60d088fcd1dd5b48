"""The demo of sensors: simulated readings through gate and detectors to alerts, live."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import yaml
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from config.clock import now_ms
from config.errors import UserError
from config.files import mapping, write
from config.settings import Settings
from domain.alerts.episodes import document
from ingestion.kafka.producer import KafkaSink, client_log
from ingestion.replay.pacing import RatePacer
from ingestion.replay.run import run
from ingestion.sensors import batches as readings
from ingestion.sensors.simulator import Made, Setting, Shares, Simulator
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.demo.saying import sayer
from millrace.demo.stack import running
from millrace.stack import api, lifecycle
from millrace.stack.layout import Layout

GROUPS = "core,sensors"
TOPICS = ("sensor-scores", "rejected-readings", "alerts")
SENSORS, SEED = 200, 13
PROMPT: dict[str, Any] = {"linger.ms": 1}
# One sensor in ten has a bad spell within the hour, so that a minute shows some.
SHARES = Shares(spell=0.1)
SILENT_S = 10
SENSORS_FILE = "MILLRACE_SENSORS_FILE"
STARTUP_S, DRAIN_S, PLAIN_EVERY_S = 240.0, 20.0, 5.0
NEWEST = "/v1/alerts?state=open&limit=1"
STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


@dataclass
class Seen:
    """What came of the readings so far."""

    sent: int = 0
    scored: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    latest: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=8))

    def take(self, topic: str, record: dict[str, Any]) -> None:
        """Count a record of one of TOPICS."""
        if topic == "alerts":
            self.alerts[record["state"]] += 1
            self.latest.append(document(record))
        elif topic == "sensor-scores":
            self.scored += 1
            self.findings.update(record["findings"])
        else:
            self.rejected += 1
            self.reasons.update(record["reasons"])

    def lines(self) -> list[str]:
        """Return what is counted, in words."""

        def most(counted: Counter[str]) -> str:
            return ", ".join(f"{name} {count:,}" for name, count in counted.most_common(6)) or "-"

        return [
            f"{self.sent:,} readings sent: {self.scored:,} scored, {self.rejected:,} rejected",
            f"rejected for: {most(self.reasons)}",
            f"found: {most(self.findings)}",
            f"alerts: {self.alerts['open']:,} opened, {self.alerts['still_open']:,} told of again, "
            f"{self.alerts['cleared']:,} cleared",
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        named = ("sent", "scored", "rejected", "reasons", "findings", "alerts")
        return {name: getattr(self, name) for name in named}


def demo(settings: Settings, console: Console, seconds: float, rate: float, *, keep: bool) -> Seen:
    """Run the demo and return what was seen. Raise UserError if nothing is scored."""
    client_log.setLevel(logging.CRITICAL)  # lines about parts that are still starting
    settings = settings.model_copy(update={"groups": GROUPS})
    os.environ[SENSORS_FILE] = str(_impatient(settings))  # what `up` gives the stack's processes
    say = sayer(console)
    with running(settings, say, lambda: _up(settings, say), keep=keep):
        seen = _stream(settings, console, seconds, rate)
        for text in seen.lines():
            console.print(text, highlight=False, soft_wrap=True)
        if not seen.scored:
            raise UserError(
                f"nothing was scored: `millrace doctor`, and the logs in {Layout.of(settings).logs}"
            )
        _ask(settings, console)
        if keep:
            console.print(
                "The stack stays up, with the limits of the demo: `millrace alerts list`, "
                "`millrace down`."
            )
    return seen


def _impatient(settings: Settings) -> Path:
    """Return a file of the limits as they are, but that silence is told of within the minute."""
    limits = mapping(settings.sensors_file)
    limits.setdefault("types", {}).setdefault("default", {})["silent_s"] = SILENT_S
    file = settings.state_dir / "demo-sensors.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, yaml.safe_dump(limits, sort_keys=False))
    return file


def _up(settings: Settings, say: lifecycle.Say) -> None:
    began = time.monotonic()
    lifecycle.up(settings, say, (), STARTUP_S)
    say(f"ready after {time.monotonic() - began:.0f} s")


class _Part(threading.Thread):
    """A thread whose error the main thread raises."""

    def __init__(self, settings: Settings, seen: Seen) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self._settings, self._seen, self._halt = settings, seen, threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with Registry(self._settings.registry_url) as registry:
                self.work(Codec(registry))
        except Exception as error:
            self.error = error

    def work(self, codec: Codec) -> None:
        """Do the thread's work until told to stop."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self._halt.set()
        self.join(DRAIN_S)


class _Sender(_Part):
    """Send the simulator's readings at a rate, dated now."""

    def __init__(self, settings: Settings, seen: Seen, rate: float) -> None:
        super().__init__(settings, seen)
        self._rate = rate

    def work(self, codec: Codec) -> None:
        """Send until told to stop."""
        setting = Setting(SENSORS, self._rate, SEED, now_ms(), SHARES)
        size = max(1, round(self._rate / 4))
        chunks: Iterator[Made] = takewhile(
            lambda _: not self._halt.is_set(), Simulator(setting).chunks(size, None)
        )

        def report(rows: int, _: int) -> None:
            self._seen.sent = rows

        with (
            (self._settings.state_dir / "demo-sensors-truth.jsonl").open("w") as truth,
            KafkaSink(self._settings.kafka_bootstrap, client_id="millrace-demo", **PROMPT) as sink,
        ):
            made = readings.batches(chunks, codec.encoder(readings.TOPIC), truth, live=True)
            run(made, sink, RatePacer(self._rate), None, report)


class _Reader(_Part):
    """Count what the job makes of them, from now on."""

    def __init__(self, settings: Settings, seen: Seen) -> None:
        super().__init__(settings, seen)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "group.id": "millrace-demo-sensors",
                "enable.auto.commit": False,
            },
            logger=client_log,
        )
        ends = []
        for topic in TOPICS:
            for number in self._consumer.list_topics(topic, timeout=10).topics[topic].partitions:
                place = TopicPartition(topic, number)
                _, place.offset = self._consumer.get_watermark_offsets(place, timeout=10)
                ends.append(place)
        self._consumer.assign(ends)

    def work(self, codec: Codec) -> None:
        """Read until told to stop."""
        try:
            while not self._halt.is_set():
                for message in self._consumer.consume(1000, 0.1):
                    if message.error() is None:
                        topic = message.topic()
                        self._seen.take(topic, codec.decode(topic, message.value()))
        finally:
            self._consumer.close()


def _stream(settings: Settings, console: Console, seconds: float, rate: float) -> Seen:
    seen = Seen()
    reader, sender = _Reader(settings, seen), _Sender(settings, seen, rate)
    parts = (sender, reader)
    for part in parts:
        part.start()
    began = time.monotonic()
    told = began + PLAIN_EVERY_S
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while time.monotonic() - began < seconds and all(part.is_alive() for part in parts):
                if console.is_terminal:
                    live.update(_page(seen, time.monotonic() - began), refresh=True)
                elif time.monotonic() >= told:
                    told += PLAIN_EVERY_S
                    console.print(seen.lines()[0], highlight=False, soft_wrap=True)
                time.sleep(0.25)
        sender.stop()
        deadline = time.monotonic() + DRAIN_S
        while seen.scored + seen.rejected < seen.sent and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        for part in parts:
            part.stop()
    for part in parts:
        if part.error is not None:
            raise part.error
    return seen


def _page(seen: Seen, elapsed: float) -> Table:
    page = Table.grid()
    page.add_row(Text(f"{elapsed:.0f} s", "bold"))
    for text in seen.lines():
        page.add_row(text)
    for one in list(seen.latest):
        style = STYLES[one["severity"]] if one["state"] != "cleared" else "dim"
        page.add_row(Text(f"{one['severity']:8} {one['state']:10} {one['message']}", style))
    return page


def _ask(settings: Settings, console: Console) -> None:
    """Ask the API for the newest open alert, as a person would."""
    try:
        found = api.get(settings, NEWEST)
    except (URLError, OSError, ValueError) as error:
        raise UserError(f"the API does not answer: {error}") from error
    if found is None:
        raise UserError("the API knows no alerts")
    console.print(api.url(settings, NEWEST), highlight=False, soft_wrap=True)
    console.print(json.dumps(found["alerts"]), highlight=False, soft_wrap=True)
