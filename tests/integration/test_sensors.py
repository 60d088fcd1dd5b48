"""Readings with everything that can be wrong, through the real job: each ends in one place.

The group is off by default, so the job is submitted here, and a consumer is started as a process.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from confluent_kafka import Producer

from config.settings import ROOT, Settings
from domain.alerts.acts import subjects
from domain.events import Alert, SensorReading
from domain.sensors.joint import Asset, watch_asset
from domain.sensors.watch import Place, Sensor, watch
from ingestion.sensors.limits_file import load
from ingestion.wire.codec import Codec
from millrace.stack.harness import Stack
from serving.alerts import keys as alerts
from tests.integration.parts import ends, plug, read, through, until

JOB, SOURCE = "sensor_anomalies", "sensor-readings"
OUTCOMES = ("sensor-scores", "rejected-readings", "quarantine", "alerts")
START = 1_760_000_000_000
DAY_MS = 86_400_000


POSTED: list[dict[str, Any]] = []


def _posted(run: str) -> list[dict[str, Any]]:
    return [one for one in POSTED if one["entity"].startswith(run)]


class Hook(BaseHTTPRequestHandler):
    """A webhook that takes everything."""

    def do_POST(self) -> None:
        POSTED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    """The URL of a webhook."""
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def job(harness: Stack, hook: str) -> Iterator[Stack]:
    """The stack with the job, and the consumers that keep and that send the alerts."""
    environ = {**os.environ, "MILLRACE_ALERTS_WEBHOOK_URL": hook}
    consumers = [
        subprocess.Popen([sys.executable, "-m", f"serving.alerts.{name}"], cwd=ROOT, env=environ)
        for name in ("consumer", "sender")
    ]
    try:
        harness.cli("jobs", "submit", JOB)
        for port in (19106, 19108):
            url = f"http://{harness.settings.host}:{port + harness.settings.port_offset}/readyz"
            until("the consumer is ready", partial(_ready, url))
        yield harness
    finally:
        for consumer in consumers:
            consumer.terminate()
            consumer.wait(30)
        harness.cli("jobs", "stop", JOB)


def _ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def _reading(sensor: str, second: float, **said: Any) -> SensorReading:
    """Return a good reading, received when it was measured, unless it says otherwise."""
    when = START + round(second * 1000)
    whole = {"timestamp": when, "received_at": when, "value": second % 17, "temperature": 21.0}
    return SensorReading(**{"sensor_id": sensor, **whole, **said})


def _readings(run: str) -> list[SensorReading]:
    """Return 400 readings of six sensors, one after the other."""
    made = [_reading(f"{run}-good", second) for second in range(100)]
    made += made[:20]  # again, to the bit
    mixed = f"{run}-mixed"
    for second in range(0, 160, 4):
        made += [
            _reading(mixed, second),
            _reading(mixed, second + 1, value=None),
            _reading(mixed, second + 2, value=9999.0, temperature=-21.0),
            _reading(mixed, second + 3, timestamp=START + second * 1000 - 3 * DAY_MS),
        ]
    made += [_reading(f"{run}-stuck", second * 40, value=5.0) for second in range(30)]
    made += [_reading(f"{run}-unit", second, temperature=21.0) for second in range(10)]
    made += [_reading(f"{run}-unit", 10 + second, temperature=69.8) for second in range(20)]
    hot = [35.0] * 30 + [21.0] * 10
    made += [
        _reading(f"{run}-hot", second, temperature=one, asset_id="cold-store")
        for second, one in enumerate(hot)
    ]
    # Quiet for long, then late by a minute: scored, and judged by thresholds alone.
    made += [_reading(f"{run}-late", second) for second in range(100, 110)]
    made += [_reading(f"{run}-late", second, temperature=35.0) for second in range(10)]
    return made


# Worked out by hand. The stuck sensor's 20th reading is the first that has said the same for 600 s.
REJECTED = {
    ("good", "duplicate"): 20,
    ("mixed", "missing:value"): 40,
    ("mixed", "range:value range:temperature"): 40,
    ("mixed", "stale time"): 40,
    ("stuck", "stuck:value"): 11,
    ("unit", "unit:temperature"): 20,
}
SCORED = {"good": 100, "mixed": 40, "stuck": 19, "unit": 10, "hot": 40, "late": 20}


def test_each_reading_ends_in_exactly_one_place(job: Stack) -> None:
    stack, run = job.settings, f"sensors-{uuid4().hex[:8]}"
    before = {topic: ends(stack, topic) for topic in (SOURCE, *OUTCOMES)}
    readings = _readings(run)
    assert len(readings) == 400
    with plug(stack) as (sink, codec):
        encoder = codec.encoder(SOURCE)
        for one in readings:
            sink.send(SOURCE, one.sensor_id, encoder.object(one))
        for number in range(15):
            sink.send(SOURCE, run, b"\x00unreadable %d" % number)
        sink.flush()
        sent = _grown(before[SOURCE], ends(stack, SOURCE))
        assert len(sent) == 415
        through(stack, (JOB, SOURCE), (f"{JOB}-unreadable", SOURCE), ("alerts", "alerts"))
        found = {topic: _of(stack, topic, codec, before[topic], run) for topic in OUTCOMES}

    rejected = Counter(
        (one["sensor_id"].rpartition("-")[2], " ".join(one["reasons"]))
        for one in found["rejected-readings"]
    )
    assert rejected == REJECTED
    scored = Counter(one["sensor_id"].rpartition("-")[2] for one in found["sensor-scores"])
    assert scored == SCORED
    assert len(found["quarantine"]) == 15
    ended = [
        (one["source_partition"], one["source_offset"])
        for topic in ("sensor-scores", "rejected-readings", "quarantine")
        for one in found[topic]
    ]
    assert sorted(ended) == sorted(sent), "each once, none twice, none nowhere"

    late = [one for one in found["sensor-scores"] if one["late"]]
    assert Counter(tuple(one["findings"]) for one in late) == {("HIGH_TEMP",): 10}
    told = [(one["entity"], one["state"], one["severity"]) for one in found["alerts"]]
    # The jump at its end belongs to it. Critical, for the asset is.
    assert told == [(f"{run}-hot", "open", "critical"), (f"{run}-hot", "cleared", "critical")]
    alert_id = found["alerts"][0]["alert_id"]
    with redis.Redis.from_url(stack.redis_url) as client:
        stored = client.hget(alerts.alert(alert_id), "d")
    assert isinstance(stored, bytes)
    listed = json.loads(job.cli("alerts", "show", alert_id, "--json"))
    nobody = {"acknowledged": None, "silenced_until": None}
    assert {**json.loads(stored), **nobody} == listed["alert"]
    assert [one["state"] for one in listed["told"]] == ["open", "cleared"]
    until("both are sent", lambda: len(_posted(run)) == 2)
    assert [(one["alert_id"], one["state"]) for one in _posted(run)] == [
        (alert_id, "open"),
        (alert_id, "cleared"),
    ]
    job.cli("alerts", "ack", alert_id, "--by", "ada")
    seen = json.loads(job.cli("alerts", "show", alert_id, "--json"))["alert"]["acknowledged"]
    assert seen["by"] == "ada"
    act = alerts.act(subjects(listed["alert"])[0])
    with redis.Redis.from_url(stack.redis_url) as client:
        until("the acknowledgement is stored", lambda: client.hget(act, "d"))


def _grown(before: dict[int, int], after: dict[int, int]) -> list[tuple[int, int]]:
    return [(n, offset) for n, end in after.items() for offset in range(before[n], end)]


def _of(
    stack: Settings, topic: str, codec: Codec, start: dict[int, int], run: str
) -> list[dict[str, Any]]:
    """Return the records that came of this run's readings."""
    every = read(stack, topic, codec, start)
    if topic == "quarantine":
        return [one for one in every if one["job"] == JOB]
    name = "entity" if topic == "alerts" else "sensor_id"
    return [one for one in every if one[name].startswith(run)]


