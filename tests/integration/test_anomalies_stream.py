"""Readings through Kafka, Flink and the consumer to the API's history, with a kill on the way.

A stack of its own: the groups are off by default.
"""

from __future__ import annotations

import csv
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.anomalies import adaptive
from domain.anomalies.features import MINUTES, NAMES, extract
from domain.events import SensorReading
from domain.times import iso
from millrace.stack.environ import api_keys
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.conftest import OFTEN
from tests.integration.parts import plug, read, until

SIZE = MINUTES * 60_000
BEGAN = 1_700_000_100_000 // SIZE * SIZE
SENSORS, WINDOWS, EVERY_MS = 3, 24, 10_000
STRANGE = {(0, 9), (0, 20), (1, 14), (2, 5)}
"""Sensors and windows whose readings move twice as much."""
DETECTED = "anomalies-detected"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {**OFTEN, "MILLRACE_GROUPS": "core,sensors,anomalies"}
    folder = tmp_path_factory.mktemp("anomalies")
    with shifted(folder / "state", SECOND_OFFSET, environ) as stack:
        windows = folder / "windows.csv"
        learnable(windows)
        stack.cli("train", "anomalies", "--data", str(windows), "--promote")
        parts = ("jobs", "api", "consumer-anomalies")
        stack.up("topics", *parts, timeout=480)
        yield stack


def values(sensor: int, window: int, seed: str = "live") -> list[tuple[int, float]]:
    """Return a window's readings: times within it, and values."""
    chance = random.Random(f"{seed}/{sensor}/{window}")
    spread = 6.0 if (sensor, window) in STRANGE and seed == "live" else 1.0
    return [
        (place, round(20 + 5 * sensor + chance.gauss(0, spread), 3))
        for place in range(0, SIZE, EVERY_MS)
    ]


def learnable(path: Path) -> None:
    """Write windows of earlier days, one and all usual."""
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, ["sensor_id", *NAMES])
        rows.writeheader()
        for sensor in range(SENSORS):
            for window in range(150):
                features = extract(*zip(*values(sensor, window, "past"), strict=True))
                rows.writerow({"sensor_id": f"s{sensor}", **features})


@contextmanager
def client_of(stack: Stack) -> Iterator[httpx.Client]:
    key = api_keys(stack.settings).split(",")[0]
    base = f"http://{stack.settings.host}:{stack.settings.port('api')}"
    with httpx.Client(base_url=base, headers={"X-API-Key": key}, timeout=30) as client:
        yield client


@pytest.mark.long
@pytest.mark.timeout(900)
def test_readings_become_detections_each_once_although_the_consumer_dies(ours: Stack) -> None:
    run = f"a{uuid.uuid4().hex[:6]}"
    with plug(ours.settings) as (sink, codec), client_of(ours) as client:

        def send(windows: range) -> None:
            for window in windows:
                for sensor in range(SENSORS):
                    for place, value in values(sensor, window):
                        when = BEGAN + window * SIZE + place
                        reading = SensorReading(
                            sensor_id=f"{run}-{sensor}",
                            timestamp=when,
                            received_at=when,
                            value=value,
                            asset_id="turbine-1" if sensor == 0 else None,
                        )
                        encoded = codec.encoder("sensor-readings").object(reading)
                        sink.send("sensor-readings", reading.sensor_id, encoded)
            sink.flush(60)

        def total(**asked: Any) -> int:
            answer = client.get("/api/v1/anomalies", params={"limit": 1, **asked})
            answer.raise_for_status()
            return int(answer.json()["total"])

        send(range(WINDOWS // 2))
        until("windows are judged", lambda: total() >= SENSORS * 3, timeout=240)
        ours.killed_and_back("consumer-anomalies")
        send(range(WINDOWS // 2, WINDOWS + 3))  # the last ones close those before them
        expected_end = BEGAN + WINDOWS * SIZE
        last = iso(expected_end - 1)
        until(
            "all windows are judged",
            lambda: total(end_date=last) == SENSORS * WINDOWS,
            timeout=240,
        )
        found = client.get(
            "/api/v1/anomalies",
            params={"limit": 1000, "end_date": last},
        ).json()["detections"]
        told = [
            one
            for one in read(ours.settings, DETECTED, codec, {})
            if one["window_start"] < expected_end
        ]
        features = {
            (f"{run}-{sensor}", BEGAN + window * SIZE): extract(
                [BEGAN + window * SIZE + place for place, _ in values(sensor, window)],
                [value for _, value in values(sensor, window)],
            )
            for sensor in range(SENSORS)
            for window in range(WINDOWS)
        }
        by_window = {(one["sensor_id"], one["window_start"]): one for one in told}
        assert {place: one["features"] for place, one in by_window.items()} == features
        for one in told:  # what is told twice is told as it was
            assert one == by_window[one["sensor_id"], one["window_start"]]
        kept = {one["detection_id"]: one for one in found}
        assert len(kept) == len(found)
        for one in by_window.values():
            same = kept[one["detection_id"]]
            for name in ("score", "threshold", "is_anomaly", "model_version", "features"):
                assert same[name] == one[name]
        assert_thresholds_follow_from_the_log(list(by_window.values()))
        anomalies = {place for place, one in by_window.items() if one["is_anomaly"]}
        assert {
            (f"{run}-{sensor}", BEGAN + window * SIZE) for sensor, window in STRANGE
        } <= anomalies
        assert len(anomalies) <= len(STRANGE) + 8
        # The same window sent to the API: the same score, by the model's own threshold.
        one = by_window[f"{run}-1", BEGAN + 14 * SIZE]
        asked = {"sensor_id": "x", "features": one["features"]}
        answer = client.post("/api/v1/anomalies/detect", json=asked).json()
        assert answer["score"] == one["score"]
        reasons = [part["feature"] for part in answer["explanation"] if part["contribution"] > 0]
        assert reasons == one["reasons"]
        assert reasons[0] in {"std", "min", "max", "step"}
        turbine = client.get(
            "/api/v1/anomalies", params={"asset_id": "turbine-1", "is_anomaly": True}
        ).json()["detections"]
        assert {one["criticality"] for one in turbine} == {"high"}
        port = 19131 + ours.settings.port_offset
        figures = httpx.get(f"http://{ours.settings.host}:{port}/metrics").text
        assert "millrace_anomalies_windows_total" in figures


def assert_thresholds_follow_from_the_log(told: list[dict[str, Any]]) -> None:
    """Follow each sensor from its first window on, by hand."""
    steps = {"high": 0.97, "normal": 0.99}
    ordered = sorted(told, key=lambda one: (one["sensor_id"], one["window_start"]))
    for _, windows in groupby(ordered, key=lambda one: one["sensor_id"]):
        expected = None
        for one in windows:
            threshold = adaptive.margin(one["threshold"])
            if expected is not None:
                assert threshold == pytest.approx(expected, abs=1e-6)
            assert one["is_anomaly"] == (one["margin"] >= threshold - 1e-9)
            quantile = steps[one["criticality"]]
            moved = quantile if one["is_anomaly"] else quantile - 1
            expected = one["next_margin"]
            assert expected == pytest.approx(threshold + 0.5 * moved, abs=1e-6)
