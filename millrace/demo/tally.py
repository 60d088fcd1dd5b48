"""Count what the demo sends and receives.

Pure: times are passed in, in seconds for rates and milliseconds for latencies.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RECENT_S = 5.0
SHOWN = 10
ALARMS = ("block", "review")


@dataclass(frozen=True, slots=True)
class Score:
    """One decision as the view shows it.

    `fraud` is the simulator's truth, or None if it is not known here.
    """

    transaction_id: str
    customer_id: str
    amount: float
    score: float
    decision: str
    reasons: tuple[str, ...]
    fraud: bool | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures at one moment.

    Rates are per second over the last five seconds, latencies in ms, None while there are none.
    """

    elapsed_s: float
    sent: int
    scored: int
    rate_in: float
    rate_out: float
    p50: float | None
    p99: float | None
    recent_p50: float | None
    recent_p99: float | None
    frauds: int
    caught: int
    blocked: int
    alarms: int
    false_alarms: int
    amount_caught: float
    latest: tuple[Score, ...]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile, or None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(len(ordered) * share + 0.999999) - 1))]


class Tally:
    """Count what was sent and what came back.

    One thread sends, another receives, a third looks.
    """

    def __init__(self, started: float, warm_up_s: float) -> None:
        self._lock = threading.Lock()
        self._started, self._warm = started, started + warm_up_s
        self._truth: dict[str, bool] = {}
        self._sent = self._scored = 0
        self._sent_at: deque[float] = deque()
        self._scored_at: deque[tuple[float, float]] = deque()
        self._latencies: list[float] = []
        self._latest: deque[Score] = deque(maxlen=SHOWN)
        self._frauds = self._caught = self._blocked = self._alarms = self._false = 0
        self._amount = 0.0

    def sent(self, transaction_id: str, fraud: bool, now: float) -> None:
        """Count a transaction that was handed to the producer."""
        with self._lock:
            self._truth[transaction_id] = fraud
            self._sent += 1
            self._sent_at.append(now)

    def scored(self, record: Mapping[str, Any], stored_ms: int, now: float) -> None:
        """Count a decision that came back; transactions of others are not counted.

        `stored_ms` is when it was in Redis.
        """
        name = record["transaction_id"]
        with self._lock:
            fraud = self._truth.get(name)
            if fraud is None:
                return
            latency = float(stored_ms - record["produced_at"])
            self._scored += 1
            self._scored_at.append((now, latency))
            if now >= self._warm:
                self._latencies.append(latency)
            self._judge(record["decision"], fraud, record["amount"])
            score = Score(
                transaction_id=name,
                customer_id=record["customer_id"],
                amount=record["amount"],
                score=record["score"],
                decision=record["decision"],
                reasons=tuple(record["reasons"]),
                fraud=fraud,
            )
            self._latest.appendleft(score)

    def _judge(self, decision: str, fraud: bool, amount: float) -> None:
        alarm = decision in ALARMS
        self._frauds += fraud
        self._alarms += alarm
        self._caught += fraud and alarm
        self._blocked += fraud and decision == "block"
        self._false += alarm and not fraud
        self._amount += amount if fraud and alarm else 0.0

    @property
    def outstanding(self) -> int:
        """Return how many payments were sent and are not scored yet."""
        with self._lock:
            return self._sent - self._scored

    def figures(self, now: float) -> Figures:
        """Return the figures at `now`."""
        with self._lock:
            while self._sent_at and self._sent_at[0] < now - RECENT_S:
                self._sent_at.popleft()
            while self._scored_at and self._scored_at[0][0] < now - RECENT_S:
                self._scored_at.popleft()
            recent = [latency for _, latency in self._scored_at]
            span = max(0.1, min(RECENT_S, now - self._started))
            return Figures(
                elapsed_s=now - self._started,
                sent=self._sent,
                scored=self._scored,
                rate_in=len(self._sent_at) / span,
                rate_out=len(recent) / span,
                p50=percentile(self._latencies, 0.5),
                p99=percentile(self._latencies, 0.99),
                recent_p50=percentile(recent, 0.5),
                recent_p99=percentile(recent, 0.99),
                frauds=self._frauds,
                caught=self._caught,
                blocked=self._blocked,
                alarms=self._alarms,
                false_alarms=self._false,
                amount_caught=self._amount,
                latest=tuple(self._latest),
            )