def _detected(run: str) -> list[SensorReading]:
    """Return readings of a rare sensor, and of a turbine whose channels stop going together."""
    chance, made = random.Random(5), []
    for second in range(900):
        flow = 50 + 5 * math.sin(second / 30) + chance.gauss(0, 0.5)
        out = (100 - flow if 600 <= second < 700 else flow) + chance.gauss(0, 0.5)
        rare = 90.0 if second in (700, 800) else chance.gauss(20, 1)
        of_turbine: dict[str, Any] = {"asset_id": "turbine-1", "sensor_type": "rare"}
        made += [
            _reading("turbine-1-inlet", second, value=flow, **of_turbine),
            _reading("turbine-1-outlet", second, value=out, **of_turbine),
            _reading(f"{run}-rare", second, value=rare, sensor_type="rare"),
        ]
    return made


def test_trees_and_channels_that_go_together_are_judged_in_the_job_as_by_its_twin(
    job: Stack,
) -> None:
    stack, run = job.settings, f"detected-{uuid4().hex[:8]}"
    before = {topic: ends(stack, topic) for topic in OUTCOMES}
    readings, limits = _detected(run), load(ROOT / "config" / "sensors.yaml")
    with plug(stack) as (sink, codec):
        encoder = codec.encoder(SOURCE)
        for one in readings:
            sink.send(SOURCE, one.sensor_id, encoder.object(one))
        sink.flush()
        through(stack, (JOB, SOURCE))
        found = {topic: read(stack, topic, codec, before[topic]) for topic in OUTCOMES[:4:3]}
    scores, told = found["sensor-scores"], found["alerts"]
    sensors: dict[str, Sensor] = {}
    asset = Asset.load(None, limits.joints["turbine-1"])
    expected: list[tuple[str, int, tuple[str, ...]]] = []
    joint: list[Alert] = []
    for one in readings:
        sensor = sensors.setdefault(one.sensor_id, Sensor())
        scored = watch(one, Place(one.timestamp), limits, sensor).scored
        assert scored is not None
        expected.append((one.sensor_id, one.timestamp, scored.findings))
        if one.asset_id:
            joint += watch_asset(one.asset_id, scored, limits, asset)
    judged = [(one["sensor_id"], one["timestamp"], tuple(one["findings"])) for one in scores]
    assert sorted(judged) == sorted(expected)
    assert any("RARE" in findings for _, _, findings in expected)
    assert joint
    assert [
        (one["alert_id"], one["state"], one["event_time"])
        for one in told
        if one["entity"] == "turbine-1"
    ] == [(one.alert_id, one.state, one.event_time) for one in joint]


