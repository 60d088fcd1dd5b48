"""Turn a measure of novelty into a score, asking more of keys that raise alarms often."""

from __future__ import annotations

from dataclasses import dataclass

ALARM = 0.5
"""A score at or above it is an alarm."""
THRESHOLD = 1.5
"""Novelty that a key's first alarm takes."""
DEARER = 0.25
"""By what share each recent alarm raises that."""
KEPT = 0.9995001249791693
"""What is left of an alarm's weight after one more reading, exp(-1/2000)."""
APART = 40
"""Readings after an alarm that raise none: an event is told once."""


@dataclass(slots=True)
class Alarms:
    """The key's recent alarms, weighted by age, and readings since the last."""

    recent: float = 0.0
    since: int = APART

    def score(self, novelty: float) -> float:
        """Return a score in [0, 1], at least `ALARM` for an alarm, and remember that."""
        self.recent *= KEPT
        self.since += 1
        if self.since <= APART or novelty <= 0.0:
            return 0.0
        share = novelty / (THRESHOLD * (1.0 + DEARER * self.recent))
        score = share / (1.0 + share)
        if score >= ALARM:
            self.recent += 1.0
            self.since = 0
        return score
