"""What a consumer of a product has to say; everything else is the loop's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from serving.store import Write


@dataclass(frozen=True, slots=True)
class Incoming:
    """A record that could be read, with Kafka's timestamp of it (ms)."""

    record: dict[str, Any]
    timestamp: int
    offset: int


@dataclass(frozen=True, slots=True)
class Result:
    """What becomes of one record.

    A write, and (if the product has an output topic) a record to produce under `key`.

    `origin` is when the event that caused it entered the system (ms): the latency metric counts
    from there.
    """

    write: Write
    origin: int
    key: str = ""
    record: dict[str, Any] | None = None


class Product(Protocol):
    """A topic in, writes out.

    `name` names process, group and metrics; `output` a topic to produce to, or None.
    """

    name: str
    topic: str
    output: str | None

    def missing(self) -> str | None:
        """Say what a person has to bring before it can work, and the command; None when it can.

        Its records wait in Kafka meanwhile, and the process counts as ready. Asked before each
        batch, so it must be cheap.
        """
        ...

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """One result a record, in order, without touching any store.

        Raises `RetryableError` to see the batch again. After anything else it sees the records one
        by one, and what raises again then is put aside: `UnreadableError` gives the reason,
        whatever else counts as refused.
        """
        ...

    def restore(self, data: bytes) -> dict[str, Any]:
        """The record behind stored bytes: what to produce when an earlier write stays."""
        ...
