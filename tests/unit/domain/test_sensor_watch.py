"""A sensor's readings from the gate to the alert, and the state that goes in and out."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import ROOT
from domain.events import SensorReading
from domain.sensors.gate import REMEMBERED
from domain.sensors.watch import Outcome, Place, Sensor, watch
from ingestion.sensors.limits_file import load
from tests.unit.domain.sensors import START, reading

LIMITS = load(ROOT / "config" / "sensors.yaml")


class Watched:
    """A sensor whose state is dumped, pickled and loaded between two readings, as the job does."""

    def __init__(self) -> None:
        self.kept: tuple[Any, ...] | None = None
        self.offset = 0

    def see(self, one: SensorReading, age: float = 0.1) -> Outcome:
        sensor = Sensor.load(self.kept)
        place = Place(one.timestamp + round(age * 1000), 1, self.offset)
        self.offset += 1
        outcome = watch(one, place, LIMITS, sensor)
        self.kept = pickle.loads(pickle.dumps(sensor.dump()))  # noqa: S301 - its own
        return outcome


def warm(second: float, temperature: float, **said: Any) -> SensorReading:
    return reading(second, value=second % 7, temperature=temperature, location="hall", **said)


def test_a_hot_spell_is_one_alert_from_its_first_reading_to_the_third_calm_one() -> None:
    sensor, told = Watched(), []
    hot = [21.0, 31.0, 31.5, 31.2, 31.1, 29.0, 28.9, 28.8, 28.9]
    for place, temperature in enumerate(hot):
        outcome = sensor.see(warm(place * 100, temperature, asset_id="lobby" if place else None))
        assert outcome.rejected is None
        assert outcome.scored is not None
        told.append(
            (
                outcome.scored.findings,
                outcome.scored.alert_id,
                outcome.alert and outcome.alert.state,
            )
        )
    alert_id = f"s/{START + 100_000}"
    assert told == [
        ((), None, None),
        (("HIGH_TEMP",), alert_id, "open"),
        (("HIGH_TEMP",), alert_id, None),
        (("HIGH_TEMP", "REPEATED"), alert_id, None),
        (("HIGH_TEMP", "REPEATED"), alert_id, None),
        ((), alert_id, None),
        ((), alert_id, None),
        ((), None, "cleared"),
        ((), None, None),
    ]


def test_an_alert_says_what_where_and_how_grave() -> None:
    sensor = Watched()
    sensor.see(warm(0, 21.0))
    alert = sensor.see(warm(30, 31.0, asset_id="cold-store")).alert
    assert alert is not None
    assert (alert.alert_id, alert.entity, alert.product) == (f"s/{START + 30_000}", "s", "sensors")
    assert (alert.kind, alert.severity, alert.location) == ("HIGH_TEMP", "critical", "hall")
    assert alert.score == pytest.approx(1 - 0.4 * 0.4)
    assert alert.details == {
        "kinds": "HIGH_TEMP TEMP_JUMP",
        "readings": "1",
        "asset_id": "cold-store",
    }
    assert alert.message == (
        "s in hall: temperature 31 is above 30; temperature rose by 10 within 60 s"
    )


def test_an_alert_that_becomes_graver_says_what_it_was() -> None:
    sensor = Watched()
    sensor.see(warm(0, 21.0))
    assets = ("hall", "cold-store", "cold-store")
    told = [
        sensor.see(warm(100 + place, 31.0, asset_id=asset)).alert
        for place, asset in enumerate(assets)
    ]
    assert [one and (one.severity, one.details.get("graver_than")) for one in told] == [
        ("warning", None),
        ("critical", "warning"),
        None,
    ]


def test_a_rejected_reading_says_every_reason_and_where_it_stands() -> None:
    sensor = Watched()
    sensor.see(warm(0, 21.0))
    rejected = sensor.see(warm(1, 9999.0, humidity=200.0), age=400).rejected
    assert rejected is not None
    assert rejected.reasons == ("range:temperature", "range:humidity", "stale")
    assert rejected.detail.count(";") == 2
    assert (rejected.source_partition, rejected.source_offset) == (1, 1)
    assert (rejected.temperature, rejected.arrived) == (9999.0, START + 401_000)


def test_a_replayed_reading_is_as_fresh_as_it_says() -> None:
    old = warm(0, 21.0)
    year = 365 * 86_400
    assert Watched().see(old, age=year).rejected is not None
    assert Watched().see(replace(old, received_at=old.timestamp + 1), age=year).scored is not None


def test_a_late_reading_is_judged_by_thresholds_and_changes_nothing_that_is_newer() -> None:
    sensor = Watched()
    sensor.see(warm(100, 21.0))
    before = sensor.kept
    outcome = sensor.see(warm(50, 31.0))
    assert outcome.scored is not None
    assert (outcome.scored.late, outcome.scored.findings) == (True, ("HIGH_TEMP",))
    assert outcome.alert is None
    assert before is not None
    assert sensor.kept is not None
    assert sensor.kept[3:] == before[3:], "only its timestamp is known now"


def test_a_reading_dated_ahead_makes_none_after_it_late() -> None:
    sensor = Watched()
    sensor.see(warm(0, 21.0))
    ahead = sensor.see(warm(3600, 31.0), age=-3540).alert
    assert ahead is not None
    assert ahead.event_time == START + 60_000, "when it arrived"
    later = [sensor.see(warm(second, 21.0)) for second in (200, 300, 400)]
    assert [one.scored and one.scored.late for one in later] == [False] * 3
    assert later[2].alert is not None
    assert (later[2].alert.state, later[2].alert.alert_id) == ("cleared", ahead.alert_id)
    assert sensor.see(warm(500, 31.0)).alert is not None


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="state of version 9, 2 expected"):
        Sensor.load((9, [], {}, {}, {}, None, None))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 100_000),
            st.floats(-200, 200) | st.none(),
            st.floats(-60, 120) | st.none(),
            st.sampled_from(["default", "outdoor", "payment", "unknown"]),
            st.booleans(),
        ),
        max_size=120,
    )
)
def test_each_reading_ends_in_one_place_and_the_state_stays_small(
    rows: list[tuple[int, float | None, float | None, str, bool]],
) -> None:
    sensor, again = Watched(), Watched()
    open_: set[str] = set()
    for second, value, temperature, kind, fails in rows:
        one = reading(
            second,
            value=value,
            temperature=temperature,
            sensor_type=kind,
            status="FAIL" if fails else "OK",
        )
        outcome = sensor.see(one)
        assert (outcome.rejected is None) != (outcome.scored is None)
        assert again.see(one) == outcome, "the same readings give the same outcomes"
        alert = outcome.alert
        if alert is not None:
            assert (alert.alert_id in open_) == (alert.state != "open")
            open_ = set() if alert.state == "cleared" else {alert.alert_id}
        if outcome.scored is not None and not outcome.scored.late:
            assert {outcome.scored.alert_id} - {None} == open_
        state = Sensor.load(sensor.kept)
        assert len(state.memory.times) <= REMEMBERED
        assert sum(map(len, state.notes.values())) < 200
