"""What of several alerts is told at once, and which alerts hide others: grouping and inhibition.

Declared as data. Pure logic: alerts come as documents, in the order of their log, and the same
order gives the same outcome, however often it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from domain.alerts.episodes import momentary

LABELS = ("entity", "kind", "severity", "product", "location")
Alert = Mapping[str, Any]


class RoutingError(ValueError):
    """Raised for a declaration that cannot be used; the message names the place."""


@dataclass(frozen=True, slots=True)
class Inhibition:
    """An open alert like `source` hides those like `target` that agree in `equal`.

    Both are patterns by label.
    """

    source: Mapping[str, str]
    target: Mapping[str, str]
    equal: tuple[str, ...] = ()

    def hides(self, source: Alert, target: Alert) -> bool:
        """Return whether one alert hides the other; nothing unknown is equal."""
        return (
            _like(target, self.target)
            and not _like(target, self.source)
            and _like(source, self.source)
            and all(source[one] and source[one] == target[one] for one in self.equal)
        )


@dataclass(frozen=True, slots=True)
class Routing:
    """Labels by which alerts are grouped, and what hides what."""

    group_by: tuple[str, ...] = ()
    inhibit: tuple[Inhibition, ...] = ()
    grace_ms: int = 0

    def groups(self, alerts: Sequence[Alert]) -> list[list[Alert]]:
        """Return the alerts by group, in order of appearance; without labels each by itself."""
        if not self.group_by:
            return [[one] for one in alerts]
        found: dict[tuple[Any, ...], list[Alert]] = {}
        for one in alerts:
            found.setdefault(tuple(one[label] for label in self.group_by), []).append(one)
        return list(found.values())


@dataclass(slots=True)
class Hidden:
    """The open alerts that hide others, and those that are hidden, by id.

    A hidden one is released once nothing has hidden it for the grace. Of open ones that people have
    heard of, later words may be hidden, the clearing never.
    """

    routing: Routing
    _sources: dict[str, Alert] = field(default_factory=dict)
    _hidden: dict[str, Alert] = field(default_factory=dict)
    _free_since: dict[str, int] = field(default_factory=dict)
    _heard_of: set[str] = field(default_factory=set)

    def take(self, alert: Alert) -> bool:
        """Take up an alert as it stands; return whether it is hidden.

        The clearing of one that nobody has heard of is hidden, too.
        """
        name = alert["alert_id"]
        if alert["state"] == "cleared" and not momentary(alert):
            self._sources.pop(name, None)
            self._free_since.pop(name, None)
            hidden = self._hidden.pop(name, None) is not None
            heard_of = name in self._heard_of
            self._heard_of.discard(name)
            return hidden and not heard_of
        if not momentary(alert) and any(_like(alert, one.source) for one in self.routing.inhibit):
            self._sources[name] = alert
        if name in self._hidden or self._by(alert):
            if not momentary(alert):
                self._hidden[name] = alert
            return True
        if not momentary(alert):
            self._heard_of.add(name)
        return False

    def released(self, now: int) -> list[Alert]:
        """Return the alerts that are to be told after all, at `now` (ms)."""
        for name, alert in self._hidden.items():
            if self._by(alert):
                self._free_since.pop(name, None)
            else:
                self._free_since.setdefault(name, now)
        due = [
            name for name, since in self._free_since.items() if now - since >= self.routing.grace_ms
        ]
        return [self._hidden[name] for name in due]

    def told(self, alerts: Sequence[Alert]) -> None:
        """Forget released alerts: they have been told."""
        for one in alerts:
            self._hidden.pop(one["alert_id"], None)
            self._free_since.pop(one["alert_id"], None)
            self._heard_of.add(one["alert_id"])

    def copy(self) -> Hidden:
        """Return it as it stands now."""
        known = ({**self._sources}, {**self._hidden}, {**self._free_since}, {*self._heard_of})
        return Hidden(self.routing, *known)

    def clear(self) -> None:
        """Forget all."""
        self._sources.clear()
        self._hidden.clear()
        self._free_since.clear()
        self._heard_of.clear()

    def _by(self, alert: Alert) -> bool:
        return any(
            one.hides(source, alert)
            for one in self.routing.inhibit
            for source in self._sources.values()
        )


def parse(declared: Mapping[str, Any]) -> Routing:
    """Return the routing of a mapping with `group_by`, `inhibit`, `grace_s`. Raise RoutingError."""
    if unknown := set(declared) - {"group_by", "inhibit", "grace_s"}:
        raise RoutingError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    grace = declared.get("grace_s", 0)
    if isinstance(grace, bool) or not isinstance(grace, int | float) or not 0 <= grace < 1e9:
        raise RoutingError(f"grace_s: {grace!r} is no number of seconds")
    rules = declared.get("inhibit", [])
    if not isinstance(rules, list):
        raise RoutingError("inhibit: not a list")
    made = tuple(_rule(f"inhibit[{place}]", rule) for place, rule in enumerate(rules))
    return Routing(_labels("group_by", declared.get("group_by", [])), made, round(grace * 1000))


def _rule(where: str, said: Any) -> Inhibition:
    if not isinstance(said, Mapping) or set(said) - {"source", "target", "equal"}:
        raise RoutingError(f"{where}: a mapping of source, target and equal")
    return Inhibition(
        _patterns(f"{where}.source", said.get("source")),
        _patterns(f"{where}.target", said.get("target")),
        _labels(f"{where}.equal", said.get("equal", [])),
    )


def _patterns(where: str, said: Any) -> dict[str, str]:
    if not isinstance(said, Mapping) or not said:
        raise RoutingError(f"{where}: a mapping of labels, one at least")
    _labels(where, list(said))
    if wrong := [one for one in said.values() if not isinstance(one, str)]:
        raise RoutingError(f"{where}: {wrong[0]!r} is no text")
    return dict(said)


def _labels(where: str, said: Any) -> tuple[str, ...]:
    if not isinstance(said, list):
        raise RoutingError(f"{where}: not a list")
    if wrong := [one for one in said if one not in LABELS]:
        raise RoutingError(f"{where}: {wrong[0]!r} is none of {', '.join(LABELS)}")
    return tuple(said)


def _like(alert: Alert, patterns: Mapping[str, str]) -> bool:
    return all(fnmatchcase(alert[label] or "", text) for label, text in patterns.items())