def test_a_sensor_that_falls_silent_is_told_of_over_a_restart_and_cleared_when_it_speaks(
    job: Stack,
) -> None:
    """What it said is dated almost ten minutes back in the log; the job is stopped meanwhile."""
    stack, run = job.settings, f"silent-{uuid4().hex[:8]}"
    quiet, other = f"{run}-quiet", f"{run}-other"
    start, now = ends(stack, "alerts"), time.time_ns() // 1_000_000
    heard = now - 595_000
    with plug(stack) as (_, codec):
        producer = Producer({"bootstrap.servers": stack.kafka_bootstrap})

        def say(sensor: str, when: int) -> None:
            reading = SensorReading(sensor_id=sensor, timestamp=when, value=when / 1000 % 17)
            value = codec.encoder(SOURCE).object(reading)
            producer.produce(SOURCE, value, sensor, timestamp=when)
            producer.flush()

        def told() -> list[tuple[Any, ...]]:
            time.sleep(0.5)
            say(other, time.time_ns() // 1_000_000)  # no timer of the log's without the log
            return [
                (one["alert_id"], one["state"], one["event_time"])
                for one in _of(stack, "alerts", codec, start, run)
            ]

        say(quiet, heard)
        through(stack, (JOB, SOURCE))
        job.cli("jobs", "stop", JOB)
        job.cli("jobs", "submit", JOB)
        name = f"{quiet}/silent/{heard}"
        until("it is told of", told)
        assert told() == [(name, "open", heard + 600_000)]
        again = time.time_ns() // 1_000_000
        say(quiet, again)
        until("it speaks again", lambda: len(told()) > 1)
        assert told() == [(name, "open", heard + 600_000), (name, "cleared", again)]
