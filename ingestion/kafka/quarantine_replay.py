"""Send quarantined records again once they can be read.

A replay produces, waits for the brokers, and only then writes the marks of the acknowledged
records. So nothing marked is produced again, and nothing is marked that was not produced. If it is
interrupted between the two, at most one chunk is produced twice, as are records that two concurrent
replays both take. That is harmless, because every reader recognises a record by its id and drops
the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from config.settings import settings
from config.topics import topics
from ingestion.kafka.producer import DeliveryError, client_log, drain, producer_config
from ingestion.kafka.quarantine import TOPIC, Entry, Position
from ingestion.wire.codec import Codec, UnreadableError

HEADER = "millrace-replayed-from"
CHUNK = 500
# Errors that the brokers return for that record each time, however often it is sent.
_FINAL = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
    }
)
# Longer than the client's own five minutes, so that it gives up first and gives the reason.
_PATIENCE_SECONDS = 330.0
# A job does not ask the registry again for 5 s about an id that was unknown (the format's option
# `unknown-for`): a record sent sooner would only be put aside again.
UNKNOWN_FOR_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to produce."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a record was not accepted. `final`: it never will be."""

    why: str
    final: bool

    @classmethod
    def of(cls, error: KafkaError) -> Self:
        """Return the failure that a client's error stands for."""
        return cls(error.str(), error.code() in _FINAL)


class Outbox(Protocol):
    """The destination of a replay."""

    def deliver(self, records: Sequence[Outgoing]) -> list[Failure | None]:
        """Produce, and wait for the outcome of each record: None if it was acknowledged."""
        ...


class KafkaOutbox:
    """An `Outbox` into Kafka, with the settings of `ingestion.kafka.producer`."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            producer_config(bootstrap, "millrace-quarantine"), logger=client_log
        )

    def deliver(self, records: Sequence[Outgoing]) -> list[Failure | None]:
        """Produce and wait; see `Outbox.deliver`."""
        fates: list[Failure | None] = [Failure("no answer", final=False)] * len(records)
        for place, record in enumerate(records):
            try:
                self._produce(record, partial(_settle, fates, place))
            except KafkaException as error:
                fates[place] = Failure.of(error.args[0])
        drain(self._producer, _PATIENCE_SECONDS)
        return fates

    def _produce(
        self, record: Outgoing, settle: Callable[[KafkaError | None, Message], None]
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=list(record.headers),
                    on_delivery=settle,
                )
            # room is made in time: the client gives up records that no broker takes
            except BufferError:
                self._producer.poll(0.1)
            else:
                return


def _settle(fates: list[Failure | None], place: int, error: KafkaError | None, _: Message) -> None:
    fates[place] = None if error is None else Failure.of(error)


@dataclass(slots=True)
class Replayed:
    """The outcome of a replay.

    `sent` were produced, or would be in a dry run; `stayed` were not, with the reason; `before` had
    been produced by an earlier replay.
    """

    sent: list[Position] = field(default_factory=list)
    stayed: list[tuple[Position, str]] = field(default_factory=list)
    before: list[Position] = field(default_factory=list)


def attempt(codec: Codec, entry: Entry, now: int) -> dict[str, Any]:
    """Return the record as the jobs would accept it, sent at `now` (ms).

    A more lenient check would send records again for ever that the jobs then put aside again. Raise
    UnreadableError, also for an event that is still too far ahead, and RetryableError.
    """
    if entry.position.topic not in topics():
        raise UnreadableError(
            "refused", f"the topic {entry.position.topic} is not declared (any more)"
        )
    record = codec.decoded(entry.position.topic, entry.value, strict=True).record
    field = topics()[entry.position.topic].time
    if field is not None and record[field] > now + settings().event_ahead_ms:
        ahead = (record[field] - now) // 1000
        raise UnreadableError("refused", f"{field} is still {ahead} s ahead of the clock")
    return record


def replay(
    entries: Iterable[Entry],
    codec: Codec,
    outbox: Outbox,
    now: Callable[[], int],
    sleep: Callable[[float], None],
    *,
    force: bool = False,
    dry: bool = False,
) -> Replayed:
    """Produce entries again, key and bytes unchanged, if they decode now (with `force`, always).

    Records that no broker will ever take stay. `now` is the clock, in ms, for the marks; `sleep`
    waits for so many seconds, until every job asks again for a schema that it did not know. Raise
    RetryableError (DeliveryError included); the records acknowledged by then are marked.
    """
    done = Replayed()
    ready = list(_ready(entries, codec, done, None if force else now()))
    if dry:
        done.sent = [entry.position for entry in ready]
        return done
    if any(entry.reason == "unknown_schema" for entry in ready):
        sleep(UNKNOWN_FOR_SECONDS)
    for start in range(0, len(ready), CHUNK):
        _send(ready[start : start + CHUNK], codec, outbox, now, done)
    return done


def _ready(
    entries: Iterable[Entry], codec: Codec, done: Replayed, now: int | None
) -> Iterable[Entry]:
    """Yield the entries to send: those the jobs would accept at `now`, or all if None."""
    for entry in entries:
        if entry.replayed:
            done.before.append(entry.position)
            continue
        try:
            if now is not None:
                attempt(codec, entry, now)
        except UnreadableError as error:
            done.stayed.append((entry.position, str(error)))
        else:
            yield entry


def _send(
    chunk: Sequence[Entry], codec: Codec, outbox: Outbox, now: Callable[[], int], done: Replayed
) -> None:
    fates = outbox.deliver([_again(entry) for entry in chunk])
    taken = [entry for entry, fate in zip(chunk, fates, strict=True) if fate is None]
    marks = outbox.deliver([_mark(entry, codec, now()) for entry in taken]) if taken else []
    for entry, missed in zip(taken, marks, strict=True):
        entry.replayed = missed is None
    done.sent += [entry.position for entry in taken]
    done.stayed += [
        (entry.position, fate.why)
        for entry, fate in zip(chunk, fates, strict=True)
        if fate and fate.final
    ]
    # A mark that no broker takes is a fault of our own: fail loudly.
    lost = [fate for fate in fates if fate and not fate.final] + [
        missed for missed in marks if missed
    ]
    if lost:
        raise DeliveryError(
            f"{len(lost)} records not delivered, the first: {lost[0].why}", len(lost)
        )


def _again(entry: Entry) -> Outgoing:
    return Outgoing(
        entry.position.topic, entry.key, entry.value, ((HEADER, str(entry.position).encode()),)
    )


def _mark(entry: Entry, codec: Codec, now: int) -> Outgoing:
    record = {
        "source_topic": entry.position.topic,
        "source_partition": entry.position.partition,
        "source_offset": entry.position.offset,
        "source_time": entry.source_time,
        "reason": entry.reason,
        "detail": "produced again",
        "job": "quarantine replay",
        "quarantined_at": now,
        "replayed": True,
    }
    return Outgoing(TOPIC, entry.position.topic.encode(), codec.encode(TOPIC, record))
