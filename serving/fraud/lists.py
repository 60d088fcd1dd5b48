"""Follow the lists of blocked and trusted entities in their topic, on a thread of its own.

Each process that asks reads the whole compacted topic when it starts, and each change as it comes:
no look-up of a payment leaves the process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import structlog

from config.errors import RetryableError
from config.settings import Settings
from domain.events import FraudEntity, FraudList
from domain.fraud.lists import Entry, Lists
from ingestion.kafka.tail import BEGINNING, Line, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry

log = structlog.get_logger(__name__)
TOPIC = "fraud-lists"
RETRY_S = 1.0


class KnownLists:
    """The lists as far as they are read; asked on any thread."""

    def __init__(self) -> None:
        self._lists, self._coming, self._lock = Lists(), Lists(), threading.Lock()
        self._read = False
        self.trouble: str | None = "not read yet"
        """What keeps the lists from being up to date; None if they are."""

    def missing(self) -> str | None:
        """Return why the lists have never been read to their end; None if they have."""
        return None if self._read else f"lists of entities: {self.trouble}"

    def begin(self) -> None:
        """Read the topic anew. Until that has caught up, what was known before counts."""
        self._coming = Lists()

    def take(self, line: Line) -> None:
        """Take up a record of the topic; one that cannot be read is logged and passed over."""
        with self._lock:
            if line.record is not None:
                self._coming.put(line.record, line.offset)
            elif line.reason == "empty" and line.key is not None:
                self._coming.remove(line.key.decode(errors="replace"), line.offset)
            else:
                log.error("list entry passed over", offset=line.offset, why=line.detail)

    def caught_up(self) -> None:
        """Say that all that was there has been taken up."""
        self._lists, self._read, self.trouble = self._coming, True, None

    def of(self, payments: Sequence[Mapping[str, Any]], now: int) -> tuple[list[list[Entry]], int]:
        """Return the entries that hold of each payment, and the place up to which they are known.

        `now` is in ms.
        """
        with self._lock:
            return [self._lists.of(one, now) for one in payments], self._lists.offset

    def get(self, name: FraudList, kind: FraudEntity, entity: str, now: int) -> Entry | None:
        """Return an entry that holds, or None."""
        with self._lock:
            return self._lists.get(name, kind, entity, now)

    def on(self, name: FraudList, kind: FraudEntity, now: int) -> list[Entry]:
        """Return the entries of a list that hold, in the order of their ids."""
        with self._lock:
            return list(self._lists.on(name, kind, now))


def follow(known: KnownLists, settings: Settings, stop: threading.Event) -> threading.Thread:
    """Keep the lists up to date until `stop`. Kafka or the registry may be away meanwhile."""

    def run() -> None:
        while not stop.is_set():
            try:
                _read(known, settings, stop)
            except RetryableError as error:
                if known.trouble != str(error):
                    log.warning("lists of entities are not up to date", error=str(error))
                known.trouble = str(error)
                stop.wait(RETRY_S)

    thread = threading.Thread(target=run, name="lists", daemon=True)
    thread.start()
    return thread


def _read(known: KnownLists, settings: Settings, stop: threading.Event) -> None:
    with (
        closing(reader(settings.kafka_bootstrap)) as consumer,
        Registry(settings.registry_url, attempts=1) as registry,
    ):
        tail = Tail(consumer, Codec(registry), TOPIC, Start(BEGINNING))
        # Not on top of what is known: an entry's removal may have been compacted away.
        known.begin()
        while not stop.is_set():
            for line in tail.read():
                known.take(line)
            if tail.at_end:
                known.caught_up()
