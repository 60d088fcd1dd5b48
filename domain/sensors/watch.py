"""Watch one sensor: each reading is rejected, or scored and perhaps told of as an alert.

The whole of what the job does with a reading, without Flink. The sensor's state goes in and out as
plain tuples and numbers, a few KB at most, whatever comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from domain.alerts.episodes import GRAVER, Episode, step
from domain.events import Alert, RejectedReading, SensorReading, SensorScore
from domain.sensors.detectors.kept import Detectors
from domain.sensors.detectors.shape import ShapeNovelty
from domain.sensors.gate import Memory, Reason, check
from domain.sensors.limits import Limits, SensorType
from domain.sensors.rules import Finding, Notes, findings, score
from domain.sensors.silence import Heard, hear

PRODUCT = "sensors"
_VERSION = 2
_CARRIED = ("value", "temperature", "humidity", "pressure", "location", "asset_id", "sensor_type")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reading stands in the log, and when it arrived there (ms)."""

    arrived: int
    partition: int = -1
    offset: int = -1


@dataclass(slots=True)
class Sensor:
    """The memory of a sensor.

    `newest` is its newest good reading's time, or when that arrived if it was dated ahead.
    """

    memory: Memory = field(default_factory=Memory)
    notes: Notes = field(default_factory=dict)
    episode: Episode | None = None
    newest: int | None = None
    heard: Heard = field(default_factory=Heard)
    detectors: Detectors = field(default_factory=Detectors)

    def dump(self) -> tuple[Any, ...]:
        """Return the state as plain values, to be kept."""
        open_ = self.episode
        told = None if open_ is None else tuple(getattr(open_, name) for name in _EPISODE)
        memory = self.memory
        heard = tuple(getattr(self.heard, name) for name in _HEARD)
        gate = (memory.times, memory.good, memory.same)
        detectors = self.detectors.dump()
        return (_VERSION, *gate, self.notes, told, self.newest, heard, detectors)

    @classmethod
    def load(
        cls, kept: tuple[Any, ...] | None, shapes: Callable[[], ShapeNovelty] = ShapeNovelty
    ) -> Sensor:
        """Invert `dump`; nothing kept is a new sensor. Raise ValueError for another version.

        `shapes` makes what compares shapes: whatever it is, it comes to the same bits.
        """
        if kept is None:
            return cls(detectors=Detectors(shapes))
        version, times, good, same, notes, told, newest, *later = kept
        if version not in (1, _VERSION):
            raise ValueError(f"state of version {version}, {_VERSION} expected")
        # What later releases remember of it stands at the end.
        heard = Heard(**dict(zip(_HEARD, later[0], strict=False))) if later else Heard()
        detectors = Detectors.load(later[1] if later else {}, shapes)
        episode = None if told is None else Episode(**dict(zip(_EPISODE, told, strict=True)))
        return cls(Memory(times, good, same), notes, episode, newest, heard, detectors)


_EPISODE = tuple(Episode.__dataclass_fields__)
_HEARD = tuple(Heard.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a reading: either `rejected` or `scored`, and the alerts to report.

    `alert` is of what is unusual, `silence` of a silence that it ends.
    """

    rejected: RejectedReading | None = None
    scored: SensorScore | None = None
    alert: Alert | None = None
    silence: tuple[Alert, ...] = ()


def watch(reading: SensorReading, place: Place, limits: Limits, sensor: Sensor) -> Outcome:
    """Judge the reading; the sensor's state takes it up.

    It arrived when it says so itself, else when the log got it.
    """
    silence = hear(reading, place.arrived, limits, sensor.heard)
    kind = limits.of(reading.sensor_type)
    arrived = place.arrived if reading.received_at is None else reading.received_at
    reasons = check(reading, arrived, kind, sensor.memory)
    if reasons:
        return Outcome(rejected=_rejected(reading, place, arrived, reasons), silence=silence)
    # One dated ahead would else make all that follow late, until their clock has caught up.
    ahead = reading.timestamp > arrived
    taken = replace(reading, timestamp=arrived) if ahead else reading
    late = sensor.newest is not None and taken.timestamp < sensor.newest
    found = findings(taken, kind, sensor.notes, late=late, detectors=sensor.detectors)
    alert = None
    if not late:
        sensor.newest = taken.timestamp
        alert = _alert(taken, kind, limits, found, sensor)
    return Outcome(
        scored=_scored(reading, place, arrived, found, late=late, sensor=sensor),
        alert=alert,
        silence=silence,
    )


def _carried(reading: SensorReading) -> dict[str, Any]:
    return {name: getattr(reading, name) for name in _CARRIED}


def _rejected(
    reading: SensorReading, place: Place, arrived: int, reasons: tuple[Reason, ...]
) -> RejectedReading:
    return RejectedReading(
        sensor_id=reading.sensor_id,
        timestamp=reading.timestamp,
        reasons=tuple(reason.code for reason in reasons),
        detail="; ".join(reason.detail for reason in reasons),
        arrived=arrived,
        source_partition=place.partition,
        source_offset=place.offset,
        **_carried(reading),
    )


def _scored(
    reading: SensorReading,
    place: Place,
    arrived: int,
    found: list[Finding],
    *,
    late: bool,
    sensor: Sensor,
) -> SensorScore:
    return SensorScore(
        sensor_id=reading.sensor_id,
        timestamp=reading.timestamp,
        status=reading.status,
        score=score(found),
        findings=tuple(one.kind for one in found),
        alert_id=None if sensor.episode is None else sensor.episode.alert_id,
        late=late,
        arrived=arrived,
        source_partition=place.partition,
        source_offset=place.offset,
        **_carried(reading),
    )


def _alert(
    reading: SensorReading,
    kind: SensorType,
    limits: Limits,
    found: list[Finding],
    sensor: Sensor,
) -> Alert | None:
    before = sensor.episode
    sensor.episode, state, episode = step(
        kind.policy,
        before,
        reading.sensor_id,
        now=reading.timestamp,
        score=score(found),
        kinds=tuple(one.kind for one in found),
        criticality=limits.criticality(kind, reading.asset_id),
    )
    if state is None or episode is None:
        return None
    facts = {"kinds": " ".join(episode.kinds), "readings": str(episode.readings)}
    if reading.asset_id is not None:
        facts["asset_id"] = reading.asset_id
    if before is not None and before.severity != episode.severity:
        facts[GRAVER] = before.severity
    return Alert(
        alert_id=episode.alert_id,
        entity=reading.sensor_id,
        event_time=reading.timestamp,
        kind=episode.kind,
        severity=episode.severity,
        message=_message(reading, episode, state, found),
        details=facts,
        state=state,
        opened_at=episode.opened_at,
        product=PRODUCT,
        score=episode.score,
        location=reading.location,
    )


def _message(reading: SensorReading, episode: Episode, state: str, found: list[Finding]) -> str:
    where = f" in {reading.location}" if reading.location else ""
    if state == "cleared":
        return f"{reading.sensor_id}{where} is as usual again, after {episode.kind}"
    told = "; ".join(one.detail for one in found)
    return f"{reading.sensor_id}{where}: {told}"
