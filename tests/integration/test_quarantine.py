"""`millrace quarantine` on the real broker and registry.

Poison is listed, shown, and replayed once it can be read.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from config.settings import Settings
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack
from tests.integration.parts import ends

TOPIC = "sensor-readings"
# All its fields: `show` tells those that have a default, too.
READING = {
    "sensor_id": "s",
    "timestamp": 1_700_000_000_000,
    "value": 21.5,
    **dict.fromkeys(("temperature", "humidity", "pressure", "location")),
    "status": "OK",
    "asset_id": None,
    "sensor_type": "default",
    "received_at": None,
}


def headers_since(settings: Settings, start: dict[int, int]) -> list[tuple[Any, bytes, bytes]]:
    """(headers, key, value) of what the source topic got since `start`."""
    found = []
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": f"tests-{uuid4()}"}
    )
    try:
        for partition, last in ends(settings, TOPIC).items():
            position = start[partition]
            consumer.assign([TopicPartition(TOPIC, partition, position)])
            deadline = time.monotonic() + 60
            while position < last:
                assert time.monotonic() < deadline
                for message in consumer.consume(100, timeout=1.0):
                    assert message.error() is None, message.error()
                    position = message.offset() + 1
                    found.append((message.headers(), message.key(), message.value()))
    finally:
        consumer.close()
    return found


def aside(
    sink: KafkaSink, codec: Codec, partition: int, offset: int, value: bytes, reason: str
) -> str:
    record = {
        "source_topic": TOPIC,
        "source_partition": partition,
        "source_offset": offset,
        "source_time": 1_700_000_000_000,
        "key": b"sensor",
        "value": value,
        "reason": reason,
        "detail": "as the test made it",
        "job": "test",
        "quarantined_at": 1_700_000_000_000,
        "replayed": False,
    }
    sink.send("quarantine", TOPIC, codec.encode("quarantine", record))
    return f"{TOPIC}/{partition}/{offset}"


def test_list_show_replay(harness: Stack) -> None:
    reason = f"test-{uuid4().hex[:8]}"
    place = time.time_ns() % 1_000_000_000
    with (
        Registry(harness.settings.registry_url) as registry,
        KafkaSink(harness.settings.kafka_bootstrap) as sink,
    ):
        codec = Codec(registry)
        good = codec.encode(TOPIC, READING)
        fine = aside(sink, codec, 7, place, good, reason)
        bad = aside(sink, codec, 7, place + 1, b"\x01never", reason)
    start = ends(harness.settings, TOPIC)

    listed = json.loads(harness.cli("quarantine", "list", "--json", "--reason", reason))
    assert [record["id"] for record in listed["records"]] == [fine, bad]
    assert listed["reasons"][reason] == 2

    shown = harness.cli("quarantine", "show", bad)
    assert "01 6e 65 76 65 72" in shown
    assert "unreadable now: bad_magic" in shown
    assert json.loads(harness.cli("quarantine", "show", fine, "--json"))["record"] == READING

    assert "1 would be replayed" in harness.cli("quarantine", "replay", fine, "--dry-run")
    assert headers_since(harness.settings, start) == []

    with pytest.raises(subprocess.CalledProcessError) as some_stay:
        harness.cli("quarantine", "replay", "--reason", reason, "--json")
    assert some_stay.value.returncode == 1
    done = json.loads(some_stay.value.stdout)
    assert done["replayed"] == [fine]
    assert [stays["id"] for stays in done["stayed"]] == [bad]
    expected = [([("millrace-replayed-from", fine.encode())], b"sensor", good)]
    assert headers_since(harness.settings, start) == expected

    again = json.loads(harness.cli("quarantine", "replay", fine, "--json"))
    assert again == {"dry_run": False, "replayed": [], "stayed": [], "already_replayed": [fine]}
    assert headers_since(harness.settings, start) == expected, "nothing is replayed twice"
    still = json.loads(harness.cli("quarantine", "list", "--json", "--reason", reason))
    assert [record["id"] for record in still["records"]] == [bad]

    assert "1 replayed" in harness.cli("quarantine", "replay", bad, "--force")
    assert [value for _, _, value in headers_since(harness.settings, start)] == [good, b"\x01never"]


@pytest.mark.parametrize(
    "arguments", [("replay",), ("replay", "nonsense"), ("show", f"{TOPIC}/99/1"), ("show", "x")]
)
def test_mistakes_are_one_line_and_exit_code_2(harness: Stack, arguments: tuple[str, ...]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        harness.cli("quarantine", *arguments)
    assert refused.value.returncode == 2
    assert len(refused.value.stderr.splitlines()) == 1
