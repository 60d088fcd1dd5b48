"""Watch several channels of one asset together, in rows of time, whichever sensor speaks first.

Pure logic. Sensors of an asset arrive in no order among each other, but each in its own. So a step
of time becomes a row once every channel has gone beyond it: the rows are the same whatever the
order in which the channels' readings are mixed. A channel that says nothing stops the rows, and its
silence is told of elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from domain.alerts.episodes import Criticality, Episode, Policy, step
from domain.events import Alert, SensorScore
from domain.sensors.detectors.alarms import ALARM
from domain.sensors.detectors.mewma import Mewma
from domain.sensors.kinds import Joint
from domain.sensors.limits import FIELDS, Limits

PRODUCT = "sensors"
WAITING = 3600
"""Steps a channel's readings may wait for the others, at most; older ones are taken as they are."""
REMIND_MS = 3_600_000

Said = tuple[int, float]
"""A step's number and the last value in it."""


@dataclass(slots=True)
class Asset:
    """The memory of an asset: of each channel what waits and what was last in a row; the detector.

    `made_by` is the declaration it was made by: another one begins anew.
    """

    made_by: Joint
    detector: Mewma
    waiting: dict[str, list[Said]] = field(default_factory=dict)
    carried: dict[str, Said] = field(default_factory=dict)
    episode: Episode | None = None

    def dump(self) -> tuple[Any, ...]:
        """Return the state as plain values, to be kept."""
        detector = tuple(getattr(self.detector, name) for name in _LEARNT)
        told = self.episode and tuple(getattr(self.episode, name) for name in _EPISODE)
        made_by = tuple(getattr(self.made_by, name) for name in _JOINT)
        return (1, made_by, detector, self.waiting, self.carried, told)

    @classmethod
    def load(cls, kept: tuple[Any, ...] | None, joint: Joint) -> Asset:
        """Invert `dump`; nothing kept, or what another declaration made, is a new asset."""
        new = Mewma(round(joint.training), round(joint.window), factor=joint.factor)
        if kept is None or kept[1] != tuple(getattr(joint, name) for name in _JOINT):
            return cls(joint, new)
        _, _, detector, waiting, carried, told = kept
        for name, value in zip(_LEARNT, detector, strict=True):
            setattr(new, name, value)
        episode = None if told is None else Episode(**dict(zip(_EPISODE, told, strict=True)))
        return cls(joint, new, waiting, carried, episode)


_LEARNT = ("average", "rows", "mean", "inverse", "limit")
_JOINT = tuple(one.name for one in fields(Joint))
_EPISODE = tuple(one.name for one in fields(Episode))


def watch_asset(
    asset_id: str, reading: SensorScore, limits: Limits, asset: Asset
) -> Iterator[Alert]:
    """Take up a good reading of the asset; yield what the rows that are now complete tell of."""
    joint = asset.made_by
    _wait(reading, asset)
    for number, row in _complete(asset):
        score = asset.detector.score(row)
        criticality = limits.assets.get(asset_id, "normal")
        alert = _told(asset_id, criticality, asset, _end(joint, number), score)
        if alert is not None:
            yield alert


def _wait(reading: SensorScore, asset: Asset) -> None:
    joint = asset.made_by
    # One dated ahead counts as of when it arrived, as for its sensor.
    number = math.floor(min(reading.timestamp, reading.arrived) / (joint.seconds * 1000))
    for name in FIELDS:
        channel, value = f"{reading.sensor_id}.{name}", getattr(reading, name)
        if channel not in joint.channels or value is None:
            continue
        waiting = asset.waiting.setdefault(channel, [])
        if waiting and waiting[-1][0] >= number:
            waiting[-1] = (waiting[-1][0], value)
        else:
            waiting.append((number, value))
        if len(waiting) > WAITING:
            asset.carried[channel] = waiting.pop(0)


def _complete(asset: Asset) -> Iterator[tuple[int, list[float]]]:
    """Yield the rows of the steps that every channel has gone beyond, and let go of them."""
    joint = asset.made_by
    if len(asset.waiting) < len(joint.channels):
        return
    beyond = min(waiting[-1][0] for waiting in asset.waiting.values())
    numbers = {number for waiting in asset.waiting.values() for number, _ in waiting}
    for number in sorted(one for one in numbers if one < beyond):
        for channel, waiting in asset.waiting.items():
            if waiting[0][0] == number:
                asset.carried[channel] = waiting.pop(0)
        row = [asset.carried.get(channel) for channel in joint.channels]
        # What was let go of unread, while another channel was silent, may be of later than the row.
        fresh = [one[1] for one in row if one and 0 <= number - one[0] <= joint.carried]
        if len(fresh) == len(row):
            yield number, fresh


def _end(joint: Joint, number: int) -> int:
    return round((number + 1) * joint.seconds * 1000)


def _told(
    asset_id: str, criticality: Criticality, asset: Asset, now: int, share: float
) -> Alert | None:
    """Return the alert of a row's score, if it opens, lasts or clears."""
    joint, found = asset.made_by, share >= ALARM
    asset.episode, state, episode = step(
        Policy(joint.weight, round(joint.clear_after), REMIND_MS),
        asset.episode,
        f"asset:{asset_id}",
        now=now,
        score=joint.weight if found else 0.0,
        kinds=(joint.kind,) if found else (),
        criticality=criticality,
    )
    if state is None or episode is None:
        return None
    channels = ", ".join(joint.channels)
    told = "are as usual again" if state == "cleared" else "do not go together as usual"
    return Alert(
        alert_id=episode.alert_id,
        entity=asset_id,
        event_time=now,
        kind=joint.kind,
        severity=episode.severity,
        message=f"{asset_id}: {channels} {told}",
        details={"asset_id": asset_id, "channels": channels, "score": f"{share:.3f}"},
        state=state,
        opened_at=episode.opened_at,
        product=PRODUCT,
        score=episode.score,
    )
