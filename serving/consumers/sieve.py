"""Choose by their heads those records of a topic that a rebuilding or a gathering needs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from confluent_kafka import Message

from ingestion.wire.codec import Codec
from ingestion.wire.heads import HeadReader
from serving.consumers.product import Newest


def heads_of(codec: Codec, topic: str, newest: Newest) -> HeadReader:
    """Return the reader of the fields by which records of a topic are chosen."""
    encoder = codec.encoder(topic)
    return HeadReader(encoder.schema, encoder.prefix, newest.key, newest.version)


class _Kept(NamedTuple):
    version: int
    place: int
    message: Message
    read: bool = False
    """True if it was read whole, so that it may hide others."""


class Sieve:
    """Of each key the record of the greatest version, in bounded memory: those read last stay.

    With `readable`, a record that cannot be read hides no other, and no other hides it: of two of
    one key both are asked about, each once. With `only`, records of other keys are passed over.
    """

    def __init__(
        self,
        newest: Newest,
        reader: HeadReader,
        readable: Callable[[Message], bool] | None = None,
        only: Container[bytes] | None = None,
    ) -> None:
        self._newest, self._reader = newest, reader
        self._readable, self._only = readable, only
        self._first: OrderedDict[bytes, _Kept] = OrderedDict()
        self._later: OrderedDict[bytes, _Kept] = OrderedDict()
        self._place = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def add(self, messages: Sequence[Message]) -> list[Message]:
        """Take in records in their order; return those that are to be read one by one.

        These are records without a head, and those that were found to be unreadable.
        """
        heads = self._reader.read([message.value() or b"" for message in messages])
        strange = []
        for message, key, version in zip(messages, heads.texts, heads.numbers, strict=True):
            if not key:
                strange.append(message)
                continue
            if self._only is not None and key not in self._only:
                continue
            self._place += 1
            one = _Kept(version, self._place, message)
            known = self._later.get(key) or self._first.get(key)
            if known is not None:
                one = self._of_two(known, one, strange)
                self._later.pop(key, None)
                self._first.pop(key, None)
            self._keep(key, one)
        return strange

    def _of_two(self, known: _Kept, one: _Kept, strange: list[Message]) -> _Kept:
        """Return the newer in the place of the later; what cannot be read becomes strange."""
        if self._readable is not None:
            if not known.read and not self._readable(known.message):
                strange.append(known.message)
                return one
            if not self._readable(one.message):
                strange.append(one.message)
                return known._replace(read=True)
        newer = one if one.version >= known.version else known
        return newer._replace(place=one.place, read=self._readable is not None)

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
