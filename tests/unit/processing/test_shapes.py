"""The job's detector comes to the bits of the specification, over its state as it is kept."""

from __future__ import annotations

import math
import pickle
import random

import pytest

from config.settings import ROOT
from domain.sensors.detectors.novelty import Novelty
from domain.sensors.watch import Place, Sensor, watch
from ingestion.sensors.limits_file import load
from processing.sensors.shapes import Shapes
from tests.unit.domain.sensors import reading

LIMITS = load(ROOT / "config" / "sensors.yaml")


def values(count: int) -> list[float]:
    chance = random.Random(7)
    made = [20 + 5 * math.sin(n / 9) + chance.gauss(0, 0.3) for n in range(count)]
    made[count // 2] = 1e12
    made[count * 3 // 4] = 60.0
    return made


@pytest.mark.parametrize("memory", [60, 2000])
def test_each_judgement_is_the_specifications_to_the_bit(memory: int) -> None:
    count = 400
    slow, fast = Novelty(), Novelty(shapes=Shapes(memory))
    slow.shapes.memory = memory
    alarms = 0
    for n, value in enumerate(values(count)):
        judged = slow.judge(value)
        assert fast.judge(value) == judged, n
        alarms += judged.alarm
        kept = pickle.loads(pickle.dumps(fast.dump()))  # noqa: S301 - its own
        fast = Novelty.load(kept, Shapes(memory))
    assert alarms >= 2
    assert fast.dump()[1] == slow.dump()[1]


def test_a_machine_is_told_of_when_it_does_what_it_never_did_and_its_state_is_small() -> None:
    kept, found = None, []
    for n, value in enumerate(values(400)):
        value = 90.0 if n == 200 else value
        sensor = Sensor.load(kept, Shapes)
        one = reading(n, value=value, sensor_type="machine")
        outcome = watch(one, Place(one.timestamp), LIMITS, sensor)
        assert outcome.scored is not None
        if "NOVEL" in outcome.scored.findings:
            found.append(n)
        kept = sensor.dump()
    assert 200 in found
    assert len(found) <= 4
    assert len(pickle.dumps(kept)) < 16_000
