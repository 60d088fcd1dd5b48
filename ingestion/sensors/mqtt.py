"""Carry readings from an MQTT broker into Kafka, at least once what is published with QoS 1 or 2.

The broker keeps such a message until it is acknowledged, and it is acknowledged only when Kafka
has its readings: after a kill some come twice. A reading is known by its sensor and timestamp, so a
second one changes nothing. One without a timestamp is given the time at which it was received, and
if it comes twice it is two.
"""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import structlog

from config.errors import UserError
from config.topics import topics
from ingestion.kafka.producer import Sink
from ingestion.sensors.files import TOPIC, UNREADABLE, reading
from ingestion.wire.encode import RecordEncoder

log = structlog.get_logger(__name__)
AT_ONCE = 500
WAITING = 10_000
"""Messages that wait at most; then the broker has to."""
PORTS = {"mqtt": 1883, "mqtts": 8883}
_FOR_GOOD = ("Bad user name or password", "Not authorized", "Client identifier not valid")


class Arrived(NamedTuple):
    """A message: its MQTT topic, its bytes, when it came (ms), and how to acknowledge it."""

    topic: str
    payload: bytes
    time: int
    acknowledge: Callable[[], object]


class Sent(NamedTuple):
    """A reading of a message as Kafka gets it: key and value."""

    key: str
    value: bytes
    readable: bool


@dataclass
class Tally:
    """The number of messages that came, and of readings that were sent or are unreadable."""

    messages: int = 0
    readings: int = 0
    unreadable: int = 0


def readings(one: Arrived, encoder: RecordEncoder) -> Iterator[Sent]:
    """Yield a message's readings: a JSON object, or a list of them.

    A sensor that does not say its name has the last part of the MQTT topic. What is no reading is
    passed on as it is, so that it ends where everything unreadable does, in the quarantine.
    """
    name = one.topic.rpartition("/")[2]
    try:
        said = json.loads(one.payload)
        rows = said if isinstance(said, list) else [said]
    except (ValueError, RecursionError):
        yield Sent(name, one.payload, readable=False)
        return
    for row in rows:
        try:
            if isinstance(row, dict):
                row = {"sensor_id": name, "timestamp": one.time, **row}
            record = reading(row)
            value = encoder.record(record)
        except UNREADABLE:
            yield Sent(name, _text(row, one), readable=False)
        else:
            yield Sent(record["sensor_id"], value, readable=True)


def _text(row: Any, one: Arrived) -> bytes:
    try:
        return json.dumps(row).encode()
    except RecursionError:
        return one.payload


def fitting(sent: Sent, room: int) -> Sent:
    """Return what fits into `room` bytes of key and value: Kafka would refuse more for ever.

    What is too large is cut, which makes it unreadable.
    """
    key = sent.key.encode()
    if len(key) + len(sent.value) <= room:
        return sent
    log.warning("too large, cut", sensor=sent.key[:200], bytes=len(sent.value))
    name = key[: room // 2].decode(errors="ignore")
    return Sent(name, sent.value[: room // 2], readable=False)


@dataclass
class Bridge:
    """Messages that came and are not yet in Kafka. `failure` is what ended their coming."""

    sink: Sink
    encoder: RecordEncoder
    tally: Tally = field(default_factory=Tally)
    waiting: queue.Queue[Arrived] = field(default_factory=lambda: queue.Queue(WAITING))
    failure: Exception | None = None
    over: bool = False

    def offer(self, one: Arrived) -> None:
        """Let a message wait, once there is room; unless all is over."""
        while not self.over:
            try:
                self.waiting.put(one, timeout=0.5)
            except queue.Full:
                continue
            break

    def carry(self, patience: float) -> int:
        """Send what waits, wait for Kafka, then acknowledge; return how many messages it was.

        Wait `patience` seconds for a first one. Raise DeliveryError: nothing is acknowledged then.
        Raise `failure` once it is known.
        """
        if self.failure is not None:
            raise self.failure
        batch, room = self._batch(patience), topics()[TOPIC].room
        made = [fitting(sent, room) for one in batch for sent in readings(one, self.encoder)]
        for sent in made:
            self.sink.send(TOPIC, sent.key, sent.value)
        if batch:
            self.sink.flush()
        for one in batch:
            one.acknowledge()
        good = sum(sent.readable for sent in made)
        self.tally.messages += len(batch)
        self.tally.readings += good
        self.tally.unreadable += len(made) - good
        return len(batch)

    def _batch(self, patience: float) -> list[Arrived]:
        batch: list[Arrived] = []
        try:
            batch.append(self.waiting.get(timeout=patience))
            while len(batch) < AT_ONCE:
                batch.append(self.waiting.get_nowait())
        except queue.Empty:
            pass
        return batch


def checked(topics: str) -> str:
    """Return a topic filter as MQTT knows them. Raise UserError for what is none."""
    levels = topics.split("/")
    wild = any(len(level) > 1 and ("+" in level or "#" in level) for level in levels)
    if not topics or wild or "#" in levels[:-1] or "\0" in topics or len(topics) > 16_000:
        raise UserError(
            f"{topics!r} is no topic filter: levels between /, + for one of them, # for all that "
            "follow, at the end"
        )
    return topics


def _attach(client: Any, topics: str, bridge: Bridge, now: Callable[[], int]) -> None:
    """Have the client's thread subscribe, hand over what comes and say what goes wrong."""

    def connected(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if reason.is_failure:
            log.error("the broker refuses", reason=str(reason))
            if reason.getName() in _FOR_GOOD:
                bridge.failure = UserError(f"the broker refuses: {reason}")
            return
        log.info("connected", topics=topics)
        client.subscribe(topics, qos=1)

    def lost(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        log.info("disconnected", reason=str(reason))

    def subscribed_(_: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            bridge.failure = UserError(f"the broker refuses {topics!r}: {reasons[0]}")

    def came(_: Any, __: Any, message: Any) -> None:
        try:
            number, qos = message.mid, message.qos
            one = Arrived(message.topic, message.payload, now(), lambda: client.ack(number, qos))
        except UnicodeError as error:  # of its topic, which names nothing then
            log.warning("a message is left out", error=str(error))
            client.ack(message.mid, message.qos)
        else:
            bridge.offer(one)

    client.on_connect, client.on_disconnect, client.on_message = connected, lost, came
    client.on_subscribe = subscribed_


@contextmanager
def subscribed(
    url: str, topics: str, client_id: str, bridge: Bridge, now: Callable[[], int]
) -> Iterator[None]:
    """Let messages of `topics` wait at the bridge, while the body runs.

    The session outlives the connection: the broker keeps what comes meanwhile. Raise UserError for
    a URL or topics that are none. If the broker refuses, the bridge says so.
    """
    checked(topics)
    try:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion
    except ModuleNotFoundError:
        raise UserError("paho-mqtt is not installed: `make setup` brings it") from None
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise UserError("the broker is mqtt://[USER:PASSWORD@]HOST[:PORT], or mqtts://")
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
    )
    _attach(client, topics, bridge, now)
    # The client calls each connection an error that is only just being made.
    logging.getLogger("paho").setLevel(logging.CRITICAL)
    if parts.username:
        client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "mqtts":
        client.tls_set()
    client.reconnect_delay_set(1, 30)
    client.connect(parts.hostname, parts.port or PORTS[parts.scheme])
    client.loop_start()
    try:
        yield
    finally:
        bridge.over = True
        client.disconnect()
        client.loop_stop()
