"""Readings from MQTT: over fakes, and from Debian's mosquitto where it is installed."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from config.errors import UserError
from ingestion.kafka.producer import DeliveryError
from ingestion.sensors.mqtt import (
    Arrived,
    Bridge,
    Sent,
    _attach,
    checked,
    fitting,
    readings,
    subscribed,
)
from ingestion.wire.encode import RefusedError

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
NOW = 1_764_504_000_000


class Plain:
    """An encoder and a sink in one: what is sent counts once it is flushed."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.kept: list[tuple[str, str, Any]] = []
        self.away = False

    def record(self, record: dict[str, Any]) -> Any:
        if record["sensor_id"] == "refused":
            raise RefusedError("no")
        return record

    def send(self, topic: str, key: str, value: Any) -> None:
        self.sent.append((topic, key, value))

    def flush(self, patience: float | None = None) -> None:
        if self.away:
            self.sent.clear()
            raise DeliveryError("away", 1)
        self.kept += self.sent
        self.sent.clear()


def arrived(payload: Any, topic: str = "sensors/hall/a", acked: list[int] | None = None) -> Arrived:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Arrived(topic, text, NOW, lambda: (acked if acked is not None else []).append(1))


def test_a_message_is_a_reading_or_several_and_its_topic_may_name_the_sensor() -> None:
    plain: Any = Plain()
    one: list[Any] = list(readings(arrived({"value": 1.5, "timestamp": 7}), plain))
    assert [(sent.key, sent.readable) for sent in one] == [("a", True)]
    assert one[0].value == {"sensor_id": "a", "value": 1.5, "timestamp": 7}
    two: list[Any] = list(
        readings(arrived([{"sensor_id": "b", "value": 2}, {"value": "3"}]), plain)
    )
    assert [(sent.key, sent.value) for sent in two] == [
        ("b", {"sensor_id": "b", "value": 2.0, "timestamp": NOW}),
        ("a", {"sensor_id": "a", "value": 3.0, "timestamp": NOW}),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"{",
        b"[" * 100_000,
        5,
        [[1]],
        {"colour": 1},
        {"value": "warm"},
        {"sensor_id": "refused"},
    ],
)
def test_what_is_no_reading_is_passed_on_as_it_is(payload: Any) -> None:
    plain: Any = Plain()
    (sent,) = readings(arrived(payload), plain)
    assert (sent.key, sent.readable) == ("a", False)
    assert isinstance(sent.value, bytes)


def test_a_message_is_acknowledged_when_kafka_has_it_and_not_before() -> None:
    plain: Any = Plain()
    acked: list[int] = []
    bridge = Bridge(plain, plain)
    assert bridge.carry(0.0) == 0
    plain.away = True
    bridge.waiting.put(arrived({"value": 1}, acked=acked))
    with pytest.raises(DeliveryError):
        bridge.carry(0.0)
    assert (acked, plain.kept) == ([], [])
    plain.away = False
    for _ in range(3):
        bridge.waiting.put(arrived([{"value": 1}, {"colour": 1}], acked=acked))
    assert bridge.carry(0.0) == 3
    assert acked == [1, 1, 1]
    assert len(plain.kept) == 6
    assert (bridge.tally.messages, bridge.tally.readings, bridge.tally.unreadable) == (3, 3, 3)


def test_what_is_too_large_for_kafka_is_cut_and_what_fits_is_not() -> None:
    whole = Sent("a", b"x" * 99, readable=True)
    assert fitting(whole, 100) is whole
    assert fitting(Sent("a", b"x" * 100, readable=True), 100) == Sent("a", b"x" * 50, False)
    plain: Any = Plain()
    bridge = Bridge(plain, plain)
    bridge.waiting.put(arrived(b"x" * 3_000_000))
    assert bridge.carry(0.0) == 1
    assert len(plain.kept[0][2]) < 1_000_000
    assert bridge.tally.unreadable == 1


def test_what_ends_the_subscription_is_told_by_the_bridge() -> None:
    plain: Any = Plain()
    bridge = Bridge(plain, plain, failure=UserError("refused"))
    with pytest.raises(UserError, match="refused"):
        bridge.carry(0.0)


def test_what_the_clients_thread_hears_reaches_the_bridge() -> None:
    plain: Any = Plain()
    bridge, client = Bridge(plain, plain), MagicMock()
    _attach(client, "a/#", bridge, lambda: NOW)
    said = SimpleNamespace(topic="a/b", payload=b"{}", mid=1, qos=1)
    client.on_message(None, None, said)
    assert bridge.waiting.get_nowait().topic == "a/b"
    refusal = SimpleNamespace(is_failure=True, getName=lambda: "Not authorized")
    client.on_connect(None, None, None, refusal, None)
    with pytest.raises(UserError, match="refuses"):
        bridge.carry(0.0)
    bridge.failure = None
    client.on_subscribe(None, None, None, [refusal], None)
    with pytest.raises(UserError, match="a/#"):
        bridge.carry(0.0)
    bridge.waiting, bridge.over = queue.Queue(1), True
    for _ in range(2):
        bridge.offer(arrived({}))  # nobody waits for room when all is over


@pytest.mark.parametrize("topics", ["", "a/#/b", "a#", "a/+b", "a\0"])
def test_a_filter_that_is_none_is_told_before_anything_else(topics: str) -> None:
    plain: Any = Plain()
    with pytest.raises(UserError, match="no topic filter"):
        subscribed("mqtt://x", topics, "me", Bridge(plain, plain), lambda: NOW).__enter__()
    assert [checked(one) for one in ("#", "+/a/+", "a//#", "$SYS/#")]


def test_a_broker_has_a_url() -> None:
    plain: Any = Plain()
    with (
        pytest.raises(UserError, match="mqtt://"),
        subscribed("http://x", "#", "me", Bridge(plain, plain), lambda: NOW),
    ):
        pass


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A real broker on a port of its own."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([MOSQUITTO, "-c", conf], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.slow
def test_what_was_not_acknowledged_comes_again_and_nothing_is_lost_meanwhile(broker: str) -> None:
    publish = pytest.importorskip("paho.mqtt.publish", reason="paho-mqtt is not installed")
    port = int(broker.rpartition(":")[2])

    def say(*values: int) -> None:
        messages = [("sensors/s", json.dumps({"timestamp": n, "value": n}), 1) for n in values]
        publish.multiple(messages, hostname="127.0.0.1", port=port)

    def carry(bridge: Bridge, count: int) -> list[int]:
        deadline = time.monotonic() + 10
        while len(plain.kept) < count:
            assert time.monotonic() < deadline, plain.kept
            bridge.carry(0.1)
        return [value["timestamp"] for _, _, value in plain.kept]

    plain: Any = Plain()
    first = Bridge(plain, plain)
    with subscribed(broker, "sensors/#", "bridge", first, lambda: NOW):
        time.sleep(0.3)  # the subscription is not told of
        say(1, 2, 3)
        assert carry(first, 3) == [1, 2, 3]
        plain.away = True
        say(4, 5)
        with pytest.raises(DeliveryError):
            carry(first, 4)
    say(6)  # while nobody is connected
    plain.away = False
    again = Bridge(plain, plain)
    with subscribed(broker, "sensors/#", "bridge", again, lambda: NOW):
        assert sorted(set(carry(again, 6))) == [1, 2, 3, 4, 5, 6]
