"""Turn messages into stored values and produced records.

Decode, fold, let the product handle, encode, and report what is put aside.

A record that breaks the product is poison, like one that cannot be read: unless put aside, it would
stop everything behind it, again after each restart. But a product that every record breaks may
itself be broken (a bad deployment, a model that does not fit) while the records are good, and a
quarantine full of good records is found late and returns them in another order. So when only broken
records arrive, the product is asked to prove itself (`Product.probe`): if it does, the records are
to blame and are put aside; if it fails, the consumer stops with an error. A product without a probe
stops too, and `Attempts` counts the runs that ended at the same records: after three of them those
records are put aside, so that they cannot block the consumer for ever.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Message

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.wire.codec import Codec, UnreadableError
from serving.consumers.attempts import Attempts
from serving.consumers.product import Incoming, Output, Product, Result, incoming
from serving.store import Stored

log = structlog.get_logger(__name__)

# Faults of the environment, for which no record is to blame.
ELSEWHERE = (RetryableError, UserError, OSError, MemoryError)

# A single broken record says nothing about the product; this many in a row do.
ALONE = 3

Row = tuple[Message, Incoming]
Outgoing = tuple[str, bytes, bytes]
"""Topic, key and value to produce."""


@dataclass(slots=True)
class Made:
    """The result of a record, or of a tick (`message` None), with the records to produce."""

    message: Message | None
    result: Result
    outgoing: list[Outgoing]


@dataclass(slots=True)
class Batch:
    """The outcome of a batch of messages.

    `made` are in order, `poison` with reasons, `folded` counts the records folded away by topic.
    """

    made: list[Made] = field(default_factory=list)
    poison: list[tuple[Message, UnreadableError]] = field(default_factory=list)
    folded: dict[str, int] = field(default_factory=dict)


class Handler:
    """Handle batches for one product, in one thread."""

    def __init__(self, product: Product, codec: Codec, attempts: Attempts | None = None) -> None:
        self._product, self._codec = product, codec
        self._attempts = attempts or Attempts()
        self._rooms = {topic.name: topic.room for topic in topics().values()}
        self._folds = type(product).fold is not Product.fold
        self._counts = type(product).met is not Product.met
        self._broken: list[Message] = []  # in a row, without a handled record between them

    def handle(self, messages: Sequence[Message]) -> Batch:
        """Decode, fold, handle and encode.

        Raise RetryableError, faults of the environment, and errors that all records raise.
        """
        batch = Batch()
        rows: list[Row] = []
        for message in messages:
            only = self._product.only.get(message.topic())
            if only and self._codec.name_of(message.topic(), message.value()) != only:
                continue
            try:
                decoded = self._codec.decoded(message.topic(), message.value())
            except UnreadableError as error:
                if not only:  # else it is another reader's to put aside
                    batch.poison.append((message, error))
            else:
                rows.append((message, incoming(message, decoded.record, decoded.name)))
        if rows:
            self._product.came = len(rows)
            if self._counts:
                self._product.met([row for _, row in rows])
            self._make_all(rows, batch)
        return batch

    def tick(self, now_ms: int) -> Batch:
        """Make a batch of what the product emits by time alone. Raise whatever it raises."""
        return Batch([Made(None, made, self._encoded(made)) for made in self._product.tick(now_ms)])

    def settle(self, batch: Batch, made: Made, winners: Sequence[Stored | None]) -> None:
        """Replace the first output of a losing first write by the bytes that stay stored.

        If no record can be made of them (another program wrote them), the message is put aside: no
        decision may be published but the stored one.
        """
        if not winners or winners[0] is None or not made.outgoing:
            return
        topic, key, _ = made.outgoing[0]
        try:
            record = self._product.restore(winners[0].data)
            if record is not None:
                schema = made.result.outputs[0].schema
                made.outgoing[0] = (topic, key, self._codec.encode(topic, record, schema))
        except ELSEWHERE:
            raise
        except Exception as error:
            where = made.result.writes[0].key
            log.warning("a stored value cannot be restored", key=where, exc_info=error)
            made.outgoing = []
            why = f"{where} holds what cannot be restored: {type(error).__name__}: {error}"
            if made.message is not None:
                batch.poison.append((made.message, UnreadableError("refused", why)))

    def _make_all(self, rows: Sequence[Row], batch: Batch) -> None:
        try:
            chosen = self._newest(rows, batch) if self._folds and len(rows) > 1 else rows
            batch.made = self._make(chosen)
        except ELSEWHERE:
            raise
        except Exception as error:
            batch.folded.clear()  # records that a broken one had hidden are handled after all
            self._make_each(rows, batch, error)
        else:
            self._broken = []

    def _newest(self, rows: Sequence[Row], batch: Batch) -> list[Row]:
        keys = [self._product.fold(row) for _, row in rows]
        last: dict[Hashable, int] = {key: place for place, key in enumerate(keys)}
        chosen = []
        for place, (key, one) in enumerate(zip(keys, rows, strict=True)):
            if key is None or last[key] == place:
                chosen.append(one)
            else:
                topic = one[1].topic
                batch.folded[topic] = batch.folded.get(topic, 0) + 1
        return chosen

    def _make_each(self, rows: Sequence[Row], batch: Batch, first: Exception) -> None:
        """Handle rows one by one, so that only those that break the product are put aside.

        Raise `first` if all of them do and the product does not prove itself.
        """
        broken = []
        for message, row in rows:
            try:
                batch.made += self._make([(message, row)])
            except ELSEWHERE:
                raise
            except UnreadableError as error:  # the product's own verdict on a record
                batch.poison.append((message, error))
            except Exception as error:
                broken.append(message)
                log.warning(
                    "record broke the product",
                    product=self._product.name,
                    topic=row.topic,
                    partition=row.partition,
                    offset=row.offset,
                    exc_info=error,
                )
                why = f"{type(error).__name__}: {error}"
                batch.poison.append((message, UnreadableError("refused", why)))
        if len(broken) < len(rows):
            self._broken = []
            return
        suspects = [*self._broken, *broken]
        if (len(suspects) >= ALONE or len(broken) > 1) and not self._excused(suspects):
            self._broken = suspects
            raise first
        self._broken = suspects if len(suspects) < ALONE else []

    def _excused(self, broken: Sequence[Message]) -> bool:
        """Return whether the records, rather than the product, are to blame."""
        if self._product.probe():
            log.error("every record broke the product, its probe did not", records=len(broken))
            return True
        return self._attempts.exhausted(broken)

    def _make(self, rows: Sequence[Row]) -> list[Made]:
        results = self._product.handle([row for _, row in rows])
        return [
            Made(message, made, self._encoded(made))
            for (message, _), made in zip(rows, results, strict=True)
        ]

    def _encoded(self, result: Result) -> list[Outgoing]:
        return [self._outgoing(output) for output in result.outputs]

    def _outgoing(self, output: Output) -> Outgoing:
        topic, value = output.topic, output.value
        if topic not in self._rooms:
            raise UserError(f"{self._product.name} produces to {topic}, which no file declares")
        if value is None:
            value = self._codec.encode(topic, output.record or {}, output.schema)
        key = output.key.encode() if isinstance(output.key, str) else output.key
        size = len(key) + len(value)
        if size > self._rooms[topic]:
            why = f"what becomes of it has {size} bytes, more than {topic} takes"
            raise UnreadableError("refused", why)
        return topic, key, value
