"""Choose among the records of a topic those that a rebuilding needs, before any is decoded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import Message

from ingestion.wire.heads import HeadReader
from serving.consumers.product import Newest


class _Kept(NamedTuple):
    version: int
    place: int
    message: Message


class Sieve:
    """Of each key the record of the greatest version, in bounded memory: those read last stay."""

    def __init__(self, newest: Newest, reader: HeadReader) -> None:
        self._newest, self._reader = newest, reader
        self._first: OrderedDict[bytes, _Kept] = OrderedDict()
        self._later: OrderedDict[bytes, _Kept] = OrderedDict()
        self._place = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def add(self, messages: Sequence[Message]) -> list[Message]:
        """Take in records in their order; return those that cannot be told apart unread."""
        heads = self._reader.read([message.value() or b"" for message in messages])
        strange = []
        for message, key, version in zip(messages, heads.texts, heads.numbers, strict=True):
            if not key:
                strange.append(message)
                continue
            self._place += 1
            known = self._later.pop(key, None) or self._first.pop(key, None)
            if known is None or version >= known.version:
                self._keep(key, _Kept(version, self._place, message))
            else:
                self._keep(key, _Kept(known.version, self._place, known.message))
        return strange

    def _keep(self, key: bytes, one: _Kept) -> None:
        first = one.version <= 1
        group, most = (
            (self._first, self._newest.most_first) if first else (self._later, self._newest.most)
        )
        group[key] = one
        if len(group) > most:
            group.popitem(last=False)

    def take(self, count: int) -> list[Message]:
        """Remove and return up to `count` records, those read first first."""
        return [self._oldest() for _ in range(min(count, len(self)))]

    def _oldest(self) -> Message:
        heads = [(next(iter(group.values())), group) for group in self._groups() if group]
        _, group = min(heads, key=lambda head: head[0].place)
        return group.popitem(last=False)[1].message

    def _groups(self) -> tuple[OrderedDict[bytes, _Kept], OrderedDict[bytes, _Kept]]:
        return self._first, self._later
