"""Several sensors of one asset watched together: rows, and what is told of them."""

from __future__ import annotations

import math
import pickle
import random
from typing import Any

import pytest

from domain.declared import DeclaredError
from domain.events import Alert, SensorScore
from domain.sensors.detectors.mewma import Mewma
from domain.sensors.joint import WAITING, Asset, watch_asset
from domain.sensors.limits import Limits, parse
from tests.unit.domain.sensors import START

CHANNELS = ["in.value", "out.value", "out.temperature"]


def limits(**said: Any) -> Limits:
    joint = {"kind": "JOINT", "channels": CHANNELS, **said}
    return parse({"assets": {"turbine": {"criticality": "high", "joint": joint}}})


def scored(sensor: str, second: float, **said: Any) -> SensorScore:
    when = START + round(second * 1000)
    return SensorScore(sensor_id=sensor, timestamp=when, arrived=when, **said)


def recording(seconds: int, broken: range) -> dict[str, list[SensorScore]]:
    """Two sensors, the second three times the first; while it is broken it goes the other way."""
    chance = random.Random(1)
    made: dict[str, list[SensorScore]] = {"in": [], "out": []}
    for second in range(seconds):
        flow = 50 + 5 * math.sin(second / 30) + chance.gauss(0, 0.5)
        out = 3 * (100 - flow if second in broken else flow) + chance.gauss(0, 0.5)
        made["in"].append(scored("in", second + 0.2, value=flow))
        made["out"].append(scored("out", second + 0.4, value=out, temperature=20 + out / 50))
    return made


def played(order: list[SensorScore], known: Limits) -> tuple[list[Alert], Asset]:
    kept: tuple[Any, ...] | None = None
    told: list[Alert] = []
    for one in order:
        asset = Asset.load(kept, known.joints["turbine"])
        told += watch_asset("turbine", one, known, asset)
        kept = pickle.loads(pickle.dumps(asset.dump()))  # noqa: S301 - its own
    return told, Asset.load(kept, known.joints["turbine"])


def mixed(streams: dict[str, list[SensorScore]], seed: int) -> list[SensorScore]:
    """Mix sensors anyhow, each in its own order."""
    chance, left, order = random.Random(seed), {k: list(v) for k, v in streams.items()}, []
    while any(left.values()):
        ahead = chance.choice([name for name, some in left.items() if some])
        burst = chance.randrange(1, 40)
        order += left[ahead][:burst]
        left[ahead] = left[ahead][burst:]
    return order


def test_the_same_is_told_whatever_the_order_between_sensors_and_by_the_detector_alone() -> None:
    known = limits()
    streams = recording(900, range(600, 700))
    told, asset = played(mixed(streams, 0), known)
    for seed in (1, 2):
        assert played(mixed(streams, seed), known)[0] == told
    # The same rows by hand, straight into the detector.
    literal = Mewma()
    rows = zip(streams["in"], streams["out"], strict=True)
    scores = [literal.score([a.value or 0, b.value or 0, b.temperature or 0]) for a, b in rows]
    over = [second for second, score in enumerate(scores[:-1]) if score >= 0.5]
    assert over
    assert over[0] in range(600, 700)
    first = told[0]
    assert (first.state, first.severity, first.entity) == ("open", "critical", "turbine")
    assert first.opened_at == START + (over[0] + 1) * 1000
    assert first.alert_id == f"asset:turbine/{first.opened_at}"
    expected, calm, open_ = [], 0, False
    for second, score in enumerate(scores[:-1]):
        calm = 0 if score >= 0.5 else calm + 1
        if (calm == 0 and not open_) or (calm == 10 and open_):
            open_ = not open_
            expected.append(("open" if open_ else "cleared", START + (second + 1) * 1000))
    assert [(one.state, one.event_time) for one in told] == expected
    assert len(pickle.dumps(asset.dump())) < 3_000


def test_a_channel_that_is_silent_stops_the_rows_and_what_waits_is_bounded() -> None:
    known = limits()
    streams = recording(WAITING + 40, range(0))
    asset = Asset.load(None, known.joints["turbine"])
    for one in streams["in"]:
        assert not list(watch_asset("turbine", one, known, asset))
    assert asset.detector.rows == []
    assert len(asset.waiting["in.value"]) == WAITING
    list(watch_asset("turbine", streams["out"][-1], known, asset))
    assert asset.detector.rows == [], "nothing of it for so long makes no row"


def test_no_row_holds_a_value_of_a_later_step() -> None:
    known = limits()
    streams = recording(WAITING + 40, range(0))
    asset = Asset.load(None, known.joints["turbine"])
    for one in (streams["out"][5], *streams["in"], streams["out"][-1]):
        list(watch_asset("turbine", one, known, asset))
    assert asset.carried["in.value"][0] > 5
    assert asset.detector.rows == [], "of the fifth step the inlet's value is gone"


def test_rows_of_another_declaration_are_learnt_anew_and_strangers_are_passed_over() -> None:
    known = limits()
    _, asset = played(mixed(recording(50, range(0)), 1), known)
    assert len(asset.detector.rows) == 49
    assert Asset.load(asset.dump(), known.joints["turbine"]).detector.rows == asset.detector.rows
    other = limits(factor=3).joints["turbine"]
    assert Asset.load(asset.dump(), other).detector.rows == []
    before = asset.dump()
    assert not list(watch_asset("turbine", scored("stranger", 99, value=1.0), known, asset))
    assert asset.dump() == before


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"channels": ["in.value"]}, "two or more"),
        ({"channels": ["in.value", "in.value"]}, "each once"),
        ({"channels": ["in.value", "out.weight"]}, "'out.weight' is no SENSOR.FIELD"),
        ({"channels": "in.value"}, "not a list"),
        ({"training": 5}, "rows of training"),
        ({"seconds": 0}, "above 0"),
        ({"sigmas": 3}, "unknown: sigmas"),
    ],
)
def test_a_mistake_is_told_with_its_place(said: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclaredError, match=rf"assets\.turbine\.joint.*{words}"):
        limits(**said)
