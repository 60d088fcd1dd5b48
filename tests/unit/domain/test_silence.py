"""Sensors that fall silent and speak again, by cases worked out by hand."""

from __future__ import annotations

import pickle
from typing import Any

from domain.events import Alert
from domain.sensors.silence import Heard, due, hear, idle, silent
from domain.sensors.watch import Place, Sensor, watch
from tests.unit.domain.sensors import START, limits, reading

LIMITS = limits(silent_s=600)
MINUTE = 60_000


def at(minute: float) -> int:
    return START + round(minute * MINUTE)


def told(alerts: tuple[Alert, ...]) -> list[tuple[str, str, float]]:
    return [
        (one.alert_id, one.state, (one.event_time - START) / MINUTE)
        for one in alerts
        if one.kind == "SILENT"
    ]


def test_nothing_for_ten_minutes_is_told_once_and_cleared_when_the_sensor_speaks() -> None:
    heard, name = Heard(), f"s/silent/{at(3)}"
    assert due(heard, LIMITS) is None, "a sensor that has never spoken is not known"
    for minute in (0, 3):
        assert hear(reading(minute * 60), at(minute), LIMITS, heard) == ()
    assert due(heard, LIMITS) == at(13)
    assert silent("s", at(13) - 1, LIMITS, heard) is None
    opened = silent("s", at(17), LIMITS, heard)
    assert opened is not None
    assert told((opened,)) == [(name, "open", 13)], "when it became silent, whoever looks when"
    assert (opened.severity, opened.opened_at) == ("warning", at(13))
    assert silent("s", at(40), LIMITS, heard) is None, "once"
    assert due(heard, LIMITS) is None
    cleared = hear(reading(41 * 60), at(41), LIMITS, heard)
    assert told(cleared) == [(name, "cleared", 41)]
    assert cleared[0].opened_at == at(13)
    assert due(heard, LIMITS) == at(51)


def test_a_silence_that_nobody_looked_at_is_told_by_the_reading_that_ends_it() -> None:
    heard, looked = Heard(), Heard()
    for one in (heard, looked):
        hear(reading(0), at(0), LIMITS, one)
    first = silent("s", at(10), LIMITS, looked)
    assert first is not None
    after = hear(reading(660), at(11), LIMITS, looked)
    both = hear(reading(660), at(11), LIMITS, heard)
    assert both == (first, *after)
    assert [one.state for one in both] == ["open", "cleared"]
    assert heard == looked


def test_a_reading_that_the_log_dates_before_the_silence_still_ends_it_last() -> None:
    heard = Heard()
    hear(reading(0), at(0), LIMITS, heard)
    assert silent("s", at(12), LIMITS, heard) is not None
    assert told(hear(reading(1), at(9), LIMITS, heard)) == [(f"s/silent/{at(0)}", "cleared", 10)]


def test_a_type_may_never_be_told_of_and_may_say_how_long() -> None:
    never, short = limits(silent_s=0), limits(silent_s=5, criticality="high")
    heard = Heard()
    hear(reading(0), at(0), never, heard)
    assert due(heard, never) is None
    assert silent("s", at(9_999), never, heard) is None
    alert = silent("s", START + 5_000, short, heard)
    assert alert is not None
    assert alert.severity == "critical"
    assert heard.told


def test_rejected_readings_are_heard_too_and_all_of_it_is_kept() -> None:
    kept: tuple[Any, ...] | None = None
    outcomes = []
    for minute, value in ((0, 20.0), (9, None), (18, None), (30, 20.0)):
        sensor = Sensor.load(kept)
        one = reading(minute * 60, value=value, location="hall")
        outcomes.append(watch(one, Place(at(minute)), LIMITS, sensor))
        kept = pickle.loads(pickle.dumps(sensor.dump()))  # noqa: S301 - its own
    assert [outcome.rejected is not None for outcome in outcomes] == [False, True, True, False]
    assert [told(outcome.silence) for outcome in outcomes] == [
        [],
        [],
        [],
        [(f"s/silent/{at(18)}", "open", 28), (f"s/silent/{at(18)}", "cleared", 30)],
    ]
    assert outcomes[3].silence[0].location == "hall"


def test_state_of_an_older_release_is_read() -> None:
    old = Sensor()
    watch(reading(0), Place(at(0)), LIMITS, old)
    kept = (1, *old.dump()[1:-2])
    loaded = Sensor.load(kept)
    assert loaded.newest == START
    assert loaded.heard == Heard()


def test_limits_changed_during_a_silence_end_it_as_it_began() -> None:
    heard = Heard()
    hear(reading(0), at(0), LIMITS, heard)
    opened = silent("s", at(10), LIMITS, heard)
    (cleared,) = hear(reading(3600), at(60), limits(silent_s=1800), heard)
    assert opened is not None
    assert (cleared.alert_id, cleared.opened_at) == (opened.alert_id, opened.opened_at)
    assert cleared.opened_at == at(10)
    assert heard.opened_at is None


def test_the_walls_time_counts_after_as_long_as_the_sensor_may_be_silent() -> None:
    assert idle(Heard(), LIMITS) == 10 * MINUTE
    assert idle(Heard(), limits(silent_s=5)) == MINUTE


def test_what_was_heard_is_read_from_a_state_without_the_beginning_of_a_silence() -> None:
    old = Sensor()
    watch(reading(0), Place(at(0)), LIMITS, old)
    kept = old.dump()
    loaded = Sensor.load((*kept[:-2], kept[-2][:-1], kept[-1]))
    assert (loaded.heard.at, loaded.heard.opened_at) == (at(0), None)
