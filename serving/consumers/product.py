"""What a product tells the consumer frame; everything else is the loop's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.store import Write


class Incoming(NamedTuple):
    """A record that could be read, and where it came from.

    `timestamp`: Kafka's, in ms. `schema`: which of the topic's records it is. `key` and `value`:
    the message's bytes, for a product that passes them on as they are.
    """

    record: dict[str, Any]
    timestamp: int
    offset: int
    topic: str = ""
    partition: int = 0
    schema: str = ""
    key: bytes | None = None
    value: bytes | None = None


class Output(NamedTuple):
    """A record to produce.

    Give `record`, which is encoded as the topic's `schema` (None: its first), or `value`, bytes
    that already are.
    """

    topic: str
    key: str | bytes
    record: Mapping[str, Any] | None = None
    value: bytes | None = None
    schema: str | None = None


class Result(NamedTuple):
    """What becomes of one record: any number of writes, then any number of records to produce.

    `origin`: when the event that caused it entered the system (ms), from where the latency metric
    counts; None: not measured.

    Where an earlier or newer value stays in place of the only write of a result with one output,
    what is produced is that value, by the product's `restore`: nobody is told anything else than
    what is stored.
    """

    writes: tuple[Write, ...] = ()
    outputs: tuple[Output, ...] = ()
    origin: int | None = None


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A topic from which a product's state in memory is made anew when partitions are assigned.

    Read from its beginning, or from `age_ms` ago, to where it ends at that moment: the partitions
    with the numbers of those assigned, or with `everything` all.
    """

    topic: str
    age_ms: int | None = None
    everything: bool = False


class Product(ABC):
    """Topics in, writes and records out.

    `name` names the process, its group and its metrics; `topics` are read by one group. A product
    lives in the loop's thread alone and never touches a store or a Kafka client.

    Declare what differs from the defaults:

    - `batch_size`: most records handed on at once.
    - `tick_every`: seconds between two calls of `tick`; None: never.
    - `rebuild`: what to read before the first record is handled.
    - `fold`: of records with an equal key in a batch, only the newest is handled.
    """

    name: str
    topics: tuple[str, ...]
    batch_size: int = 500
    tick_every: float | None = None
    rebuild: Rebuild | None = None

    def missing(self) -> str | None:
        """Name what a person must mend before the product can work; None when it is ready.

        Asked before each batch, so keep it cheap. Records wait, and `/readyz` answers 503.
        """
        return None

    def waiting(self) -> str | None:
        """Name what the product waits for though it is well, such as its first model.

        Asked before each batch. Records wait, and `/readyz` answers 200 and says for what.
        """
        return None

    def fold(self, row: Incoming) -> Hashable:
        """Return the key of which only the newest record of a batch counts; None: it counts itself.

        The records left out count as handled: their offsets are committed.
        """
        return None

    @abstractmethod
    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one result a record, in order, without touching any store.

        Raise `RetryableError` to see the batch again. After any other error the frame hands the
        records on one by one, and puts aside what raises again: `UnreadableError` gives the
        reason, whatever else counts as refused.
        """

    def tick(self, now_ms: int) -> Sequence[Result]:
        """Return what time alone brings.

        Called every `tick_every` seconds between two batches. Offsets of records handled before a
        tick are committed only when its results are stored and produced, so a product may gather
        in `handle` and deliver here: after a crash it sees the records since the last tick again.
        """
        return ()

    def restore(self, data: bytes) -> Mapping[str, Any] | None:
        """Return the record behind stored bytes: what to produce where that value stays.

        None: produce what `handle` made all the same.
        """
        return None

    def clear_state(self) -> None:  # noqa: B027 - most products have no such state
        """Forget what was rebuilt; called before each rebuilding."""

    def restore_state(self, row: Incoming) -> None:  # noqa: B027 - as above
        """Take in one record of the topic that `rebuild` names."""

    def probe(self) -> bool:
        """Handle a known good record of the product's own making, without any effect.

        Return True when it went well, False when the product has no such record, and raise
        whatever breaks. Asked when every record of a batch broke the product: one that proves
        itself leaves the blame with the records.
        """
        return False
