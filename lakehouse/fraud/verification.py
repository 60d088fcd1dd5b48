"""Compute logged feature vectors again from bronze, and compare every bit.

The reference engine (`domain/features/reference.py`) shares no code with the kernel that the job
runs, and is fed what the lake has of the log, in its order. A vector whose history may begin before
the lake's is not judged: what is missing is not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from domain.features.reach import Reach as Windows
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import FraudPipeline
from lakehouse.fraud.log import Gap, Log, Row

SEVERAL = "its terminal's order is in fraud-terminal-log, which the lake does not have"
OTHER = "computed by another declaration of the features"
ABSENT = "its payment is not in the lake"
OLDER = "its windows begin before all that the lake has without a gap"
FORGOTTEN = "somebody who paid at its terminal was removed from the lake"
NARROW = "the lake lacks columns: type `millrace lake apply`"
_SLACK_MS = 86_400_000
_WINDOWS = Windows(GRAPH.stages)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one vector.

    `why` says why it cannot be verified. `differing` are the fields that are not what comes out,
    each with the logged value and the one computed; `rows` is how many records were fed.
    """

    transaction_id: str
    partition: int
    sequence: int
    rows: int = 0
    why: str | None = None
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Return whether every bit is what was computed."""
        return self.why is None and not self.differing

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        differing = {
            name: {"logged": logged, "computed": computed}
            for name, (logged, computed) in self.differing.items()
        }
        return {**asdict(self), "differing": differing, "equal": self.equal}


class Verifier:
    """Verifies vectors of one log; `ahead_ms` is that of `Reach`."""

    def __init__(self, log: Log, ahead_ms: int) -> None:
        self._log, self._several = log, log.several()
        self._reach = Reach(log, ahead_ms, *log.changed(GRAPH.version))

    def sample(
        self, count: int, seed: int, done: Callable[[int], None] = lambda _: None
    ) -> Iterator[Finding]:
        """Verify vectors at random and yield what was found; `done` is told how many."""
        for number, vector in enumerate(self._log.sample(count, seed), start=1):
            yield self.verify(vector)
            done(number)

    def verify(self, vector: Row) -> Finding:
        """Compute a vector of the lake again."""
        names = vector["transaction_id"], vector["partition"], vector["sequence"]
        start = begin(vector["event_time"])
        if (why := self._unverifiable(vector, start)) is not None:
            return Finding(*names, why=why)
        rows, computed = 0, None
        pipeline, last = FraudPipeline(), None
        for one in self._log.before(vector, start):
            computed, last = pipeline.process(one.row()), one.place.offset
            rows += 1
        if last != vector["sequence"]:
            return Finding(*names, rows, why=ABSENT)
        return Finding(*names, rows, differing=differences(vector, computed))

    def _unverifiable(self, vector: Row, start: int) -> str | None:
        if self._several:
            return SEVERAL
        if vector["feature_set_version"] != GRAPH.version:
            return OTHER
        if not set(GRAPH.outputs) <= set(self._log.columns):
            return NARROW
        place = vector["partition"], vector["sequence"]
        if not self._reach.whole(*place, vector["event_time"]):
            return OLDER
        return FORGOTTEN if self._log.forgotten(vector, start) else None


class Reach:
    """How far back the lake knows the log without a gap.

    `ahead_ms`: how far an event may be dated after Kafka's time of it. By that, what came before a
    gap's end is older than a vector's windows, or may not be. Kafka's times are the producers', so
    another day is allowed for clocks that differ.
    """

    def __init__(self, log: Log, ahead_ms: int, *changed: Gap) -> None:
        self._log, self._ahead_ms, self._changed = log, ahead_ms, changed
        self._gaps: dict[int, list[Gap]] = {}

    def blind(self, partition: int, sequence: int) -> int | None:
        """Return up to which event time something before `sequence` may be missing."""
        if partition not in self._gaps:
            self._gaps[partition] = self._log.gaps(partition)
        gaps = [*self._gaps[partition], *self._changed]
        slack = self._ahead_ms + _SLACK_MS
        known = [
            gap.known_ms + (0 if gap.certain else slack) for gap in gaps if gap.end <= sequence
        ]
        return max(known) if known else None

    def whole(self, partition: int, sequence: int, event_time: int) -> bool:
        """Return whether all that the windows of a payment cover is known."""
        blind = self.blind(partition, sequence)
        return blind is None or begin(event_time) > blind


def begin(event_time: int) -> int:
    """Return where the first tile that bears on a payment's vector begins (ms).

    That is not only a window of its own: a verdict within 30 days on a payment of the 14 days
    before it, whose ratio was to a mean of 30 days, rests on 72 days.

    >>> begin(100 * 86_400_000 + 5) // 86_400_000
    29
    """
    return _WINDOWS.begin(event_time)


def differences(
    logged: Mapping[str, Any], computed: Mapping[str, Any] | None
) -> dict[str, tuple[Any, Any]]:
    """Return the fields of a vector that differ by a bit, each with both values."""
    if computed is None:
        return {"transaction_id": (logged["transaction_id"], None)}
    # By how they are written: 0.0 is not -0.0, and each double has a shortest text of its own.
    return {
        name: (logged[name], value)
        for name, value in computed.items()
        if repr(logged[name]) != repr(value)
    }


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many vectors were sampled, are equal, differ and could not be verified."""
    return {
        "sampled": len(findings),
        "equal": sum(one.equal for one in findings),
        "differing": sum(bool(one.differing) for one in findings),
        "not_verifiable": sum(one.why is not None for one in findings),
    }
