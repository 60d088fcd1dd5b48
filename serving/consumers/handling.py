"""From messages to what is stored and produced.

Decoding, the product's part, encoding, and what is put aside.

A record that breaks the product is poison like one that cannot be read: put aside, or it would stop
everything behind it, after each restart again. A product that every record breaks is itself what is
broken (a bad deployment, a model that does not fit), and the records are good: then the error goes
up and the consumer stops, loudly. Nothing is lost or out of order by that, while a quarantine full
of good records is found late and gives them back in another order. Should a whole batch be bad
records all the same, the next good one behind it proves the product, and they are put aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Message

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.wire.codec import Codec, UnreadableError
from serving.consumers.product import Incoming, Product, Result

log = structlog.get_logger(__name__)

# The environment's faults, which no record is to blame for.
ELSEWHERE = (RetryableError, UserError, OSError, MemoryError)

# One record in a batch of its own tells nothing of the product; so many, one after the other, do.
ALONE = 3


@dataclass(slots=True)
class Made:
    """What a product made of a record.

    `output`: the bytes to produce, None where there is nothing to.
    """

    message: Message
    result: Result
    output: bytes | None


@dataclass(slots=True)
class Batch:
    """What became of a batch of messages: `made` in their order, and `poison` with its reasons."""

    made: list[Made] = field(default_factory=list)
    poison: list[tuple[Message, UnreadableError]] = field(default_factory=list)


class Handler:
    """Handles batches for one product, in one thread."""

    def __init__(self, product: Product, codec: Codec) -> None:
        self._product, self._codec = product, codec
        self._broken = 0  # records in a row that broke the product, none between them that did not

    def handle(self, messages: Sequence[Message]) -> Batch:
        """Decode, handle, encode.

        Raises RetryableError, what the environment is at fault for, and what all raise.
        """
        batch = Batch()
        rows = []
        for message in messages:
            try:
                record = self._codec.decode(self._product.topic, message.value())
            except UnreadableError as error:
                batch.poison.append((message, error))
            else:
                rows.append((message, Incoming(record, message.timestamp()[1], message.offset())))
        if rows:
            self._make_all(rows, batch)
        return batch

    def replace(self, batch: Batch, made: Made, data: bytes) -> None:
        """Take the output from the bytes that stay stored instead of the result's own.

        Where no record can be made of them (another program's), the message is put aside: nobody
        may be told another decision than the one that is stored.
        """
        if self._product.output is None or made.output is None:
            return
        try:
            made.output = self._codec.encode(self._product.output, self._product.restore(data))
        except ELSEWHERE:
            raise
        except Exception as error:
            log.warning(
                "a stored value cannot be restored", key=made.result.write.key, exc_info=error
            )
            made.output = None
            why = (
                f"{made.result.write.key} holds what cannot be restored: "
                f"{type(error).__name__}: {error}"
            )
            batch.poison.append((made.message, UnreadableError("refused", why)))

    def _make_all(self, rows: Sequence[tuple[Message, Incoming]], batch: Batch) -> None:
        try:
            batch.made = self._make(rows)
        except ELSEWHERE:
            raise
        except Exception as error:
            self._make_each(rows, batch, error)
        else:
            self._broken = 0

    def _make_each(
        self, rows: Sequence[tuple[Message, Incoming]], batch: Batch, first: Exception
    ) -> None:
        """One by one, so that only what breaks the product is put aside.

        Raises `first` where that is everything.
        """
        broken = 0
        for message, row in rows:
            try:
                batch.made += self._make([(message, row)])
            except ELSEWHERE:
                raise
            except UnreadableError as error:  # the product's own verdict on a record
                batch.poison.append((message, error))
            except Exception as error:
                broken += 1
                where = {"partition": message.partition(), "offset": message.offset()}
                log.warning(
                    "a record broke the product",
                    product=self._product.name,
                    **where,
                    exc_info=error,
                )
                batch.poison.append(
                    (message, UnreadableError("refused", f"{type(error).__name__}: {error}"))
                )
        self._broken = self._broken + broken if broken == len(rows) else 0
        if self._broken >= ALONE or broken == len(rows) > 1:
            raise first

    def _make(self, rows: Sequence[tuple[Message, Incoming]]) -> list[Made]:
        results = self._product.handle([row for _, row in rows])
        return [
            Made(message, made, self._encoded(made))
            for (message, _), made in zip(rows, results, strict=True)
        ]

    def _encoded(self, result: Result) -> bytes | None:
        topic = self._product.output
        if topic is None or result.record is None:
            return None
        value = self._codec.encode(topic, result.record)
        size = len(result.key.encode()) + len(value)
        if size > topics()[topic].room:
            raise UnreadableError(
                "refused", f"what becomes of it has {size} bytes, more than {topic} takes"
            )
        return value
