"""Read what a consumer's page of metrics says, and make rates and quantiles of two readings.

The library's parser makes objects of every sample; of some hundred lines a second and consumer, a
dozen are wanted here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_PREFIX = "millrace_"
_LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_BUCKET = "millrace_event_to_store_seconds_bucket"
_RECORDS = "millrace_consumer_records_total"
_QUARANTINED = "millrace_consumer_quarantined_total"
_LAG = "millrace_consumer_lag_records"
_READY = "millrace_consumer_ready"
_WAITING = "millrace_consumer_waiting"
_WANTED = tuple(f"{one}{{" for one in (_BUCKET, _RECORDS, _QUARANTINED, _LAG, _READY, _WAITING))

Buckets = dict[float, float]
"""Observations up to each bound in seconds, the last one infinite."""


@dataclass(slots=True)
class Reading:
    """A consumer's counts at a moment."""

    records: float = 0.0
    quarantined: float = 0.0
    lag: float = 0.0
    ready: bool = False
    waiting: bool = False
    buckets: Buckets = field(default_factory=dict)


def read(text: str) -> Reading:
    """Return what a page of metrics says. Lines of other metrics are passed over."""
    found = Reading()
    for line in text.splitlines():
        if not line.startswith(_WANTED):
            continue
        matched = _LINE.match(line)
        if matched is None:
            continue
        name, labels, value = matched[1], matched[2] or "", float(matched[3])
        if name == _BUCKET:
            bound = float(dict(_LABEL.findall(labels))["le"])
            found.buckets[bound] = found.buckets.get(bound, 0.0) + value
        elif name == _RECORDS:
            found.records += value
        elif name == _QUARANTINED:
            found.quarantined += value
        elif name == _LAG:
            found.lag += value
        elif name == _READY:
            found.ready = value == 1
        else:
            found.waiting = value == 1
    return found


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return a quantile in seconds as Prometheus' `histogram_quantile` does; None without any."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank, below, low = share * total, 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if bound == float("inf"):
                return low
            inside = count - below
            return low + (bound - low) * ((rank - below) / inside if inside else 1.0)
        below, low = count, bound
    return low


class Rate:
    """A counter's rate over the last seconds. A counter that fell began anew."""

    def __init__(self, seconds: float = 3.0, gap: float = 10.0) -> None:
        self._seconds, self._gap = seconds, gap
        self._seen: deque[tuple[float, float]] = deque()

    def add(self, moment: float, count: float) -> float | None:
        """Take a count at a moment in seconds; return the rate, None where nothing is known."""
        seen = self._seen
        if seen and (count < seen[-1][1] or moment - seen[-1][0] > self._gap):
            seen.clear()
        seen.append((moment, count))
        while len(seen) > 2 and moment - seen[1][0] >= self._seconds:
            seen.popleft()
        (began, first), passed = seen[0], moment - seen[0][0]
        return (count - first) / passed if passed > 0 and began < moment else None


class Latency:
    """Quantiles of what a histogram observed over the last seconds."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, Buckets]] = deque()

    def add(
        self, moment: float, buckets: Buckets, shares: Sequence[float] = (0.5, 0.99)
    ) -> list[float | None]:
        """Take the counts at a moment; return the quantiles in seconds."""
        seen, end = self._seen, float("inf")
        if seen and buckets.get(end, 0.0) < seen[-1][1].get(end, 0.0):
            seen.clear()
        seen.append((moment, buckets))
        while len(seen) > 2 and moment - seen[1][0] >= self._seconds:
            seen.popleft()
        first = seen[0][1]
        recent = {bound: count - first.get(bound, 0.0) for bound, count in buckets.items()}
        return [quantile(recent, share) for share in shares]
