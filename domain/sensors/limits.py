"""Declare what is required of a sensor type and what is unusual of it, as data.

`parse` reads it from a mapping, as `config/sensors.yaml` holds it. A type has everything that
`default` has, unless it says otherwise; a sensor of a type that is not declared has the default's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from domain.alerts.episodes import Criticality, Policy
from domain.declared import DeclaredError, mapping, number, one_of, sequence
from domain.sensors.kinds import (
    RULES,
    Detected,
    Dynamic,
    Joint,
    Range,
    Remembering,
    Repeated,
    Rule,
    Stuck,
    Threshold,
    Unit,
    Windowed,
    memory,
)

DEFAULT = "default"
MOST = 2000
"""Rows that an asset's training may have: it keeps them until then."""
FIELDS = ("value", "temperature", "humidity", "pressure")
TEXTS = ("status", "location", "asset_id", "sensor_type")
CRITICALITIES: tuple[Criticality, ...] = get_args(Criticality)


@dataclass(frozen=True, slots=True)
class SensorType:
    """What the gate requires of a type's readings, and what its detectors look for.

    A reading is fresh for `fresh_s` seconds, and its timestamp may be off by `off_s` at most, both
    by the time it was received. An alert opens at `alert_at`; `clear_after` readings in a row below
    that clear it; a day-long one is told of again every `remind_s`. One that says nothing for
    `silent_s` is told of as silent, 0: never.
    """

    name: str = DEFAULT
    required: tuple[str, ...] = ("value",)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    fresh_s: float = 300.0
    off_s: float = 86_400.0
    stuck: tuple[Stuck, ...] = ()
    units: tuple[Unit, ...] = ()
    rules: tuple[Rule, ...] = ()
    criticality: Criticality = "normal"
    alert_at: float = 0.5
    clear_after: int = 3
    remind_s: float = 3600.0
    silent_s: float = 600.0

    # What follows from the above, so that it is not worked out for each reading. Rules that
    # remember come with the name of their memory.
    thresholds: tuple[Threshold, ...] = field(init=False, repr=False, compare=False)
    remembering: tuple[tuple[str, Remembering], ...] = field(init=False, repr=False, compare=False)
    detected: tuple[tuple[str, Detected], ...] = field(init=False, repr=False, compare=False)
    repeated: tuple[tuple[str, Repeated], ...] = field(init=False, repr=False, compare=False)
    policy: Policy = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the rules by how they are asked."""
        named = [(memory(rule), rule) for rule in self.rules]
        for name, made in (
            ("thresholds", tuple(rule for rule in self.rules if isinstance(rule, Threshold))),
            ("remembering", tuple(one for one in named if isinstance(one[1], Remembering))),
            ("detected", tuple(one for one in named if isinstance(one[1], Detected))),
            ("repeated", tuple(one for one in named if isinstance(one[1], Repeated))),
            ("policy", Policy(self.alert_at, self.clear_after, round(self.remind_s * 1000))),
        ):
            object.__setattr__(self, name, made)


@dataclass(frozen=True, slots=True)
class Limits:
    """Every type by name; the criticality of assets that are not like their type.

    `joints` are the channels that are watched together, by asset.
    """

    types: Mapping[str, SensorType]
    assets: Mapping[str, Criticality] = field(default_factory=dict)
    joints: Mapping[str, Joint] = field(default_factory=dict)

    def of(self, sensor_type: str) -> SensorType:
        """Return the type, or the default for one that is not declared."""
        return self.types.get(sensor_type) or self.types[DEFAULT]

    def criticality(self, kind: SensorType, asset_id: str | None) -> Criticality:
        """Return how critical a sensor is: as its asset, else as its type."""
        return self.assets.get(asset_id or "", kind.criticality)


def parse(declared: Mapping[str, Any]) -> Limits:
    """Return the limits of a mapping with `types`, and perhaps `assets`. Raise DeclaredError."""
    if unknown := set(declared) - {"types", "assets"}:
        raise DeclaredError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    bodies = mapping("types", declared.get("types", {}))
    default = _type(SensorType(), DEFAULT, mapping(DEFAULT, bodies.get(DEFAULT) or {}))
    types = {DEFAULT: default}
    for name, body in bodies.items():
        if name != DEFAULT:
            types[name] = _type(default, name, mapping(name, body or {}))
    assets: dict[str, Criticality] = {}
    joints: dict[str, Joint] = {}
    for name, said in mapping("assets", declared.get("assets", {})).items():
        _asset(name, said, assets, joints)
    return Limits(types, assets, joints)


def _asset(name: str, said: Any, assets: dict[str, Criticality], joints: dict[str, Joint]) -> None:
    """Take up an asset: its criticality, or a mapping of that and of `joint`."""
    where = f"assets.{name}"
    body = said if isinstance(said, Mapping) else {"criticality": said}
    if unknown := set(body) - {"criticality", "joint"}:
        raise DeclaredError(f"{where}: unknown: {', '.join(sorted(map(str, unknown)))}")
    if "criticality" in body:
        assets[name] = one_of(where, body["criticality"], CRITICALITIES)
    if "joint" in body:
        joints[name] = _joint(f"{where}.joint", body["joint"])


def _joint(where: str, said: Any) -> Joint:
    body = dict(mapping(where, said))
    channels = sequence(f"{where}.channels", body.pop("channels", None))
    for one in channels:
        sensor, dot, name = one.rpartition(".") if isinstance(one, str) else ("", "", "")
        if not (sensor and dot and name in FIELDS):
            raise DeclaredError(f"{where}.channels: {one!r} is no SENSOR.FIELD")
    if len(set(channels)) < max(2, len(channels)):
        raise DeclaredError(f"{where}.channels: two or more, each once")
    made: Joint = _build(Joint, where, {**body, "channels": tuple(channels)})
    whole = (made.carried, made.training, made.window, made.clear_after)
    if any(one != int(one) or one < 0 for one in whole) or not MOST >= made.training >= 100:
        raise DeclaredError(f"{where}: whole numbers, and 100 to {MOST} rows of training")
    if not (made.seconds > 0 and made.window > 0 and made.factor > 0):
        raise DeclaredError(f"{where}: seconds, window and factor above 0")
    return made


def _type(base: SensorType, name: str, body: Mapping[str, Any]) -> SensorType:
    given: dict[str, Any] = {"name": name}
    rules = {section: _of(base, RULES[section]) for section in RULES}
    for key, said in body.items():
        where = f"types.{name}.{key}"
        if key in RULES:
            rules[key] = tuple(_build(RULES[key], where, one) for one in sequence(where, said))
        elif key == "ranges":
            named = mapping(where, said).items()
            own = {one: _range(f"{where}.{one}", bounds) for one, bounds in named}
            given[key] = {**base.ranges, **own}
        elif key in ("stuck", "units"):
            kind: type[Any] = Stuck if key == "stuck" else Unit
            given[key] = tuple(_build(kind, where, one) for one in sequence(where, said))
        elif key == "required":
            given[key] = tuple(_measured(where, one) for one in sequence(where, said))
        elif key == "criticality":
            given[key] = one_of(where, said, CRITICALITIES)
        elif key in _NUMBERS:
            given[key] = number(where, said)
        else:
            raise DeclaredError(f"{where}: unknown")
    made = replace(base, **given, rules=tuple(rule for rules_ in rules.values() for rule in rules_))
    _check_type(made)
    return made


def _check_type(made: SensorType) -> None:
    name = made.name
    if not made.alert_at > 0:
        raise DeclaredError(f"types.{name}.alert_at: above 0")
    if made.silent_s < 0:
        raise DeclaredError(f"types.{name}.silent_s: 0 or more")
    kinds = [rule.kind for rule in made.rules]
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise DeclaredError(f"types.{name}: {', '.join(twice)} is declared twice")


_NUMBERS = {"fresh_s", "off_s", "alert_at", "clear_after", "remind_s", "silent_s"}


def _of(base: SensorType, kind: type[Rule]) -> tuple[Rule, ...]:
    return tuple(rule for rule in base.rules if isinstance(rule, kind))


def _build(kind: type[Any], where: str, said: Any) -> Any:
    body = mapping(where, said)
    known = {one.name: one.type for one in fields(kind)}
    if unknown := set(body) - set(known):
        raise DeclaredError(f"{where}: unknown: {', '.join(sorted(map(str, unknown)))}")
    for name, value in body.items():
        if isinstance(value, tuple):
            continue  # looked at before
        _plain(f"{where}.{name}", str(known[name]), value)
    if kind is not Threshold and "field" in body:
        _measured(where, body["field"])
    try:
        made = kind(**body)
    except TypeError as error:
        raise DeclaredError(f"{where}: {error}") from None
    if isinstance(made, Threshold):
        _check_threshold(where, made)
    if isinstance(made, Windowed) and not (made.seconds > 0 and made.least > 1):
        raise DeclaredError(f"{where}: seconds above 0, and at least 2 readings")
    if isinstance(made, Dynamic) and made.readings < 1:
        raise DeclaredError(f"{where}: readings is at least 1")
    if not 0 < getattr(made, "weight", 1.0) <= 1:
        raise DeclaredError(f"{where}: a weight is above 0 and at most 1")
    return made


def _plain(where: str, kind: str, value: Any) -> None:
    """Raise DeclaredError for a value that is not of the field's type, a number or a text."""
    if "str" not in kind:
        number(where, value)
    elif not isinstance(value, str) and not (value is None and "None" in kind):
        raise DeclaredError(f"{where}: {value!r} is no text")


def _check_threshold(where: str, made: Threshold) -> None:
    if made.equals is None:
        _measured(where, made.field)
    else:
        one_of(where, made.field, TEXTS)
    if (made.above, made.below, made.equals).count(None) != 2:
        raise DeclaredError(f"{where}: {made.kind} has one of above, below and equals")


def _range(where: str, said: Any) -> Range:
    _measured(where, where.rpartition(".")[2])
    bounds = [number(where, one) for one in sequence(where, said)]
    if len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise DeclaredError(f"{where}: two numbers, the lower one first")
    return Range(*bounds)


def _measured(where: str, name: Any) -> str:
    return str(one_of(where, name, FIELDS))
