"""Define what a product supplies to the consumer frame; the loop does everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from serving.store import Write


class Incoming(NamedTuple):
    """A readable record and its origin.

    `timestamp` is Kafka's, in ms. `schema` says which of the topic's records it is. `key` and
    `value` are the message's bytes, for a product that passes them on unchanged.
    """

    record: dict[str, Any]
    timestamp: int
    offset: int
    topic: str = ""
    partition: int = 0
    schema: str = ""
    key: bytes | None = None
    value: bytes | None = None


def incoming(message: Message, record: dict[str, Any], schema: str) -> Incoming:
    """Return a message's record with its origin."""
    return Incoming(
        record,
        message.timestamp()[1],
        message.offset(),
        message.topic(),
        message.partition(),
        schema,
        message.key(),
        message.value(),
    )


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
    """The result of one record: any number of writes, then any number of records to produce.

    `origin` is when the event that caused it entered the system (ms), from which the latency metric
    counts; None is not measured.

    If an earlier or newer value stays in place of the first write, that value is produced instead
    of the first output, by the product's `restore`: only what is stored is ever published.
    """

    writes: tuple[Write, ...] = ()
    outputs: tuple[Output, ...] = ()
    origin: int | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """What of a topic a rebuilding needs: of records with one `key` that of the greatest `version`.

    Of equal versions the later. Both are fields at the head of the topic's record (`HeadReader`).
    Of keys with a version above 1 the `most` read last stay, of the others `most_first`: as many as
    the product's own memory holds.
    """

    key: str
    version: str
    most: int
    most_first: int


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A topic from which a product's state in memory is rebuilt when partitions are assigned.

    It is read from its beginning, or from `age_ms` ago, to its end at that moment: the partitions
    with the numbers of those assigned, or all with `everything`. With `newest`, the records that
    count are handed over when all is read, and only these are decoded.
    """

    topic: str
    age_ms: int | None = None
    everything: bool = False
    newest: Newest | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """A topic whose backlogs are gathered, and what of them counts.

    A backlog begins with a batch of `many` records from partitions that are behind: the last record
    of each there is of an event that entered the system `old_s` seconds ago or earlier.
    """

    topic: str
    newest: Newest
    many: int
    old_s: float = 5.0


class Product(ABC):
    """Topics in, writes and records out.

    `name` names the process, its group and its metrics; `topics` are read by one group. A product
    lives in the loop's thread alone and never touches a store or a Kafka client.

    Declare what differs from the defaults:

    - `batch_size`: most records handed on at once.
    - `tick_every`: seconds between two calls of `tick`; None: never.
    - `tick_delivers`: whether a tick delivers what `handle` gathered, so that offsets wait for it.
    - `rebuild`: what to read before the first record is handled; several topics in their order.
    - `gather`: a topic whose backlogs are held back until they are over, and then handled in
      batches without what is out of date. No tick comes meanwhile. A gathered record may be handed
      on after a newer one of its key, which the product has to find out. Such a product ticks, and
      is rebuilt from all of that topic.
    - `fold`: of records with an equal key in a batch, only the newest is handled.
    - `only`: of a topic with several records or of another reader, the one that is handled. The
      others are passed over, and so is what cannot be read: it is that reader's to put aside.

    The frame sets `came`, how many records the batch in hand had before it was folded.
    """

    name: str
    topics: tuple[str, ...]
    batch_size: int = 500
    tick_every: float | None = None
    tick_delivers: bool = True
    rebuild: Rebuild | tuple[Rebuild, ...] | None = None
    gather: Gather | None = None
    only: Mapping[str, str] = {}
    came: int = 0

    def missing(self) -> str | None:
        """Return what must be fixed before the product can work; None when it is ready.

        Called before each batch, so keep it cheap. Meanwhile records wait, and `/readyz` answers
        503.
        """
        return None

    def waiting(self) -> str | None:
        """Return what a healthy product waits for, such as its first model; None if nothing.

        Called before each batch. Meanwhile records wait, and `/readyz` answers 200 and says for
        what.
        """
        return None

    def notice(self) -> str | None:
        """Return what a person should mend although records are handled; None if nothing.

        Called before each batch. `/readyz` answers 200 and says so.
        """
        return None

    def met(self, rows: Sequence[Incoming]) -> None:  # noqa: B027 - most count nothing
        """Count all records of a batch, those too that are folded away; again if it is repeated."""

    def fold(self, row: Incoming) -> Hashable:
        """Return the key of which only the newest record of a batch counts.

        Return None if every record counts.

        The records left out count as handled: their offsets are committed.
        """
        return None

    def origin(self, row: Incoming) -> int:
        """Return when the event behind a record entered the system (ms)."""
        return row.timestamp

    @abstractmethod
    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one result per record, in order, without touching any store.

        Raise RetryableError to get the batch again. After any other error the frame hands the
        records over one by one and puts aside those that raise again: with UnreadableError's
        reason, or as refused for any other error.
        """

    def tick(self, now_ms: int) -> Sequence[Result]:
        """Return the results due by time alone.

        Called every `tick_every` seconds between two batches. Offsets of records handled before a
        tick are committed only when its results are stored and produced, so a product may gather in
        `handle` and deliver here: after a crash it gets the records since the last tick again. With
        `tick_delivers` False no offset waits for a tick.
        """
        return ()

    def restore(self, data: bytes) -> Mapping[str, Any] | None:
        """Return the record behind stored bytes, produced if that value stays.

        Return None to produce the output of `handle` all the same.
        """
        return None

    def register(self, registry: CollectorRegistry) -> None:  # noqa: B027 - as below
        """Add metrics of the product's own to those that the process serves; called once."""

    def clear_state(self) -> None:  # noqa: B027 - most products have no such state
        """Forget the rebuilt state; called before each rebuilding."""

    def restore_state(self, row: Incoming) -> None:  # noqa: B027 - as above
        """Apply one record of the topic that `rebuild` names."""

    def probe(self) -> bool:
        """Handle a known good record of the product's own making, without any effect.

        Return True on success, False if the product has no such record, and raise any failure.
        Called when every record of a batch broke the product: if it proves itself, the records are
        to blame.
        """
        return False
