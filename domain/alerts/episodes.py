"""Turn what is seen again and again into one alert: it opens, is told of while it lasts, clears.

Pure logic. Whoever watches an entity keeps its `Episode` and calls `step` with each observation.
The alert's id follows from the entity and when it opened, so that the same observations give the
same alerts, however often they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from domain.events import AlertState, Severity
from domain.times import document_of

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
STATES: tuple[AlertState, ...] = get_args(AlertState)
"""In their order: of two records with one time the later state is newer."""
TIMES = ("event_time", "opened_at")
GRAVER = "graver_than"
"""The detail of an alert that has just become graver: what it was before."""
MOMENT = "moment"
"""The detail of an alert of what neither lasts nor clears: it is told of once, as cleared."""
Criticality = Literal["low", "normal", "high"]
_SHIFT = {"low": -1, "normal": 0, "high": 1}


def document(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an Alert as documents hold it; one without `opened_at` opened at its event_time."""
    opened = record["opened_at"]
    whole = {**record, "opened_at": record["event_time"] if opened is None else opened}
    return document_of(whole, TIMES)


def momentary(alert: Mapping[str, Any]) -> bool:
    """Return whether the alert tells of a moment. It is its first word, and its last."""
    return MOMENT in alert["details"]


@dataclass(frozen=True, slots=True)
class Policy:
    """When an alert opens and clears.

    It opens at a score of `open_at`, clears after `clear_after` observations in a row below that,
    and is told of again when it becomes graver or has lasted `remind_ms` longer.
    """

    open_at: float = 0.5
    clear_after: int = 3
    remind_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Episode:
    """An open alert: since when, its gravest so far, and what it was told of.

    `kinds` are all that was found, in order of appearance; `calm` counts observations below the
    policy's score in a row.
    """

    entity: str
    opened_at: int
    kind: str
    severity: Severity
    score: float
    kinds: tuple[str, ...]
    told_at: int
    calm: int = 0
    readings: int = 1

    @property
    def alert_id(self) -> str:
        """Return the alert's id."""
        return f"{self.entity}/{self.opened_at}"


def severity(score: float, criticality: Criticality) -> Severity:
    """Return how urgent a score is: critical from .9, warning from .5, one step by criticality."""
    level = 2 if score >= 0.9 else 1 if score >= 0.5 else 0
    return SEVERITIES[max(0, min(2, level + _SHIFT[criticality]))]


def step(
    policy: Policy,
    before: Episode | None,
    entity: str,
    *,
    now: int,
    score: float,
    kinds: tuple[str, ...],
    criticality: Criticality = "normal",
) -> tuple[Episode | None, AlertState | None, Episode | None]:
    """Observe the entity at `now` (ms); `kinds` has the gravest first.

    Return the episode to keep, and what to tell, if anything: the state, and the episode that it is
    the state of.
    """
    grave = severity(score, criticality)
    if before is None:
        if score < policy.open_at:
            return None, None, None
        opened = Episode(entity, now, kinds[0], grave, score, kinds, now)
        return opened, "open", opened
    if score < policy.open_at:
        calm = before.calm + 1
        after = replace(before, calm=calm)
        return (None, "cleared", after) if calm >= policy.clear_after else (after, None, None)
    worse = SEVERITIES.index(grave) > SEVERITIES.index(before.severity)
    after = replace(
        before,
        severity=grave if worse else before.severity,
        score=max(score, before.score),
        kinds=(*before.kinds, *(kind for kind in kinds if kind not in before.kinds)),
        calm=0,
        readings=before.readings + 1,
    )
    if worse or now - before.told_at >= policy.remind_ms:
        after = replace(after, told_at=now)
        return after, "still_open", after
    return after, None, None
