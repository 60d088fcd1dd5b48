"""Carry readings from an MQTT broker into Kafka, at least once.

The broker keeps a message of QoS 1 until it is acknowledged, and it is acknowledged only when Kafka
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
from ingestion.kafka.producer import Sink
from ingestion.sensors.files import TOPIC, reading
from ingestion.wire.encode import RecordEncoder, RefusedError

log = structlog.get_logger(__name__)
AT_ONCE = 500
PORTS = {"mqtt": 1883, "mqtts": 8883}


class Arrived(NamedTuple):
    """A message: its MQTT topic, its bytes, when it came (ms), and how to acknowledge it."""

    topic: str
    payload: bytes
    time: int
    acknowledge: Callable[[], object]


class Sent(NamedTuple):
    """What became of a message: key and value for Kafka, for each of its readings."""

    key: str
    value: bytes
    readable: bool


@dataclass
class Tally:
    """How many messages came, and of their readings how many were sent or are unreadable."""

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
    except ValueError:
        yield Sent(name, one.payload, readable=False)
        return
    for row in rows:
        try:
            if isinstance(row, dict):
                row = {"sensor_id": name, "timestamp": one.time, **row}
            record = reading(row)
            value = encoder.record(record)
        except (RefusedError, ValueError, TypeError, OverflowError):
            yield Sent(name, json.dumps(row).encode(), readable=False)
        else:
            yield Sent(record["sensor_id"], value, readable=True)


@dataclass
class Bridge:
    """Messages that came and are not yet in Kafka."""

    sink: Sink
    encoder: RecordEncoder
    tally: Tally = field(default_factory=Tally)
    waiting: queue.SimpleQueue[Arrived] = field(default_factory=queue.SimpleQueue)

    def carry(self, patience: float) -> int:
        """Send what waits, wait for Kafka, then acknowledge; return how many messages it was.

        Wait `patience` seconds for a first one. Raise DeliveryError: nothing is acknowledged then.
        """
        batch = self._batch(patience)
        made = [sent for one in batch for sent in readings(one, self.encoder)]
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


@contextmanager
def subscribed(
    url: str, topics: str, client_id: str, bridge: Bridge, now: Callable[[], int]
) -> Iterator[None]:
    """Let messages of `topics` wait at the bridge, while the body runs.

    The session outlives the connection: the broker keeps what comes meanwhile. Raise UserError for
    a URL that is none, and if the broker refuses.
    """
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

    def connected(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if reason.is_failure:
            log.error("the broker refuses", reason=str(reason))
            return
        log.info("connected", topics=topics)
        client.subscribe(topics, qos=1)

    def lost(_: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        log.info("disconnected", reason=str(reason))

    def came(_: Any, __: Any, message: Any) -> None:
        number, qos = message.mid, message.qos
        bridge.waiting.put(
            Arrived(message.topic, message.payload, now(), lambda: client.ack(number, qos))
        )

    # The client calls each connection an error that is only just being made.
    logging.getLogger("paho").setLevel(logging.CRITICAL)
    client.on_connect, client.on_disconnect, client.on_message = connected, lost, came
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
        client.disconnect()
        client.loop_stop()
